"""Bounds of a distance by stage and case, with their intervals."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mixnash.core.errors import require
from mixnash.figures.arrays import Array, numbers
from mixnash.figures.style import ACCENT, GREY, INK, WARNING, dress, new_figure

_WIDTH, _HEIGHT = 9.6, 3.9  # inches
_SPREAD = 0.7  # stages: all cases of a stage beside each other


class Bounds(NamedTuple):
    """What was found in all cases of one stage."""

    intervals: Float[Array, "cases 3"]
    """Value, lower and upper end."""
    early: Float[Array, " cases"]
    """Values of a shorter search."""
    restricted: Float[Array, " cases"]
    """What no value should be below."""


def ranked_bounds(stages: Mapping[str, Bounds], solved: Float[Array, "cases 3"], title: str) -> Figure:
    """Left, the cases of every stage beside each other, logarithmic; right, cases whose true value is zero.

    Args:
        stages: by name, in the expected order; at least one. All cases are in the same order.
        solved: value, lower and upper end of each case of true value zero.
        title: the figure's title.

    Raises:
        InvalidInputError: without stages, or when shapes differ.
    """
    require(len(stages) > 0, "Expected at least one stage.")
    figure = new_figure(_WIDTH, _HEIGHT, title)
    left, right = figure.subplots(1, 2, width_ratios=(1.6, 1.0))
    for place, (name, bounds) in enumerate(stages.items()):
        _draw_stage(left, place, name, bounds)
    left.set_yscale("log")
    left.set_xticks(np.arange(len(stages)), list(stages))
    dress(left, "", "lower bound of the duality gap", "one seed each; small dots: search of k updates")
    left.legend(frameon=False, fontsize=8, loc="best")
    shown = numbers(solved, "bounds of solved games", "cases", 3)
    order = shown[:, 0].argsort()
    _draw_intervals(right, np.arange(len(shown), dtype=np.float64), shown[order], ACCENT, "")
    right.axhline(0.0, color=INK, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    right.set_xticks([])
    dress(right, "solved matrix games, by value", "lower bound of the duality gap", "true gap: 0")
    return figure


def _draw_stage(axes: Axes, place: int, name: str, bounds: Bounds) -> None:
    shown = numbers(bounds.intervals, f"bounds of {name}", "cases", 3)
    x = place + np.linspace(-_SPREAD / 2, _SPREAD / 2, len(shown)) * (len(shown) > 1)
    first = place == 0
    _draw_intervals(axes, x, shown, ACCENT, "search of 4k updates, 95 % interval" if first else "")
    axes.plot(x, bounds.early, marker="o", ms=2.4, mew=0, ls="", color=GREY, label="k updates" if first else "")
    axes.plot(
        x, bounds.restricted, marker="_", ms=8, mew=1.4, ls="", color=WARNING, label="restricted gap" if first else ""
    )


def _draw_intervals(
    axes: Axes, x: Float[Array, " cases"], shown: Float[Array, "cases 3"], colour: str, label: str
) -> None:
    ends = np.stack([shown[:, 0] - shown[:, 1], shown[:, 2] - shown[:, 0]])
    axes.errorbar(x, shown[:, 0], ends, fmt="o", ms=4.0, mew=0, elinewidth=1.1, color=colour, zorder=3, label=label)
