"""The report's pictures as PNG files with captions."""

import struct
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from mixnash.equilibrium.duality_gap import Estimate
from mixnash.evaluation.evaluate import Result
from mixnash.evaluation.history import Course, History
from mixnash.evaluation.image_readings import image_reading
from mixnash.evaluation.load import LoadedRun
from mixnash.evaluation.readings import number
from mixnash.figures.curves import metric_curves
from mixnash.figures.encode import to_png
from mixnash.figures.equilibrium import DeviationCurve, deviation_search
from mixnash.figures.style import DPI
from mixnash.lit.portraits import portraits

SHARPNESS = 2
"""Pixels of the file per pixel of the page, for dense screens."""
CURVE_SIZE = (5.3, 3.3)
"""Inches of a curve, of which two stand side by side."""


class Picture(NamedTuple):
    """A figure, drawn."""

    name: str
    """The file's name without its ending."""
    caption: str
    png: bytes
    width: int
    """Natural width on the page, in CSS pixels."""
    height: int
    """Natural height."""

    @property
    def wide(self) -> bool:
        """Whether it is much wider than high."""
        return self.width > 1.5 * self.height


CAPTIONS: Mapping[str, str] = MappingProxyType(
    {
        "samples": "Draws from the mixture; every generator has a colour or a row of its own. All rows of images are "
        "made of the same latents.",
        "critic": "Where the mixture of critics takes samples for real (high) and for generated (low).",
        "modes": "Bars should end within the pale bands, where nineteen of twenty draws from the data would end.",
        "particles": "Generators that share the modes out among themselves show one dark cell per row, and pairs of "
        "them do nothing alike. Each generator is shown by equally many samples, whatever its weight.",
        "payoffs": "What a critic wins against a generator. At an equilibrium, no row or column does better than those "
        "that carry weight.",
        "weights": "The two mixed strategies.",
    }
)
"""A caption for each portrait; others are shown under their own names."""


class _Curve(NamedTuple):
    name: str
    title: str
    caption: str
    ylabel: str
    courses: Mapping[str, str]  # label to the name it was logged under
    perfect: str | None = None  # metric whose perfect value is drawn
    log: bool = False


_CURVES = (
    _Curve(
        "modes",
        "Modes covered",
        "Modes with at least one sample of high quality, and with at least 20.",
        "modes",
        {"1 sample": "val/modes", "20 samples": "val/modes_min20"},
        perfect="modes",
    ),
    _Curve(
        "high_quality",
        "High quality",
        "Share of samples close to a mode.",
        "share of samples",
        {"high quality": "val/high_quality"},
        perfect="high_quality",
    ),
    _Curve(
        "reverse_kl",
        "Reverse KL",
        "Distance of the modes' shares to the data's, on a logarithmic scale.",
        "nats",
        {"reverse KL": "val/reverse_kl"},
        perfect="reverse_kl",
        log=True,
    ),
    _Curve(
        "stacked_modes",
        "Modes of the stacked digits",
        "Of the thousand triples of digits, those with at least one sample.",
        "modes",
        {"1 sample": "val/stacked_modes"},
        perfect="stacked_modes",
    ),
    _Curve(
        "stacked_kl_uniform",
        "KL to uniform",
        "How far the triples' shares are from equal ones, on a logarithmic scale.",
        "nats",
        {"KL to uniform": "val/stacked_kl_uniform"},
        perfect="stacked_kl_uniform",
        log=True,
    ),
    _Curve(
        "coverage_density",
        "Coverage and density",
        "Share of real images with a sample in their ball, 0.97 at best, and real balls that hold a sample, 1 in the "
        "mean.",
        "score",
        {"coverage": "val/coverage", "density": "val/density"},
    ),
    _Curve(
        "sliced_wasserstein2",
        "Sliced Wasserstein-2",
        "Distance to held-out samples; it decides which checkpoint is the best unless configured otherwise.",
        "distance",
        {"sliced W2": "val/sliced_wasserstein2"},
        perfect="sliced_wasserstein2",
    ),
    _Curve(
        "losses",
        "Losses",
        "What each player descends, averaged over its mixture. In a game, losses need not fall.",
        "loss",
        {"generators": "loss/generators", "critics": "loss/critics"},
    ),
    _Curve(
        "effective_sizes",
        "Effective sizes",
        "How many particles really play: 1 / sum of squared weights.",
        "particles",
        {"generators": "weights/generator_effective_size", "critics": "weights/critic_effective_size"},
    ),
)


