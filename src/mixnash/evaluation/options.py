"""What `evaluate` and `sample` have in common on the command line; imports nothing slow, so that help is quick."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from mixnash.core.errors import MixnashError


class RunOptions(NamedTuple):
    """Which run, and what to draw from it."""

    run: Path | None
    checkpoint: Path | None
    which: str | None
    num_samples: int
    seed: int
    averaged: bool
    particle: int | None
    device: str | None


class SearchOptions(NamedTuple):
    """How hard to search for deviations from a run's mixtures."""

    budget: int
    """k: updates of each deviator; the search goes on to 4 k."""
    starts: int
    """Of each kind: atoms, perturbed atoms, fresh networks."""


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options behind `RunOptions`."""
    add_source_options(parser)
    draws = parser.add_argument_group("what to draw")
    draws.add_argument("--num_samples", type=int, default=10_000, metavar="N", help="how many (default: 10000)")
    draws.add_argument("--seed", type=int, default=0, help="of the draws (default: 0)")
    positions = draws.add_mutually_exclusive_group()
    positions.add_argument("--ema", action="store_true", help="use the moving average of the generators (the default)")
    positions.add_argument("--raw", action="store_true", help="use the generators as they are")
    draws.add_argument("--particle", type=int, metavar="K", help="draw from one generator only, numbered from 0")
    draws.add_argument("--device", help="cpu, cuda, cuda:1, ... (default: cuda if there is one, else cpu)")


def add_source_options(parser: argparse.ArgumentParser) -> None:
    """Declare --run, --checkpoint and --which."""
    source = parser.add_argument_group("which run")
    source.add_argument("--run", type=Path, metavar="RUN_DIR", help="the run's folder, RUNS_DIR/EXPERIMENT/VERSION")
    source.add_argument("--checkpoint", type=Path, metavar="FILE", help="a checkpoint file, instead of --run")
    source.add_argument("--which", choices=("last", "best"), help="which checkpoint of the run (default: last)")


def run_options(found: argparse.Namespace) -> RunOptions:
    """Read them back."""
    return RunOptions(
        run=found.run,
        checkpoint=found.checkpoint,
        which=found.which,
        num_samples=found.num_samples,
        seed=found.seed,
        averaged=not found.raw,
        particle=found.particle,
        device=found.device,
    )


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn our errors into one line on stderr and exit code 2."""
    try:
        yield
    except MixnashError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
