"""`mixnash distill`: one generator that imitates a mixture, as a run folder, and what it cost in quality."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mixnash.evaluation.options import add_source_options, one_line_errors

if TYPE_CHECKING:
    from mixnash.distillation.regression import Settings

SUMMARY = "Compress a mixture of generators into one generator, by regression, and report the loss of quality."


class Source(NamedTuple):
    """Which mixture, and how it is scored."""

    run: Path | None
    checkpoint: Path | None
    which: str | None
    averaged: bool
    num_samples: int
    device: str | None


def main(args: list[str] | None = None, prog: str = "mixnash distill") -> None:
    """The command: bad input ends in one sentence and exit code 2.

    Args:
        args: command-line words; those of the process if None.
        prog: the command's name in its help.
    """
    found = _parser(prog).parse_args(args)
    source = Source(found.run, found.checkpoint, found.which, not found.raw, found.num_samples, found.device)
    with one_line_errors():
        from mixnash.distillation.regression import Settings  # here, so that help need not wait for torch

        settings = Settings(found.width, found.depth, found.steps, found.batch_size, found.step_size, found.seed)
        run_distillation(source, settings, found.output)


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=prog, description=SUMMARY, allow_abbrev=False)
    add_source_options(parser)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="a new run folder for the generator")
    parser.add_argument("--raw", action="store_true", help="imitate the generators as they are, not their averages")
    student = parser.add_argument_group("the generator")
    student.add_argument("--width", type=int, default=128, metavar="W", help="units per hidden layer (default: 128)")
    student.add_argument("--depth", type=int, default=3, metavar="D", help="hidden layers (default: 3)")
    learning = parser.add_argument_group("how it learns")
    learning.add_argument("--steps", type=int, default=10_000, metavar="N", help="of Adam (default: 10000)")
    learning.add_argument("--batch_size", type=int, default=1024, metavar="B", help="latents per step (default: 1024)")
    learning.add_argument("--step_size", type=float, default=3e-3, help="at first; falls to 0 (default: 0.003)")
    learning.add_argument("--seed", type=int, default=0, help="of initialisation and draws (default: 0)")
    parser.add_argument(
        "--num_samples", type=int, default=10_000, metavar="N", help="samples of each to compare (default: 10000)"
    )
    parser.add_argument("--device", help="cpu, cuda, cuda:1, ... (default: cuda if there is one, else cpu)")
    return parser


def run_distillation(source: Source, settings: "Settings", output: Path) -> None:
    """Distil, write the run folder and the comparison, and print the table.

    Args:
        source: which mixture.
        settings: size of the student and how it learns.
        output: a folder that does not exist yet.

    Raises:
        InvalidInputError: when the run cannot be loaded or is no mixture, a size is impossible, the student would be
            larger than the mixture, or the output exists or cannot be written.
    """
    # Imported here, so that help and usage errors need not wait for torch.
    import time

    from mixnash.core.errors import require
    from mixnash.core.random import Purpose, stream
    from mixnash.distillation import report
    from mixnash.distillation.progress import loss_bar
    from mixnash.distillation.regression import check_settings, make_student, regress, regression_error
    from mixnash.distillation.run import new_folder, student_config, write_student
    from mixnash.distillation.teacher import make_teacher
    from mixnash.evaluation.evaluate import evaluate
    from mixnash.evaluation.load import load_run

    check_settings(settings)
    require(source.num_samples >= 1, f"--num_samples must be at least 1, found {source.num_samples}.")
    run = load_run(source.run, source.checkpoint, source.which, source.device)
    place = run.module.device
    teacher = make_teacher(run.module, source.averaged, stream(place, settings.seed, Purpose.DISTILLATION, 2))
    student = make_student(teacher, run.data.event_shape, settings)
    config = student_config(run, teacher, settings)
    with new_folder(output):
        before = evaluate(run, source.num_samples, settings.seed, source.averaged)  # first: too few samples end here
        started = time.monotonic()
        with loss_bar(settings.steps) as watch:
            regress(student, teacher, settings, watch)
        seconds = time.monotonic() - started
        write_student(run, config, student, settings.steps, output)
        after = evaluate(load_run(output, None, None, str(place)), source.num_samples, settings.seed)
        error = regression_error(student, teacher, settings)
        found = report.Distilled(before, after, settings, report.sizes(teacher, student), error, seconds)
        report.write_record(found, output)
        report.write_picture(run, teacher, student, source.averaged, output)
    report.print_comparison(found)
    print(f"checkpoint: {run.checkpoint_path} (step {run.step})")
    print(f"run folder: {output}\nnext: python evaluate.py --run {output}")
