"""How fast errors fall: curves on logarithmic axes beside lines of known slope."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Num
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from mixnash.core.errors import require
from mixnash.figures.arrays import Array, numbers
from mixnash.figures.fields import Look, balanced_columns, head, method_handles, method_looks
from mixnash.figures.style import GREY, INK, TICK_SIZE, dress, new_figure, value_ticks

_SINGLE_WIDTH, _GRID_WIDTH = 6.8, 8.1  # inches: figures of one panel, of several
_SINGLE_HEIGHT, _ROW = 3.9, 2.65  # inches: a figure of one panel, a row of panels
_FEW = 25  # points up to which each is marked
_LINE = 0.19  # inches between labels at the ends of lines
_FLOOR = 3.0  # below the smallest positive value by this factor stands what is 0 or less
_ABOVE = 1.7  # a reference line keeps above the curve it goes with by this factor
_DASHES = (0, (4, 2.5))
_SMALL: dict[str, Any] = {"fontsize": TICK_SIZE, "color": GREY}


class RateCurve(NamedTuple):
    """An error of one method over its steps."""

    name: str
    """Of the method: one colour in all panels."""
    steps: Num[Array, " n"]
    values: Num[Array, " n"]
    spread: tuple[Num[Array, " n"], Num[Array, " n"]] | None = None
    """(low, high), shaded."""


class RatePanel(NamedTuple):
    """Curves on one pair of axes."""

    title: str
    curves: Sequence[RateCurve]
    slopes: Sequence[tuple[str, float]]
    """(label, exponent e) of dashed lines: step^e on a logarithmic horizontal axis, exp(e step) on a linear one."""
    ylabel: str


class _Drawn(NamedTuple):
    name: str
    steps: NDArray[np.float64]
    values: NDArray[np.float64]  # NaN where nothing can be shown


def rates(panels: Sequence[RatePanel], title: str, xlabel: str, logx: bool = True, logy: bool = True) -> Figure:
    """Errors over steps; a single panel names its curves at their ends, several share one legend.

    Each reference line runs over the second half of the axis, just above the curve whose slope is nearest to its own.
    On a logarithmic vertical axis, values of 0 or less are hollow triangles on a dotted floor a little below the
    smallest positive value. What is not finite, and steps of 0 or less on a logarithmic axis, leave a gap.

    Args:
        panels: at least one.
        title: the figure's title.
        xlabel: what a step is.
        logx: logarithmic horizontal axes.
        logy: logarithmic vertical axes.

    Raises:
        InvalidInputError: without panels or curves, when shapes differ, or when there are more methods than can be
            told apart.
    """
    require(len(panels) > 0, "Expected at least one panel, found none.")
    looks = method_looks(curve.name for panel in panels for curve in panel.curves)
    columns = balanced_columns(len(panels))
    rows = -(-len(panels) // columns)
    single = len(panels) == 1
    width, height = (_SINGLE_WIDTH, _SINGLE_HEIGHT) if single else (_GRID_WIDTH, rows * _ROW + 0.8)
    figure = new_figure(width, height, title)
    same = len({panel.ylabel for panel in panels}) == 1
    for place, panel in enumerate(panels):
        axes = figure.add_subplot(rows, columns, place + 1)
        drawn = [_checked(curve, panel.title, logx) for curve in panel.curves]
        floor = _floor(drawn) if logy else None
        axes.set(xscale="log" if logx else "linear", yscale="log" if logy else "linear")
        for curve, found in zip(panel.curves, drawn, strict=True):
            _draw(axes, curve, found, looks[curve.name], floor)
        if floor is not None:
            axes.axhline(floor, color=GREY, linewidth=0.8, linestyle=(0, (1, 2)), zorder=1)
            axes.annotate("0 or less", (0, floor), (4, 3), ("axes fraction", "data"), "offset points", **_SMALL)
        for label, exponent in panel.slopes:
            _reference(axes, drawn, label, exponent, logx)
        if not logx:
            axes.xaxis.set_major_locator(value_ticks(6))
        axes.grid(color="#ececec", linewidth=0.6)
        axes.set_axisbelow(True)
        dress(axes, xlabel if place + columns >= len(panels) else "", "" if same and place % columns else panel.ylabel)
        head(axes, panel.title, "", width / columns - 0.6)
        if single:
            _name_ends(axes, drawn, looks, floor)
    if not single:
        _legend(figure, looks, any(panel.slopes for panel in panels))
    return figure


def _legend(figure: Figure, looks: dict[str, Look], slopes: bool) -> None:
    handles = method_handles(looks)
    if slopes:
        handles.append(Line2D([], [], color=GREY, linestyle=_DASHES, linewidth=1.1, label="reference slope"))
    style: dict[str, Any] = {"frameon": False, "fontsize": TICK_SIZE, "labelcolor": INK, "handlelength": 1.9}
    figure.legend(handles=handles, loc="outside lower left", ncols=min(len(handles), 5), **style)


def _checked(curve: RateCurve, panel: str, logx: bool) -> _Drawn:
    steps = numbers(curve.steps, f"steps of {curve.name} in {panel}", "n")
    values = numbers(curve.values, f"values of {curve.name} in {panel}", len(steps))
    shown = np.isfinite(steps) & np.isfinite(values) & ((steps > 0) | (not logx))
    return _Drawn(curve.name, np.where(shown, steps, np.nan), np.where(shown, values, np.nan))


def _floor(drawn: Sequence[_Drawn]) -> float | None:
    """Where values of 0 or less stand on a logarithmic axis; None without any."""
    values = np.concatenate([curve.values for curve in drawn])
    positive = values[values > 0]
    if not (values <= 0).any():
        return None
    return float(positive.min()) / _FLOOR if positive.size else 1.0


def _draw(axes: Axes, curve: RateCurve, drawn: _Drawn, look: Look, floor: float | None) -> None:
    heights = drawn.values if floor is None else np.where(drawn.values <= 0, floor, drawn.values)
    marker = "o" if len(heights) <= _FEW else ""
    style: dict[str, Any] = {"color": look.colour, "linestyle": look.dashes, "linewidth": 1.6, "markersize": 3.2}
    axes.plot(drawn.steps, heights, marker=marker, label=drawn.name, zorder=3, **style)
    if curve.spread is not None:
        count = len(heights)
        low, high = (numbers(side, f"a side of the spread of {curve.name}", count) for side in curve.spread)
        bottom = float(np.nanmin(heights)) / _FLOOR if axes.get_yscale() == "log" and count else -np.inf
        axes.fill_between(drawn.steps, low.clip(bottom), high.clip(bottom), color=look.colour, alpha=0.16, linewidth=0)
    if floor is not None:
        sunk = drawn.values <= 0
        if not marker:  # among many, only the first of those that follow each other
            sunk[1:] &= ~sunk[:-1].copy()
        style = {"marker": "v", "ms": 5.5, "mfc": "white", "mec": look.colour, "mew": 1.1, "ls": ""}
        axes.plot(drawn.steps[sunk], heights[sunk], zorder=4, **style)


def _reference(axes: Axes, drawn: Sequence[_Drawn], label: str, exponent: float, logx: bool) -> None:
    """A dashed line over the second half, just above the curve with the nearest slope; nothing without any curve."""
    places = [np.log(curve.steps) if logx else curve.steps for curve in drawn]
    known = np.concatenate([place[np.isfinite(place)] for place in places])
    if known.size == 0:
        return
    begin, end = (known.min() + known.max()) / 2, known.max()
    heights = []
    for place, curve in zip(places, drawn, strict=True):
        late = (place >= begin) & (curve.values > 0)
        if len(np.unique(place[late])) > 1:
            logs = np.log(curve.values[late])
            slope = np.polyfit(place[late], logs, 1)[0]
            heights.append((abs(slope - exponent), float((logs - exponent * place[late]).max())))
    if not heights:
        return
    height = min(heights)[1] + np.log(_ABOVE)
    along = np.linspace(begin, end, 60)
    steps, values = np.exp(along) if logx else along, np.exp(height + exponent * along)
    axes.plot(steps, values, color=GREY, linewidth=1.1, linestyle=_DASHES, zorder=2, label=f"_{label}")
    text = "\N{MINUS SIGN}" + label[1:] if label.startswith("-") else label
    ground = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.6}
    axes.annotate(text, (steps[30], values[30]), (3, 4), textcoords="offset points", bbox=ground, zorder=5, **_SMALL)


def _name_ends(axes: Axes, drawn: Sequence[_Drawn], looks: dict[str, Look], floor: float | None) -> None:
    """Names beside the last points of the curves, apart from each other."""
    ends = []
    for curve in drawn:
        shown = np.flatnonzero(np.isfinite(curve.values))
        if len(shown):
            step, value = curve.steps[shown[-1]], curve.values[shown[-1]]
            ends.append((curve.name, step, value if floor is None else max(value, floor)))
    if not ends:
        return
    to_axes = axes.transData + axes.transAxes.inverted()
    axes.autoscale_view()
    wanted = np.array([to_axes.transform((step, value))[1] for _, step, value in ends])
    order = np.argsort(wanted, kind="stable")
    apart = _LINE / (_SINGLE_HEIGHT - 1.0)
    for place, (name, step, value) in zip(_spread(wanted[order], apart), [ends[k] for k in order], strict=True):
        leader = {"arrowstyle": "-", "color": looks[name].colour, "linewidth": 1.0, "shrinkA": 1, "shrinkB": 2}
        text: dict[str, Any] = {"fontsize": TICK_SIZE, "color": INK, "va": "center", "arrowprops": leader}
        axes.annotate(name, (step, value), (1.04, place), "data", "axes fraction", **text)


def _spread(wanted: NDArray[np.float64], apart: float) -> NDArray[np.float64]:
    """Increasing heights nearest to the increasing `wanted` ones, at least `apart` from each other."""
    slack = wanted - apart * np.arange(len(wanted))
    groups: list[list[float]] = []
    for one in slack:  # pool adjacent violators
        groups.append([one])
        while len(groups) > 1 and np.mean(groups[-2]) > np.mean(groups[-1]):
            last = groups.pop()
            groups[-1] += last
    pooled = np.concatenate([np.full(len(group), np.mean(group)) for group in groups])
    return np.asarray(pooled + apart * np.arange(len(wanted)))
