"""The files of an evaluation: metrics.json, figures/*.png and report.html."""

import json
from pathlib import Path

from mixnash.core.population import weights
from mixnash.evaluation.evaluate import Result
from mixnash.evaluation.files import make_folder, write_file
from mixnash.evaluation.history import read_history
from mixnash.evaluation.image_pictures import Classes, Views, class_pictures, neighbour_picture
from mixnash.evaluation.load import LoadedRun
from mixnash.evaluation.pictures import Picture, curve_pictures, equilibrium_pictures, portrait_pictures
from mixnash.evaluation.report import Pictures, render_report


def write_evaluation(run: LoadedRun, result: Result, folder: Path, command: str) -> Path:
    """Draw and write everything, replacing earlier files one by one.

    Args:
        run: what was evaluated.
        result: its numbers.
        folder: created if it is missing.
        command: what to type to get the same files, for the report.

    Returns:
        The path of report.html.

    Raises:
        InvalidInputError: when the folder cannot be written.
    """
    make_folder(folder / "figures")
    history = read_history(run.folder / "metrics.jsonl")
    pictures = Pictures(
        portrait_pictures(run, averaged=bool(result.about["averaged"])),
        curve_pictures(history, result, run.data.validation_size, clock=False),
        curve_pictures(history, result, run.data.validation_size, clock=True),
        equilibrium_pictures(result),
        _image_pictures(run, result),
    )
    for picture in pictures.all():
        write_file(folder / "figures" / f"{picture.name}.png", picture.png)
    write_file(folder / "metrics.json", (json.dumps(result.flat(), indent=2, allow_nan=False) + "\n").encode())
    report = folder / "report.html"
    write_file(report, render_report(run, result, pictures, command).encode())
    return report


def _image_pictures(run: LoadedRun, result: Result) -> list[Picture]:
    if result.images is None:
        return []
    seen = result.images.seen
    classes = None
    if seen.generated.logits is not None and seen.held_out.logits is not None:
        classes = Classes(seen.generated.logits, seen.held_out.logits)
    samples, views = result.images.samples, Views(seen.generated, seen.training, seen.extractor.name)
    shares = weights(run.module.profile(bool(result.about["averaged"])).generators).cpu()
    shown = [] if classes is None else class_pictures(classes, samples.particle, shares)
    return [*shown, neighbour_picture(samples, result.images.training, views)]