def portrait_pictures(run: LoadedRun, averaged: bool) -> list[Picture]:
    """Every portrait that fits the run's data."""
    figures = portraits(run.module, run.data, averaged)
    return [draw_picture(name, CAPTIONS.get(name, name.replace("_", " ")), figure) for name, figure in figures.items()]


def curve_pictures(history: History, result: Result, validation_size: int, clock: bool) -> list[Picture]:
    """The curves that were logged, over steps or over seconds.

    Args:
        history: from `read_history`.
        result: gives the dashed lines: what a perfect sampler of as many samples scores.
        validation_size: samples behind each point; the lines are left out if the result used another number, as
            scores depend on it.
        clock: over seconds instead of steps.
    """
    perfect = result.perfect if result.about["num_samples"] == validation_size else {}
    return [
        _draw(curve, {label: history[name] for label, name in curve.courses.items() if name in history}, perfect, clock)
        for curve in (*_frechet_curves(history), *_CURVES)
        if any(name in history for name in curve.courses.values())
    ]


def _frechet_curves(history: History) -> list[_Curve]:
    """One for each extractor, whose name is part of what is logged."""
    caption = "Of Gaussians fitted to features, on a logarithmic scale. Falls with the number of samples, too."
    metrics = [name.removeprefix("val/") for name in history if name == "val/fid" or name.startswith("val/fd_")]
    return [
        _Curve(one, image_reading(one).label, caption, "squared distance", {one: f"val/{one}"}, perfect=one, log=True)
        for one in metrics
    ]


def equilibrium_pictures(result: Result) -> list[Picture]:
    """The search for deviations, if there was one."""
    if result.equilibrium is None:
        return []
    found = result.equilibrium.found
    p, q = (weights.double().cpu() for weights in result.equilibrium.weights)
    critics = _deviation_curve(found.course.critics, float((p @ found.table).max()))
    generators = _deviation_curve(found.course.generators, float((found.table @ q).min()))
    gap = found.gap
    title = f"Duality gap at least {number(gap.value)} (95 %: {number(gap.low)} to {number(gap.high)})"
    figure = deviation_search(found.course.steps, critics, generators, found.value.value, title)
    caption = (
        "What the best deviations found are worth against the opponent's mixture. Their distance bounds the duality "
        "gap from below; curves that still part at the end ask for a longer search."
    )
    return [draw_picture("equilibrium", caption, figure)]


def _deviation_curve(estimates: Sequence[Estimate], best_atom: float) -> DeviationCurve:
    values, low, high = np.array(estimates, float).T
    return DeviationCurve(values, low, high, best_atom)


def _draw(curve: _Curve, courses: dict[str, Course], perfect: Mapping[str, float], clock: bool) -> Picture:
    suffix, xlabel = ("seconds", "seconds of training") if clock else ("steps", "steps")
    reference = None if curve.perfect is None else perfect.get(curve.perfect)
    figure = metric_curves(
        {label: (course.seconds if clock else course.steps, course.values) for label, course in courses.items()},
        xlabel,
        curve.ylabel,
        curve.title,
        reference=reference,
        reference_label="perfect sampler",
        log=curve.log and (reference is None or reference > 0),
    )
    figure.set_size_inches(CURVE_SIZE)
    return draw_picture(f"training_{curve.name}_{suffix}", curve.caption, figure)


def draw_picture(name: str, caption: str, figure: Figure) -> Picture:
    """A figure as a file of that name, with its size on the page."""
    png = to_png(figure, SHARPNESS * DPI)
    width, height = struct.unpack(">II", png[16:24])  # the IHDR chunk, PNG specification, section 11.2.2
    return Picture(name, caption, png, width // SHARPNESS, height // SHARPNESS)
