"""Mixtures beside single networks: how their scores rise with what they spend, and what a budget buys."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from mixnash.core.errors import require
from mixnash.figures.arrays import Array, numbers
from mixnash.figures.style import (
    ACCENT,
    GREY,
    INK,
    LABEL_SIZE,
    PALE,
    TICK_SIZE,
    WARNING,
    dress,
    new_figure,
    value_ticks,
)

_WIDTH = 8.4  # inches
_COLUMNS, _ROW = 4, 1.42  # small multiples: panels in a row, inches of a row
_STRIP_ROW = 0.21  # inches for each method
_STEP = 0.6180339887498949  # golden ratio: its multiples modulo 1 spread evenly, however many there are
_SHARES = "mixture", "single network"
_PLAIN = 1e4  # up to here numbers are written out


class MethodCurves(NamedTuple):
    """A score of one method over what it spent."""

    name: str
    mixture: bool
    """Of several networks, or one network per player: two colours."""
    spent: Float[Array, " n"]
    """Positive and increasing."""
    scores: Float[Array, "seeds n"]
    """What is not finite leaves a gap."""


class Strip(NamedTuple):
    """One number of every method and seed."""

    title: str
    xlabel: str
    values: Sequence[Float[Array, " _"]]
    """By method; infinite where a seed never got there: a hollow mark at the right edge, and a count beside it."""
    logarithmic: bool = False
    perfect: float | None = None
    """Of a perfect sampler: a dashed line."""


def method_grid(
    curves: Sequence[MethodCurves], title: str, xlabel: str, ylabel: str, perfect: float | None = None
) -> Figure:
    """One small panel for each method, its median over the seeds and their range, before all other medians in grey.

    Args:
        curves: at least one.
        title: the figure's title.
        xlabel: what is spent; the axes are logarithmic.
        ylabel: the score.
        perfect: what a perfect sampler scores: a dashed line.

    Raises:
        InvalidInputError: without curves, or when shapes differ or nothing was spent.
    """
    require(len(curves) > 0, "Expected at least one method, found none.")
    checked = [_checked(one) for one in curves]
    columns = min(_COLUMNS, len(curves))
    rows = -(-len(curves) // columns)
    figure = new_figure(_WIDTH, rows * _ROW + 1.1, title)
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    highest = max([0.0 if perfect is None else perfect, *(float(np.nanmax(ys, initial=0.0)) for _, ys in checked)])
    for place, axes in enumerate(panels.flat):
        if place >= len(curves):
            axes.set_visible(False)
            continue
        for xs, ys in checked:
            axes.plot(xs, _middle(ys), color=PALE, linewidth=0.7, zorder=1)
        _draw_own(axes, *checked[place], _colour(curves[place].mixture))
        if perfect is not None:
            axes.axhline(perfect, color=INK, linewidth=0.7, linestyle=(0, (4, 3)), zorder=2)
        axes.set(xscale="log", ylim=(0, 1.06 * highest or 1.0))
        axes.yaxis.set_major_locator(value_ticks(5))
        lowest = place + columns >= len(curves)
        _plain_decades(axes)
        dress(axes, xlabel if lowest else "", "")
        axes.set_title(curves[place].name, loc="left", fontsize=LABEL_SIZE, color=INK)
        axes.tick_params(labelbottom=lowest)
    figure.supylabel(ylabel, fontsize=LABEL_SIZE, color=INK)
    _legend(figure, perfect is not None, [Line2D([], [], color=PALE, label="medians of the others")])
    return figure


def method_strips(methods: Sequence[tuple[str, bool]], strips: Sequence[Strip], title: str) -> Figure:
    """Methods as rows, side by side in every strip: one dot per seed and a bar at the median.

    Args:
        methods: (name, whether it is a mixture), from top to bottom.
        strips: at least one; all with values for every method, which may be empty.
        title: the figure's title.

    Raises:
        InvalidInputError: without methods or strips, or when counts differ.
    """
    require(len(methods) > 0 and len(strips) > 0, "Expected at least one method and one strip.")
    figure = new_figure(_WIDTH, len(methods) * _STRIP_ROW + 1.5, title)
    panels = figure.subplots(1, len(strips), sharey=True, squeeze=False)[0]
    for strip, axes in zip(strips, panels, strict=True):
        found = len(strip.values)
        require(found == len(methods), f"{strip.title}: expected {len(methods)} methods, found {found}.")
        axes.set_xscale("log" if strip.logarithmic else "linear")
        edge = _edge(strip)
        for row, (values, (name, mixture)) in enumerate(zip(strip.values, methods, strict=True)):
            _draw_strip(axes, numbers(values, f"values of {name}", "seeds"), row, _colour(mixture), edge)
        if strip.perfect is not None:
            axes.axvline(strip.perfect, color=INK, linewidth=0.7, linestyle=(0, (4, 3)), zorder=1)
        axes.set_ylim(len(methods) - 0.4, -0.6)
        axes.set_yticks(np.arange(len(methods)), [name for name, _ in methods])
        for row in range(len(methods)):
            axes.axhline(row, color="#ececec", linewidth=0.6, zorder=0)
        if strip.logarithmic:
            _plain_decades(axes)
        else:
            axes.set_xlim(left=0)
            axes.xaxis.set_major_locator(value_ticks(4))
        dress(axes, strip.xlabel, "")
        axes.set_title(strip.title, loc="left", fontsize=TICK_SIZE, color=INK)
    never = any(np.isinf(np.asarray(values)).any() for strip in strips for values in strip.values)
    missed = Line2D(
        [], [], marker=">", ls="", ms=5, mfc="white", mec=GREY, label="a seed that never got there; n/m: n seeds did"
    )
    perfect = any(strip.perfect is not None for strip in strips)
    _legend(figure, perfect, [missed] if never else [])
    return figure


def _checked(curves: MethodCurves) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    xs = numbers(curves.spent, f"what {curves.name} spent", "n")
    require(bool((xs > 0).all()), f"What {curves.name} spent must be positive: the axis is logarithmic.")
    return xs, numbers(curves.scores, f"scores of {curves.name}", "seeds", len(xs))


def _middle(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.median(scores, axis=0)) if len(scores) else np.full(scores.shape[1], np.nan)


def _draw_own(axes: Axes, xs: NDArray[np.float64], ys: NDArray[np.float64], colour: str) -> None:
    if len(ys):
        axes.fill_between(xs, ys.min(0), ys.max(0), color=colour, alpha=0.25, linewidth=0, zorder=3)
    axes.plot(xs, _middle(ys), color=colour, linewidth=1.6, zorder=4)


def _colour(mixture: bool) -> str:
    return ACCENT if mixture else WARNING


def _plain_decades(axes: Axes) -> None:
    """Ticks at decades, with 2 and 5 between few; written out where that is short."""
    low, high = axes.get_xlim()
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 100 * low else (1,), numticks=7))
    if high < _PLAIN:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())


def _edge(strip: Strip) -> float:
    """Where what never got there stands: a little beyond everything else."""
    finite = np.concatenate([np.asarray(values, dtype=float)[np.isfinite(values)] for values in strip.values])
    largest = float(finite.max(initial=0.0)) or 1.0
    return largest * (1.6 if strip.logarithmic else 1.1)


def _draw_strip(axes: Axes, values: NDArray[np.float64], row: int, colour: str, edge: float) -> None:
    beside = row + 0.5 * ((np.arange(len(values)) + 1) * _STEP % 1 - 0.5)
    there = np.isfinite(values)
    never = np.isinf(values)
    style: dict[str, Any] = {"ls": "", "mec": colour, "zorder": 2}
    axes.plot(values[there], beside[there], marker="o", ms=4.2, mfc=colour, mew=0, alpha=0.6, **style)
    axes.plot(np.full(int(never.sum()), edge), beside[never], marker=">", ms=4.2, mfc="white", mew=0.9, **style)
    middle = float(np.median(values)) if len(values) else np.nan
    if np.isfinite(middle):
        axes.plot([middle, middle], [row - 0.36, row + 0.36], color=INK, linewidth=1.8, zorder=3)
    if never.any():
        words: dict[str, Any] = {"fontsize": TICK_SIZE, "color": INK, "va": "center"}
        axes.annotate(
            f"{int(there.sum())}/{len(values)}",
            (1.0, row),
            (5, 0),
            ("axes fraction", "data"),
            textcoords="offset points",
            **words,
        )


def _legend(figure: Figure, perfect: bool, more: Sequence[Line2D]) -> None:
    handles = [
        Line2D([], [], color=_colour(mixture), linewidth=2.4, label=label)
        for mixture, label in zip((True, False), _SHARES, strict=True)
    ]
    if perfect:
        handles.append(Line2D([], [], color=INK, linewidth=0.8, linestyle=(0, (4, 3)), label="perfect sampler"))
    style: dict[str, Any] = {"frameon": False, "fontsize": TICK_SIZE, "labelcolor": INK}
    figure.legend(handles=[*handles, *more], loc="outside lower left", ncols=4, **style)
