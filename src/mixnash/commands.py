"""`mixnash`: one command for everything that can be done with a run."""

import argparse
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import version
from types import MappingProxyType
from typing import NamedTuple

# The commands import what they need themselves: `mixnash --help` need not wait for torch.


class Command(NamedTuple):
    """A word after `mixnash`."""

    summary: str
    run: Callable[[list[str]], None]
    """Takes the words after it."""


def _train(words: list[str]) -> None:
    from mixnash.cli import main as train

    train(words)


def _distill(words: list[str]) -> None:
    from mixnash.distillation.cli import main as distill

    distill(words)


def _evaluate(words: list[str]) -> None:
    from mixnash.evaluation.cli import main as evaluate

    evaluate(words, prog="mixnash evaluate")


def _sample(words: list[str]) -> None:
    from mixnash.evaluation.sample import main as sample

    sample(words, prog="mixnash sample")


def _solve(words: list[str]) -> None:
    from mixnash.solving.cli import main as solve

    solve(words, prog="mixnash solve")


def _reproduce(words: list[str]) -> None:
    from mixnash.reproduction.cli import main as reproduce

    reproduce(words)


def _train_classifier(words: list[str]) -> None:
    from mixnash.classification.cli import main as train_classifier

    train_classifier(words)


def _runs(words: list[str]) -> None:
    from mixnash.runs.cli import main as runs

    runs(words)


def _follow(words: list[str]) -> None:
    from mixnash.runs.follow import main as follow

    follow(words)


COMMANDS: Mapping[str, Command] = MappingProxyType(
    {
        "train": Command("train, validate or continue a run, as train.py does", _train),
        "evaluate": Command("score a finished run and write a report, as evaluate.py does", _evaluate),
        "distill": Command("compress a mixture of generators into one generator", _distill),
        "reproduce": Command("regenerate figures and tables with known answers", _reproduce),
        "sample": Command("draw samples from a finished run into a file or a folder", _sample),
        "solve": Command("run dynamics on a game with a known answer, side by side", _solve),
        "train-classifier": Command("train the network that metrics of images look through", _train_classifier),
        "runs": Command("list all runs with their state and their best figures", _runs),
        "follow": Command("print what a run logs while it trains", _follow),
    }
)
"""What can follow `mixnash`."""

_EXAMPLES = """examples:
  mixnash train fit --config configs/experiment/gaussians25.yaml
  mixnash evaluate --run runs/gaussians25/version_0
  mixnash sample --run runs/gaussians25/version_0 --num_samples 1000 --output samples.npz
  mixnash distill --run runs/gaussians25/version_0 --output runs/gaussians25/distilled
  mixnash solve --config configs/toy/bilinear.yaml
  mixnash reproduce escaping-traps
  mixnash runs
  mixnash follow runs/gaussians25/version_0

Each command explains its own options with --help."""


def main(args: list[str] | None = None) -> None:
    """Hand the words after the command's name to the command.

    Args:
        args: command-line words; those of the process if None.
    """
    words = sys.argv[1:] if args is None else args
    lines = "\n".join(f"  {name:<18}{command.summary}" for name, command in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="mixnash",
        usage="mixnash [--help] [--version] COMMAND ...",
        description=f"Train GANs to mixed Nash equilibria, and look at the results.\n\ncommands:\n{lines}",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"mixnash {version('mixnash')}")
    parser.add_argument("command", choices=COMMANDS, help=argparse.SUPPRESS)
    chosen = parser.parse_args(words[:1]).command
    COMMANDS[chosen].run(words[1:])
