"""`evaluate.py`: all numbers and pictures of a finished run, in files, as a page and on the terminal."""

import argparse
import shlex
from pathlib import Path

from mixnash.evaluation.options import RunOptions, add_run_options, one_line_errors, run_options

SUMMARY = "Score a finished run; write metrics.json, figures/*.png and report.html."


def main(args: list[str] | None = None, prog: str = "evaluate.py") -> None:
    """The command: bad input ends in one sentence and exit code 2.

    Args:
        args: command-line words; those of the process if None.
        prog: the command's name in its help.
    """
    parser = argparse.ArgumentParser(prog=prog, description=SUMMARY, allow_abbrev=False)
    add_run_options(parser)
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="where to write; files are replaced (default: RUN_DIR/evaluation)"
    )
    found = parser.parse_args(args)
    with one_line_errors():
        run_evaluation(run_options(found), found.output)


def run_evaluation(options: RunOptions, output: Path | None) -> None:
    """Evaluate, write every file, and print the table.

    Args:
        options: which run and which draws.
        output: a folder; ``evaluation`` in the run's own if None.

    Raises:
        InvalidInputError: when the run cannot be loaded, the options do not fit it, or nothing can be written.
    """
    # Imported here, so that help and usage errors need not wait for torch.
    from rich.console import Console

    from mixnash.evaluation.evaluate import evaluate
    from mixnash.evaluation.files import make_folder
    from mixnash.evaluation.load import load_run
    from mixnash.evaluation.table import print_table
    from mixnash.evaluation.write import write_evaluation

    run = load_run(options.run, options.checkpoint, options.which, options.device)
    folder = run.folder / "evaluation" if output is None else output
    make_folder(folder)  # fail now rather than after the work
    with Console(stderr=True).status(f"Evaluating step {run.step:,} ..."):
        result = evaluate(run, options.num_samples, options.seed, options.averaged, options.particle)
        report = write_evaluation(run, result, folder, _command(options, run.checkpoint_path, str(run.module.device)))
    print_table(result)
    if result.about["protocol"] is not None:
        print(f"protocol: {result.about['protocol']}")
    print(f"checkpoint: {run.checkpoint_path} (step {run.step})")
    print(f"report: {report}")


def _command(options: RunOptions, checkpoint: Path, device: str) -> str:
    """What to type for the same evaluation, whatever becomes of the run's last checkpoint."""
    words = ["python", "evaluate.py", "--checkpoint", str(checkpoint), "--num_samples", str(options.num_samples)]
    words += ["--seed", str(options.seed), "--ema" if options.averaged else "--raw"]
    words += [] if options.particle is None else ["--particle", str(options.particle)]
    return shlex.join([*words, "--device", device])
