"""One factor at a time: what each setting does to each score, every seed shown."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mixnash.core.errors import require
from mixnash.figures.arrays import Array, numbers
from mixnash.figures.style import ACCENT, GREY, INK, LABEL_SIZE, NOTE_SIZE, PALE, dress, new_figure, value_ticks

_WIDTH, _ROW = 8.4, 1.22  # inches: of the figure, of a factor
_BESIDE = 0.12  # levels: seeds beside each other


class Level(NamedTuple):
    """One setting of a factor."""

    name: str
    scores: Float[Array, "seeds scores"]
    """NaN where a training failed; such seeds are counted below the level's name."""
    base: bool = False
    """Whether this is the setting that all other factors are varied at."""


class Factor(NamedTuple):
    """What is varied."""

    name: str
    levels: Sequence[Level]


class Score(NamedTuple):
    """What is measured."""

    name: str
    perfect: float
    """Of a perfect sampler: a dashed line."""
    logarithmic: bool = False


def factor_dots(factors: Sequence[Factor], scores: Sequence[Score], title: str) -> Figure:
    """Small multiples, a row for each factor and a column for each score; dots are seeds, ticks their medians.

    All panels of a score share one axis. The base setting stands on a grey ground.

    Args:
        factors: at least one, each with at least one level.
        scores: at least one.
        title: the figure's title.

    Raises:
        InvalidInputError: without factors, levels or scores, or when shapes differ.
    """
    require(len(factors) > 0 and len(scores) > 0, "Expected at least one factor and one score.")
    require(all(factor.levels for factor in factors), "Every factor needs at least one level.")
    figure = new_figure(_WIDTH, len(factors) * _ROW + 0.9, title)
    panels = figure.subplots(len(factors), len(scores), squeeze=False, sharey="col")
    for row, factor in enumerate(factors):
        found = [
            numbers(level.scores, f"scores at {factor.name} {level.name}", "seeds", len(scores))
            for level in factor.levels
        ]
        for column, score in enumerate(scores):
            axes = panels[row, column]
            axes.set_yscale("log" if score.logarithmic else "linear")
            axes.axhline(score.perfect, color=INK, linewidth=0.7, linestyle=(0, (4, 3)), zorder=1)
            _draw(axes, factor.levels, [level[:, column] for level in found])
            if not score.logarithmic:
                axes.yaxis.set_major_locator(value_ticks(4))
            dress(axes, "", factor.name if column == 0 else "")
            if row == 0:
                axes.set_title(score.name, loc="left", fontsize=LABEL_SIZE, color=INK)
        for axes in panels[row]:
            axes.yaxis.label.set_fontsize(NOTE_SIZE)
    figure.supxlabel(
        "dots: seeds; bars: medians; grey ground: the base setting; dashed: a perfect sampler",
        fontsize=NOTE_SIZE,
        color=GREY,
    )
    return figure


def _draw(axes: Axes, levels: Sequence[Level], values: Sequence[NDArray[np.float64]]) -> None:
    names = []
    for place, (level, seen) in enumerate(zip(levels, values, strict=True)):
        if level.base:
            axes.axvspan(place - 0.45, place + 0.45, color=PALE, alpha=0.5, linewidth=0, zorder=0)
        good = seen[np.isfinite(seen)]
        beside = place + _BESIDE * (np.arange(len(good)) - (len(good) - 1) / 2)
        axes.plot(beside, good, marker="o", ms=4.6, mew=0, ls="", color=ACCENT, alpha=0.75, zorder=3)
        if len(good):
            middle = float(np.median(good))
            axes.plot([place - 0.3, place + 0.3], [middle, middle], color=INK, linewidth=1.4, zorder=2)
        failed = len(seen) - len(good)
        names.append(f"{level.name}\n{failed} failed" if failed else level.name)
    axes.set_xlim(-0.5, len(levels) - 0.5)
    axes.set_xticks(np.arange(len(levels)), names)
