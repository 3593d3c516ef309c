"""Metrics over training."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Num
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mixnash.core.errors import require
from mixnash.figures.arrays import Array, numbers
from mixnash.figures.style import GREY, INK, TICK_SIZE, dress, new_figure, particle_colours, value_ticks

_FEW = 25  # points up to which each is marked
_LEGEND_ROWS = 14


def metric_curves(
    curves: Mapping[str, tuple[Num[Array, " _"], Num[Array, " _"]]],
    xlabel: str,
    ylabel: str,
    title: str,
    *,
    reference: float | None = None,
    reference_label: str = "reference",
    bands: Mapping[str, tuple[Num[Array, " _"], Num[Array, " _"], Num[Array, " _"]]] | None = None,
    log: bool = False,
) -> Figure:
    """One line per label; values that are not finite leave a gap.

    Args:
        curves: label to (x [n], y [n]), at least one; n may be 0 and differs freely.
        xlabel: what x is, with its unit.
        ylabel: what y is, with its unit.
        title: the figure's title.
        reference: height of a dashed line.
        reference_label: what the dashed line is.
        bands: label of a curve to (x [n], lower [n], upper [n]), shaded in the curve's colour.
        log: draw y on a logarithmic axis; values that are not positive leave a gap.

    Raises:
        InvalidInputError: without curves, when shapes differ, when a band has no curve, or when a logarithmic axis is
            to show a reference that is not positive.
    """
    bands = {} if bands is None else bands
    strangers = sorted(set(bands) - set(curves))
    require(len(curves) > 0, "Expected at least one curve, found none.")
    require(not strangers, f"Every band needs a curve of its label; these have none: {', '.join(strangers)}.")
    require(
        reference is None or not log or reference > 0,
        f"A logarithmic axis cannot show the reference {reference}; pass log=False.",
    )
    figure = new_figure(7.2, 3.8, title)
    axes = figure.subplots()
    shown = [np.empty(0)] if reference is None else [np.array([reference])]
    for (label, (x, y)), colour in zip(curves.items(), particle_colours(len(curves)), strict=True):
        xs = numbers(x, f"x of {label}", "n")
        ys = _drawable(numbers(y, f"y of {label}", len(xs)), log)
        shown.append(ys[np.isfinite(ys)])
        marker = "o" if len(xs) <= _FEW else ""
        axes.plot(xs, ys, color=colour, linewidth=1.5, marker=marker, markersize=3, label=label, zorder=2)
        if label in bands:
            across = numbers(bands[label][0], f"x of the band of {label}", "n")
            low, high = (numbers(side, f"a side of the band of {label}", len(across)) for side in bands[label][1:])
            axes.fill_between(across, low, high, color=colour, alpha=0.18, linewidth=0, zorder=1)
    if reference is not None:
        axes.axhline(reference, color=GREY, linewidth=1.0, linestyle=(0, (4, 3)), label=reference_label, zorder=1)
    heights = np.concatenate(shown)
    if log:
        axes.set_yscale("log")
        if heights.size:  # bands may reach zero: the curves decide how far down the axis goes
            axes.set_ylim(bottom=0.7 * heights.min())
    else:
        axes.yaxis.set_major_locator(value_ticks(6))
    axes.xaxis.set_major_locator(value_ticks(7))
    axes.ticklabel_format(axis="x", scilimits=(-3, 6))
    axes.grid(axis="y", color="#e9e9e9", linewidth=0.7)
    axes.set_axisbelow(True)
    entries = len(curves) + (reference is not None)
    nothing = "no positive value" if log else "no finite value"
    dress(axes, xlabel, ylabel, (next(iter(curves)) if entries == 1 else "") if heights.size else nothing)
    if entries > 1:
        columns = -(-entries // _LEGEND_ROWS)
        figure.legend(
            loc="outside right upper",
            frameon=False,
            fontsize=TICK_SIZE,
            labelcolor=INK,
            ncols=columns,
            handlelength=1.6,
        )
    return figure


def _drawable(values: NDArray[np.float64], log: bool) -> NDArray[np.float64]:
    """The values with NaN in place of what the axis cannot show."""
    shown = np.isfinite(values) & ((values > 0) | (not log))
    return np.where(shown, values, np.nan)
