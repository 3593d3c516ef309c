"""Mixed strategies: payoffs, weights, and which particle feeds which mode."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Num
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mixnash.figures.arrays import Array, counts, numbers, probabilities
from mixnash.figures.style import (
    ACCENT,
    DIVERGING,
    GREY,
    INK,
    TICK_SIZE,
    WARNING,
    colour_bar,
    dress,
    index_ticks,
    new_figure,
    particle_colours,
    value_ticks,
)

_MARGIN_BARS = 0.75  # inches: length of the bars beside a matrix
_LABELS = 1.55  # inches: axis labels and colour bar around a matrix and its bars
_SEPARATE_BARS = 100
_DOTS = 640  # what a heat map is enlarged to before it is drawn, so that neither rows nor columns blur or vanish
_READABLE_CELLS = 8  # rows or columns up to which numbers fit into cells


class _Bars(NamedTuple):
    heights: NDArray[np.float64]
    name: str  # what the bars stand for, one each
    quantity: str  # what their length measures


class _Heat(NamedTuple):
    colours: Colormap
    norm: Normalize
    label: str
    digits: str  # format of a number in a cell


def payoff_matrix(
    values: Float[Array, "K L"], generator_weights: Float[Array, " K"], critic_weights: Float[Array, " L"], title: str
) -> Figure:
    r"""Payoffs of all pairs of particles with both players' weights, and the value :math:`p^T A q` they give.

    Args:
        values: payoffs A [K, L]; red where the critics win, blue where the generators do, grey where not finite.
        generator_weights: p [K], summing to 1.
        critic_weights: q [L], summing to 1.
        title: the figure's title.

    Raises:
        InvalidInputError: when shapes differ or weights are no probabilities.
    """
    payoffs = numbers(values, "payoffs", "K", "L")
    rows = probabilities(generator_weights, "weights of generators", payoffs.shape[0])
    columns = probabilities(critic_weights, "weights of critics", payoffs.shape[1])
    shown = np.ma.masked_invalid(payoffs)
    bound = float(np.abs(shown).max()) if shown.count() else 0.0
    heat = _Heat(DIVERGING, Normalize(-(bound or 1.0), bound or 1.0), "payoff", "{:.2g}")
    played = np.where(rows[:, None] * columns > 0, payoffs, 0.0)
    value = f"{float(rows @ played @ columns):.4g}" if bool(np.isfinite(played).all()) else "not finite"
    note = f"value of the mixture: {value}"
    return _matrix(shown, _Bars(rows, "generator", "weight"), _Bars(columns, "critic", "weight"), heat, note, title)


def particle_weights(generator_weights: Float[Array, " K"], critic_weights: Float[Array, " L"], title: str) -> Figure:
    r"""Weights of both players' particles against the uniform level, with the effective size :math:`1 / \sum_k p_k^2`.

    Generators wear the colours that they have in `plane.sample_scatter`.

    Args:
        generator_weights: p [K], summing to 1.
        critic_weights: q [L], summing to 1.
        title: the figure's title.

    Raises:
        InvalidInputError: when weights are no probabilities.
    """
    generators = probabilities(generator_weights, "weights of generators", "K")
    critics = probabilities(critic_weights, "weights of critics", "L")
    shares = [max(len(weights), 9.0) ** 0.5 for weights in (generators, critics)]
    figure = new_figure(7.6, 3.0, title)
    left, right = figure.subplots(1, 2, width_ratios=shares)
    _weight_bars(left, _Bars(generators, "generator", "weight"), particle_colours(len(generators)))
    _weight_bars(right, _Bars(critics, "critic", "weight"), np.full((len(critics), 3), 0.55))
    return figure


def mode_histogram(samples: Num[Array, " M"], expected: Num[Array, " M"], title: str) -> Figure:
    r"""Samples per mode against the expected number :math:`e_m`, within
    :math:`e_m \pm 2 \sqrt{e_m (1 - e_m / n)}`, the multinomial standard deviation for :math:`n = \sum_m e_m`.

    Args:
        samples: number of samples [M] of each mode.
        expected: expected number [M], at least 0.
        title: the figure's title.

    Raises:
        InvalidInputError: when there is no mode, shapes differ, or an entry is negative or not finite.
    """
    found = counts(samples, "samples of modes", "M")
    mean = counts(expected, "expected samples of modes", len(found))
    reach = 2 * np.sqrt(mean * (1 - mean / (mean.sum() or 1.0)).clip(0))
    normal = np.abs(found - mean) <= reach
    figure = new_figure(7.2, 3.4, title)
    axes = figure.subplots()
    edges = np.arange(len(found) + 1) - 0.5
    width = _bar_width(len(found))
    for chosen, colour, label in ((normal, ACCENT, "samples, within 2 sd"), (~normal, WARNING, "samples, beyond")):
        axes.bar(np.arange(len(found)), np.where(chosen, found, 0), width=width, color=colour, label=label)
    low, high = (mean - reach).clip(0), mean + reach
    axes.stairs(
        high, edges, baseline=low, fill=True, color=INK, alpha=0.16, linewidth=0, label="expected ± 2 sd", zorder=2
    )
    axes.stairs(mean, edges, baseline=None, color=INK, linewidth=1.0, label="expected", zorder=3)
    axes.set(xlim=(edges[0], edges[-1]), ylim=(0, 1.08 * max(float(high.max()), float(found.max()), 1.0)))
    axes.xaxis.set_major_locator(index_ticks(len(found), 26))
    axes.yaxis.set_major_locator(value_ticks(6))
    note = f"{int(normal.sum())} of {len(found)} modes within 2 sd, {found.sum():,.0f} samples in modes"
    dress(axes, "mode", "samples", note if found.any() else "no sample in any mode")
    figure.legend(loc="outside right upper", frameon=False, fontsize=TICK_SIZE, labelcolor=INK)
    return figure


def _bar_width(count: int) -> float:
    """Gaps between bars as long as they can be seen."""
    return 0.8 if count <= _SEPARATE_BARS else 1.0


def _weight_bars(axes: Axes, bars: _Bars, colours: NDArray[np.float64]) -> None:
    count = len(bars.heights)
    axes.bar(np.arange(count), bars.heights, width=_bar_width(count), color=colours)
    axes.axhline(1 / count, color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.set(xlim=(-0.6, count - 0.4), ylim=(0, 1.1 * max(float(bars.heights.max()), 1 / count)))
    axes.xaxis.set_major_locator(index_ticks(count, 13))
    axes.yaxis.set_major_locator(value_ticks(5))
    effective = 1 / float((bars.heights**2).sum())
    dress(axes, bars.name, bars.quantity, f"effective size {effective:.3g} of {count}")
    axes.annotate(
        "uniform",
        (1, 1 / count),
        xycoords=("axes fraction", "data"),
        xytext=(3, 0),
        textcoords="offset points",
        va="center",
        fontsize=TICK_SIZE,
        color=INK,
    )


def _matrix(values: np.ma.MaskedArray, rows: _Bars, columns: _Bars, heat: _Heat, note: str, title: str) -> Figure:
    """A heat map [rows, columns] with the columns' bars above, the rows' bars to the right, and a colour bar."""
    height, width = np.clip(np.array(values.shape) * 0.3, (1.2, 3.2), 5.6)
    figure = new_figure(width + _MARGIN_BARS + _LABELS, height + _MARGIN_BARS + 1.0, title)
    grid = figure.add_gridspec(
        2, 3, width_ratios=(width, _MARGIN_BARS, 0.18), height_ratios=(_MARGIN_BARS, height), wspace=0.03, hspace=0.03
    )
    main = figure.add_subplot(grid[1, 0])
    above, right = figure.add_subplot(grid[0, 0], sharex=main), figure.add_subplot(grid[1, 1], sharey=main)
    down, along = (-(-_DOTS // side) for side in values.shape)
    extent = (-0.5, values.shape[1] - 0.5, values.shape[0] - 0.5, -0.5)
    dots = values.repeat(down, 0).repeat(along, 1)
    image = main.imshow(dots, cmap=heat.colours, norm=heat.norm, aspect="auto", extent=extent)
    if max(values.shape) <= _READABLE_CELLS:
        _write_cells(main, values, heat)
    main.xaxis.set_major_locator(index_ticks(values.shape[1], max(2, int(width / 0.25))))
    main.yaxis.set_major_locator(index_ticks(values.shape[0], max(2, int(height / 0.17))))
    above.bar(np.arange(len(columns.heights)), columns.heights, width=_bar_width(values.shape[1]), color=GREY)
    right.barh(np.arange(len(rows.heights)), rows.heights, height=_bar_width(values.shape[0]), color=GREY)
    above.set_ylim(0, 1.05 * (columns.heights.max() or 1.0))
    right.set_xlim(0, 1.05 * (rows.heights.max() or 1.0))
    above.yaxis.set_major_locator(value_ticks(2))
    right.xaxis.set_major_locator(value_ticks(2))
    dress(main, columns.name, rows.name, boxed=True)
    dress(above, "", columns.quantity, note)
    dress(right, rows.quantity, "")
    above.tick_params(labelbottom=False)
    right.tick_params(labelleft=False)
    colour_bar(figure.add_subplot(grid[1, 2]), image, heat.label)
    return figure


def _write_cells(axes: Axes, values: np.ma.MaskedArray, heat: _Heat) -> None:
    for (row, column), value in np.ndenumerate(values.filled(np.nan)):
        if np.isfinite(value):
            red, green, blue, _ = heat.colours(heat.norm(value))
            dark = 0.30 * red + 0.59 * green + 0.11 * blue < 0.5  # luma of Rec. 601
            text = heat.digits.format(value).replace("-", "\N{MINUS SIGN}")
            axes.text(column, row, text, ha="center", va="center", fontsize=TICK_SIZE, color="white" if dark else INK)
