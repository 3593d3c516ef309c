"""What the distillation cost: a table, a record and one picture of both samples."""

import json
from functools import singledispatch
from pathlib import Path
from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text
from torch import Tensor

from mixnash.core.random import Purpose, stream
from mixnash.data.base import AbstractDataModule, AbstractImageData, AbstractMixtureData, AbstractPlanarData
from mixnash.distillation.regression import Settings, count_parameters
from mixnash.distillation.teacher import Teacher
from mixnash.evaluation.evaluate import Result
from mixnash.evaluation.files import write_file
from mixnash.evaluation.load import LoadedRun
from mixnash.evaluation.pictures import SHARPNESS
from mixnash.evaluation.readings import metric_row, number
from mixnash.figures.encode import to_png
from mixnash.figures.images import image_rows
from mixnash.figures.plane import sample_history
from mixnash.figures.style import DPI
from mixnash.lit.base import Samples
from mixnash.networks.distilled import DistilledGenerator

PICTURED, IMAGES = 4_000, 10
"""Points of each side in the picture, or images."""


class Distilled(NamedTuple):
    """Everything that is reported."""

    mixture: Result
    student: Result
    settings: Settings
    parameters: tuple[int, int]
    """Of the mixture's generators together, and of the student."""
    error: float
    """Root mean squared distance of the student's samples to its teachers', in units of the data."""
    seconds: float
    """Of the regression."""

    def kept(self) -> dict[str, float]:
        """The student's counts and shares by the mixture's, of the metrics of which more is better."""
        found = {}
        for name in ("modes", "modes_min20", "high_quality"):
            if self.mixture.metrics.get(name, 0.0) > 0:
                found[name] = self.student.metrics[name] / self.mixture.metrics[name]
        return found

    def record(self) -> dict[str, object]:
        """The JSON object."""
        return {
            "mixture": self.mixture.flat(),
            "distilled": self.student.flat(),
            "kept": self.kept(),
            "parameters_mixture": self.parameters[0],
            "parameters_distilled": self.parameters[1],
            "regression_error": self.error,
            "seconds": self.seconds,
            "settings": self.settings._asdict(),
        }


def write_record(found: Distilled, folder: Path) -> None:
    """Write distillation.json."""
    write_file(folder / "distillation.json", (json.dumps(found.record(), indent=2, allow_nan=False) + "\n").encode())


def print_comparison(found: Distilled) -> None:
    """Print all metrics of both, side by side."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("metric")
    for name in ("mixture", "distilled"):
        table.add_column(name, justify="right")
    table.add_column("perfect sampler ± sd", justify="right", style="dim")
    # Numbers of single particles are the mixture's alone.
    for name in (one for one in found.mixture.metrics if one in found.student.metrics):
        before, after = metric_row(found.mixture, name), metric_row(found.student, name)
        table.add_row(Text(name), before.value, after.value, before.perfect)
    table.add_row("parameters", *(number(count) for count in found.parameters), "")
    Console().print(table)
    ratio = found.parameters[0] / found.parameters[1]
    kept = ", ".join(f"{share:.3f} of {name}" for name, share in found.kept().items())
    print(f"{ratio:.1f} times fewer parameters" + (f"; the distilled generator keeps {kept}" if kept else ""))


def write_picture(run: LoadedRun, teacher: Teacher, student: DistilledGenerator, averaged: bool, folder: Path) -> None:
    """Write distillation.png, if there is a picture of such data: samples of the mixture and of the student.

    In the plane, the student's samples have the colour of the generator that it imitates there.
    """
    device = run.module.device
    rng = stream(device, run.module.seed, Purpose.PICTURE)
    drawn = run.module.sample(PICTURED, rng, averaged=averaged)
    latent = torch.randn(PICTURED, student.latent_dim, generator=rng, device=device)
    with torch.no_grad():
        values = student(latent)
    place = torch.searchsorted(student.edges, torch.special.ndtr(latent[:, -1].contiguous()))
    imitated = Samples(values.cpu(), teacher.order[place.cpu()])
    figure = _picture(run.data, Samples(drawn.values.cpu(), drawn.particle.cpu()), imitated, len(teacher.order))
    if figure is not None:
        write_file(folder / "distillation.png", to_png(figure, SHARPNESS * DPI))


@singledispatch
def _picture(data: AbstractDataModule, mixture: Samples, student: Samples, particles: int) -> Figure | None:
    del data, mixture, student, particles
    return None


@_picture.register
def _(data: AbstractPlanarData, mixture: Samples, student: Samples, particles: int) -> Figure:
    snapshots = [(f"mixture of {particles} generators", *mixture), ("one distilled generator", *student)]
    law = data.mixture if isinstance(data, AbstractMixtureData) else None
    return sample_history(snapshots, data.limits, "Before and after distillation", law, particles)


@_picture.register
def _(data: AbstractImageData, mixture: Samples, student: Samples, particles: int) -> Figure:
    del data
    rows: list[Tensor] = [mixture.values[:IMAGES], student.values[:IMAGES]]
    labels = [f"mixture of {particles}", "distilled"]
    return image_rows(torch.stack(rows), labels, "Before and after distillation")


def sizes(teacher: Teacher, student: DistilledGenerator) -> tuple[int, int]:
    """Parameters of the mixture's generators and of the student."""
    return count_parameters(teacher.generators.params), count_parameters(dict(student.named_parameters()))
