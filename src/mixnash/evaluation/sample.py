"""`mixnash sample`: draws from a finished run, as arrays, as a table or as pictures."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from mixnash.evaluation.options import RunOptions, add_run_options, one_line_errors, run_options

SUMMARY = "Draw samples from a finished run."
COUNT = 10_000
"""Samples unless told otherwise."""
COUNTS: Mapping[str, int] = MappingProxyType({".png": 64})
"""The same for file endings that would show too many of them."""


def main(args: list[str] | None = None, prog: str = "mixnash sample") -> None:
    """The command: bad input ends in one sentence and exit code 2.

    Args:
        args: command-line words; those of the process if None.
        prog: the command's name in its help.
    """
    parser = argparse.ArgumentParser(prog=prog, description=SUMMARY, allow_abbrev=False)
    add_run_options(parser)
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="FILE|DIR",
        help="x.npz (samples, particle), x.csv for points of the plane; for images also a folder of PNG files, or "
        "x.png for one grid (of 64 unless --num_samples says otherwise)",
    )
    parser.add_argument(
        "--columns", type=int, metavar="N", help="images in a row of a grid (default: as many as there are rows)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace samples that are there already")
    parser.set_defaults(num_samples=None)  # it depends on the output
    found = parser.parse_args(args)
    if found.num_samples is None:
        found.num_samples = COUNTS.get(found.output.suffix, COUNT)
    with one_line_errors():
        run_sampling(run_options(found), found.output, found.overwrite, found.columns)


def run_sampling(options: RunOptions, output: Path, overwrite: bool, columns: int | None = None) -> None:
    """Draw and write. Equal options give the samples that `evaluate` scores.

    Args:
        options: which run and which draws.
        output: where to write; its ending decides the format.
        overwrite: whether samples that are there already may be replaced.
        columns: images in a row of a grid; about as many as there are rows if None.

    Raises:
        InvalidInputError: when the run cannot be loaded, the options or the format do not fit it, or the output is
            there already or cannot be written.
    """
    # Imported here, so that help and usage errors need not wait for torch.
    from mixnash.core.random import Purpose, stream
    from mixnash.evaluation.export import make_writer
    from mixnash.evaluation.load import load_run

    run = load_run(options.run, options.checkpoint, options.which, options.device)
    writer = make_writer(output, run.data, overwrite, columns)
    rng = stream(run.module.device, options.seed, Purpose.EVALUATION)
    samples = run.module.sample(options.num_samples, rng, options.particle, options.averaged)
    writer.write(samples)
    print(f"checkpoint: {run.checkpoint_path} (step {run.step})")
    print(f"samples: {output} ({options.num_samples})")
