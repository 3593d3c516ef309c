"""`mixnash sample`: draws from a finished run, as arrays, as a table or as images."""

import argparse
from pathlib import Path

from mixnash.evaluation.options import RunOptions, add_run_options, one_line_errors, run_options

SUMMARY = "Draw samples from a finished run."


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
        help="x.npz (samples, particle), x.csv for points of the plane, or a folder of PNG files for images",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace samples that are there already")
    found = parser.parse_args(args)
    with one_line_errors():
        run_sampling(run_options(found), found.output, found.overwrite)


def run_sampling(options: RunOptions, output: Path, overwrite: bool) -> None:
    """Draw and write. Equal options give the samples that `evaluate` scores.

    Args:
        options: which run and which draws.
        output: where to write; its ending decides the format.
        overwrite: whether samples that are there already may be replaced.

    Raises:
        InvalidInputError: when the run cannot be loaded, the options or the format do not fit it, or the output is
            there already or cannot be written.
    """
    # Imported here, so that help and usage errors need not wait for torch.
    from mixnash.core.random import Purpose, stream
    from mixnash.evaluation.export import make_writer
    from mixnash.evaluation.load import load_run

    run = load_run(options.run, options.checkpoint, options.which, options.device)
    writer = make_writer(output, run.data, overwrite)
    rng = stream(run.module.device, options.seed, Purpose.EVALUATION)
    samples = run.module.sample(options.num_samples, rng, options.particle, options.averaged)
    writer.write(samples)
    print(f"checkpoint: {run.checkpoint_path} (step {run.step})")
    print(f"samples: {output} ({options.num_samples})")
