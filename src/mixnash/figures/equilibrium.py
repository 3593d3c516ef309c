"""The search for deviations from a mixture: what the best of them are worth."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Num
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mixnash.core.errors import require
from mixnash.figures.arrays import Array, numbers
from mixnash.figures.style import ACCENT, GREY, INK, TICK_SIZE, WARNING, dress, new_figure, value_ticks

_FAR = 50
"""How many times further off than at its start a search may end on an even scale."""


class DeviationCurve(NamedTuple):
    """What one player's best deviation is worth over the search, with its interval."""

    values: Num[Array, " n"]
    low: Num[Array, " n"]
    high: Num[Array, " n"]
    best_atom: float
    """What the best of the player's own atoms is worth."""


def deviation_search(
    steps: Sequence[int], critics: DeviationCurve, generators: DeviationCurve, value: float, title: str
) -> Figure:
    """Two curves, between which lies the lower bound of the duality gap; the payoff of the mixtures lies between them.

    Args:
        steps: updates of the search [n], from 0.
        critics: the best critic against the mixture of generators.
        generators: the best generator against the mixture of critics.
        value: the payoff of the two mixtures.
        title: the figure's title.

    Raises:
        InvalidInputError: without points, or when shapes differ.
    """
    require(len(steps) > 0, "Expected a search of at least one point, found none.")
    x = np.asarray(steps, float)
    figure = new_figure(7.2, 4.2, title)
    axes = figure.subplots()
    top = _curve(axes, x, critics, ACCENT, "best critic found")
    axes.axhline(value, color=INK, linewidth=0.8, label="the mixtures themselves", zorder=1)
    bottom = _curve(axes, x, generators, WARNING, "best generator found")
    axes.fill_between(x, bottom, top, color=GREY, alpha=0.10, linewidth=0, label="gap, a lower bound", zorder=0)
    axes.xaxis.set_major_locator(value_ticks(7))
    unit = _linear_range(critics, generators, value)
    if unit is None:
        axes.yaxis.set_major_locator(value_ticks(6))
    else:
        axes.set_yscale("symlog", linthresh=unit)
    axes.grid(axis="y", color="#e9e9e9", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.set_xlim(x[0], max(x[-1], x[0] + 1))
    dress(
        axes,
        "updates of the search",
        "payoff less penalty" + ("" if unit is None else f", logarithmic beyond ±{unit:g}"),
        "bands: 95 % intervals; between the dashed lines: restricted gap",
    )
    figure.legend(loc="outside right upper", frameon=False, fontsize=TICK_SIZE, labelcolor=INK, handlelength=1.6)
    return figure


def _linear_range(critics: DeviationCurve, generators: DeviationCurve, value: float) -> float | None:
    """The power of ten that the search starts within, if it ends so far outside that its start would look flat.

    Where nothing holds critics away from the data, the best generator found may be thousands of times further off than
    the atoms.
    """
    curves = [np.asarray(one.values, float) for one in (critics, generators)]
    near = max(abs(float(one) - value) for one in (critics.best_atom, generators.best_atom, *(c[0] for c in curves)))
    far = max(float(np.abs(one - value).max()) for one in curves)
    return 10.0 ** math.ceil(math.log10(near)) if far > _FAR * near > 0 else None


def _curve(axes: Axes, x: NDArray[np.float64], curve: DeviationCurve, colour: str, label: str) -> NDArray[np.float64]:
    values, low, high = (numbers(one, f"a side of the {label}", len(x)) for one in curve[:3])
    axes.plot(x, values, color=colour, linewidth=1.6, marker="o", markersize=3, label=label, zorder=3)
    axes.fill_between(x, low, high, color=colour, alpha=0.25, linewidth=0, zorder=1)
    atom_label = label.replace("found", "atom")
    axes.axhline(curve.best_atom, color=colour, linewidth=1.2, linestyle=(0, (4, 3)), label=atom_label, zorder=2)
    return values
