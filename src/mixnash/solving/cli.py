"""`mixnash solve`: dynamics on a game with a known answer, side by side."""

import importlib
import inspect
import pkgutil
import sys
from argparse import ArgumentError
from pathlib import Path

import jsonargparse
from rich.console import Console

from mixnash.core import dynamics, games, rules
from mixnash.core.errors import InvalidInputError, MixnashError
from mixnash.parse_errors import parse_sentence
from mixnash.solving import starts
from mixnash.solving.folder import new_folder
from mixnash.solving.problem import Problem
from mixnash.solving.solve import solve
from mixnash.solving.table import print_table
from mixnash.solving.write import write_solution

SUMMARY = (
    "Run one or several dynamics on a game; print how far each gets, and write trajectories.npz, table.json, "
    "picture.png and config.yaml."
)

WIDTH = 160
"""Columns of the table where there is no terminal to fit it to."""


def make_parser(prog: str) -> jsonargparse.ArgumentParser:
    """Everything a problem takes is an option, and a key of its file."""
    for kind in (games, dynamics, rules, starts):  # the help lists what has been imported, and knows it by its name
        for module in pkgutil.iter_modules(kind.__path__, f"{kind.__name__}."):
            importlib.import_module(module.name)
    parser = jsonargparse.ArgumentParser(prog=prog, description=SUMMARY, exit_on_error=False)
    parser.add_argument("--config", action="config", help="A file such as configs/toy/bilinear.yaml.")
    parser.add_argument(
        "--output",
        type=str | None,
        default=None,
        help="New folder for the results; the next runs/solve/NAME/version_N if not given.",
    )
    parser.add_class_arguments(Problem, None)
    return parser


def read_problem(words: list[str], prog: str = "mixnash solve") -> tuple[Problem, Path | None, str]:
    """What the command's words ask for.

    Returns:
        The problem, the folder that results should go to, and a configuration that gives the same problem again.

    Raises:
        InvalidInputError: when something is missing, misspelt or out of range.
    """
    parser = make_parser(prog)
    try:
        parsed = parser.parse_args(words)
        output = parsed.pop("output")
        parsed.pop("config", None)
        made = parser.instantiate(parsed)
        problem = Problem(**{name: made[name] for name in inspect.signature(Problem).parameters})
        return problem, None if output is None else Path(output), parser.dump(parsed)
    except (ArgumentError, ValueError, TypeError) as error:
        raise _plain(error) from error


def _plain(error: Exception) -> Exception:
    """An error of ours that others wrapped, or what the parser says as one sentence; others as they are."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MixnashError):
            return cause
        if isinstance(cause, UnicodeDecodeError):
            return InvalidInputError("The configuration is not a text file in UTF-8: give --config a YAML file.")
        cause = cause.__cause__ or cause.__context__
    return InvalidInputError(parse_sentence(str(error))) if isinstance(error, ArgumentError) else error


def run(words: list[str], prog: str = "mixnash solve") -> Path:
    """Solve, write and print.

    Returns:
        The folder of the results.

    Raises:
        MixnashError: for bad input, or a game that is not finite at the start.
    """
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    problem, output, config = read_problem(words, prog)
    problem.check_start()
    with new_folder(problem.name, output) as folder:
        solution = solve(problem, Console(stderr=True))
        write_solution(solution, folder, config)
    for sentence in solution.warnings:
        print(f"warning: {sentence}", file=sys.stderr)
    print_table(solution.title, solution.readings, console)
    print(f"results: {folder}")
    return folder


def main(words: list[str], prog: str = "mixnash solve") -> None:
    """The command: one sentence and exit code 2 for bad input, 3 for a game that is not finite.

    Args:
        words: command-line words.
        prog: the command's name in its help.
    """
    try:
        run(words, prog)
    except MixnashError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2 if isinstance(error, InvalidInputError) else 3) from None
