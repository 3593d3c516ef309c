"""`mixnash runs`: all runs with their state and their best figures."""

import argparse
from pathlib import Path

from mixnash.evaluation.options import one_line_errors

SUMMARY = (
    "List all runs RUNS_DIR/EXPERIMENT/VERSION, the latest first. A run is dead if it says that it is running and its "
    "process is gone, or on another machine has written nothing for half an hour; unknown if it says nothing, as runs "
    "of older versions: their times are those of their files, their figures those of metrics.jsonl."
)


def main(args: list[str] | None = None, prog: str = "mixnash runs") -> None:
    """The command: bad input ends in one sentence and exit code 2.

    Args:
        args: command-line words; those of the process if None.
        prog: the command's name in its help.
    """
    parser = argparse.ArgumentParser(prog=prog, description=SUMMARY, allow_abbrev=False)
    parser.add_argument(
        "--runs_dir", type=Path, default=Path("runs"), metavar="DIR", help="where all runs are (default: runs)"
    )
    parser.add_argument("--experiment", metavar="NAME", help="list those of one experiment only")
    parser.add_argument("--json", action="store_true", help="print a list of JSON objects instead of a table")
    found = parser.parse_args(args)
    with one_line_errors():
        list_runs(found.runs_dir, found.experiment, found.json)


def list_runs(runs_dir: Path, experiment: str | None, as_json: bool) -> None:
    """Print the list.

    Args:
        runs_dir: parent of all experiments.
        experiment: one of them; all if None.
        as_json: for programs.

    Raises:
        InvalidInputError: when there is no such folder, or it cannot be read.
    """
    # Imported here, so that help and usage errors are quick.
    from mixnash.runs.found import find_runs
    from mixnash.runs.table import print_json, print_runs

    runs = find_runs(runs_dir, experiment)
    if as_json:
        print_json(runs)
    elif runs:
        print_runs(runs)
    else:
        print(f"There are no runs in '{runs_dir if experiment is None else runs_dir / experiment}' yet.")
