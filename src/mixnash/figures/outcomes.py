"""Who converges: tables of outcomes, rates of success, and final errors of many runs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Polygon, Rectangle
from numpy.typing import NDArray

from mixnash.core.errors import require
from mixnash.figures.arrays import Array, numbers
from mixnash.figures.fields import Look, head, method_looks
from mixnash.figures.style import GREY, INK, TICK_SIZE, dress, new_figure

KIND_COLOURS = ("#7cd0e7", "#ffcb80", "#e07b5f", "#e6e6e6", "#73a8f0", "#c389b4", "#adbb9d")
"""Light enough for dark text; any two are at least 0.09 apart in Oklab, also without red, green or blue cones."""
_WIDTH = 8.1  # inches
_CELL, _CELL_HEIGHT = 0.66, 0.27  # inches: the widest cell, its height
_EM = 0.6  # mean width of a letter by its size
_SMALLEST = 5.0  # points
_ROW = 0.25  # inches for each method
_STEP = 0.6180339887498949  # golden ratio: its multiples modulo 1 spread evenly, however many there are
_SMALL: dict[str, Any] = {"fontsize": TICK_SIZE, "color": GREY}
_FLOOR = 3.0  # below the smallest positive error by this factor stands what is 0 or less


def outcome_matrix(
    rows: Sequence[str],
    columns: Sequence[str],
    kinds: Int[Array, "R C"],
    texts: Sequence[Sequence[str]],
    legend: Mapping[int, str],
    agreement: Bool[Array, "R C"] | None,
    title: str,
) -> Figure:
    """A coloured table of what became of every method in every setting.

    Args:
        rows: R settings.
        columns: C methods.
        kinds: kind of each outcome.
        texts: a few letters for each cell; made smaller where they would not fit.
        legend: name of every kind, seven at most; colours in their order.
        agreement: False where a reference says otherwise: a framed cell with a dark corner.
        title: the figure's title.

    Raises:
        InvalidInputError: when there is no cell, sizes differ, or a kind has no name.
    """
    require(len(rows) > 0 and len(columns) > 0, f"Expected at least one cell, found {len(rows)} x {len(columns)}.")
    require(0 < len(legend) <= len(KIND_COLOURS), f"Expected 1 to {len(KIND_COLOURS)} kinds, found {len(legend)}.")
    found = _integers(kinds, "kinds of outcomes", len(rows), len(columns))
    strangers = sorted(set(found.ravel().tolist()) - set(legend))
    require(not strangers, f"Every kind of outcome needs a name; these have none: {', '.join(map(str, strangers))}.")
    _check_texts(texts, len(rows), len(columns))
    agrees = np.ones(found.shape) if agreement is None else numbers(agreement, "agreement", *found.shape)
    labels = _EM * TICK_SIZE * max(map(len, rows)) / 72 + 0.4
    header = 0.7 * _EM * TICK_SIZE * max(map(len, columns)) / 72 + 0.3
    cell = min(_CELL, (_WIDTH - labels - header) / len(columns))
    width = max(labels + header + cell * len(columns), 4.0)
    figure = new_figure(width, header + _CELL_HEIGHT * len(rows) + 0.9, title)
    axes = figure.subplots()
    colours = dict(zip(legend, KIND_COLOURS, strict=False))
    for (row, column), kind in np.ndenumerate(found):
        _cell(axes, row, column, colours[int(kind)], texts[row][column], cell)
    for row, column in np.argwhere(agrees == 0).tolist():
        _mark(axes, row, column)
    _frame_table(axes, rows, columns)
    handles: list[Any] = [Patch(facecolor=colours[kind], label=name) for kind, name in legend.items()]
    if agreement is not None:
        differ = int((agrees == 0).sum())
        label = f"differs from the reference: {differ} of {found.size}"
        handles.append(Patch(facecolor="white", edgecolor=INK, linewidth=1.4, label=label))
    _legend(figure, handles, width)
    return figure


def success_bars(
    groups: Sequence[str],
    methods: Sequence[str],
    rates: Float[Array, "G M"],
    low: Float[Array, "G M"],
    high: Float[Array, "G M"],
    title: str,
    baseline: float | None = None,
    baseline_label: str = "baseline",
) -> Figure:
    """Rates of success with their intervals: a panel for each group, a row for each method.

    Args:
        groups: G names, of starts or games.
        methods: M names, coloured in their order.
        rates: in [0, 1].
        low: lower ends of the intervals, in [0, rate].
        high: upper ends, in [rate, 1].
        title: the figure's title.
        baseline: a rate to compare with, a dashed line of the name `baseline_label`.
        baseline_label: that name.

    Raises:
        InvalidInputError: without groups or methods, when shapes differ, or unless 0 <= low <= rate <= high <= 1.
    """
    require(len(groups) > 0, "Expected at least one group, found none.")
    looks = _distinct(methods)
    shape = len(groups), len(methods)
    found = numbers(rates, "rates of success", *shape)
    below, above = numbers(low, "lower ends", *shape), numbers(high, "upper ends", *shape)
    valid = bool(((below >= 0) & (below <= found) & (found <= above) & (above <= 1)).all())
    require(valid, "Expected 0 <= low <= rate <= high <= 1 for every group and method, found otherwise.")
    columns = min(len(groups), 3)
    lines = -(-len(groups) // columns)
    figure = new_figure(_WIDTH if columns > 1 else 5.6, lines * (_ROW * len(methods) + 0.7) + 0.7, title)
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for place, group in enumerate(groups):
        axes = panels[place]
        _intervals(axes, found[place], below[place], above[place], looks)
        if baseline is not None:
            axes.axvline(baseline, color=GREY, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1)
        axes.set(xlim=(-0.03, 1.03), xticks=(0, 0.5, 1), xticklabels=("0", "50%", "100%"))
        _method_rows(axes, methods if place % columns == 0 else [""] * len(methods))
        dress(axes, "success" if place + columns >= len(groups) else "", "")
        head(axes, group, "", _WIDTH / columns - 0.6)
    for spare in panels[len(groups) :]:
        spare.remove()
    dashed = Line2D([], [], color=GREY, linewidth=1.0, linestyle=(0, (4, 3)), label=baseline_label)
    rate = Line2D([], [], color=GREY, marker="o", linewidth=2.2, label="rate and its interval")
    _legend(figure, [rate] if baseline is None else [rate, dashed], _WIDTH)
    return figure


def gap_strips(methods: Sequence[str], gaps: Float[Array, "M n"], threshold: float, title: str) -> Figure:
    """Final Nikaido-Isoda errors of many runs, a row for each method, on a logarithmic axis.

    Dots are runs, bars medians; the share of runs below the threshold stands on the right. Errors of 0 or less are
    hollow on a dotted floor, errors that are not finite hollow at the right end; these count as above.

    Args:
        methods: M names, coloured in their order.
        gaps: an error for each method and run.
        threshold: positive; a dashed line.
        title: the figure's title.

    Raises:
        InvalidInputError: without methods or runs, when shapes differ, or when the threshold is not positive.
    """
    require(threshold > 0, f"A logarithmic axis cannot show the threshold {threshold}; it must be positive.")
    looks = _distinct(methods)
    found = numbers(gaps, "errors", len(methods), "n")
    require(found.size > 0, f"Expected at least one run, found errors of shape {found.shape}.")
    found = np.where(np.isfinite(found), found, np.inf)
    shown = np.concatenate([found[(found > 0) & np.isfinite(found)], [threshold]])
    floor, ceiling = float(shown.min()) / _FLOOR, float(shown.max()) * _FLOOR
    figure = new_figure(_WIDTH, 0.36 * len(methods) + 1.25, title)
    axes = figure.subplots()
    axes.set_xscale("log")
    for row, look in enumerate(looks.values()):
        _strip(axes, found[row], row, look.colour, (floor, ceiling))
        share = f"{(found[row] < threshold).mean():.0%}"
        axes.annotate(share, (1.02, row), None, ("axes fraction", "data"), va="center", fontsize=TICK_SIZE, color=INK)
    axes.axvline(threshold, color=GREY, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1)
    for place, text, any_there in ((floor, "0 or less", found <= 0), (ceiling, "not finite", np.isinf(found))):
        if any_there.any():
            axes.axvline(place, color=GREY, linewidth=0.8, linestyle=(0, (1, 2)), zorder=1)
            axes.annotate(text, (place, 1), (0, 3), ("data", "axes fraction"), "offset points", ha="center", **_SMALL)
    axes.annotate(f"below {threshold:g}", (1.02, 1), (0, 3), "axes fraction", "offset points", **_SMALL)
    axes.grid(axis="x", color="#ececec", linewidth=0.6)
    _method_rows(axes, methods)
    dress(axes, "Nikaido-Isoda error", "")
    runs = f"{found.shape[1]:,} runs each"
    marks = [
        Line2D([], [], color=GREY, marker="o", ls="", ms=4.5, label=runs),
        Line2D([], [], color=INK, marker="|", ls="", ms=9, mew=2.0, label="median"),
        Line2D([], [], color=GREY, linewidth=1.0, linestyle=(0, (4, 3)), label=f"threshold {threshold:g}"),
    ]
    _legend(figure, marks, _WIDTH)
    return figure


def _integers(values: Int[Array, "R C"], name: str, *shape: int) -> NDArray[np.int64]:
    found = numbers(values, name, *shape)
    whole = bool(np.isfinite(found).all()) and bool((found == np.round(found)).all())
    require(whole, f"Expected integers as {name}, found {values.dtype} with other values.")
    return found.astype(np.int64)


def _check_texts(texts: Sequence[Sequence[str]], rows: int, columns: int) -> None:
    sizes = sorted({len(row) for row in texts})
    require(
        len(texts) == rows and sizes == [columns],
        f"Expected texts for {rows} x {columns} cells, found {len(texts)} rows of {sizes}.",
    )


def _distinct(methods: Sequence[str]) -> dict[str, Look]:
    require(len(set(methods)) == len(methods), "Expected every method once, found a name twice.")
    return method_looks(methods)


def _cell(axes: Axes, row: int, column: int, colour: str, text: str, inches: float) -> None:
    """One coloured cell, its text as large as fits on one line."""
    axes.add_patch(Rectangle((column, row), 1, 1, facecolor=colour, edgecolor="white", linewidth=1.2, zorder=1))
    fits = 72 * (inches - 0.05) / (_EM * max(len(text), 1))
    size = min(TICK_SIZE, max(fits, _SMALLEST))
    axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=size, color=INK, zorder=3)


def _mark(axes: Axes, row: int, column: int) -> None:
    """A frame and a dark corner."""
    inner = (column + 0.04, row + 0.07)
    axes.add_patch(Rectangle(inner, 0.92, 0.86, facecolor="none", edgecolor=INK, linewidth=1.4, zorder=2))
    corner = [(column + 0.78, row + 0.07), (column + 0.96, row + 0.07), (column + 0.96, row + 0.45)]
    axes.add_patch(Polygon(corner, facecolor=INK, edgecolor="none", zorder=2))


def _frame_table(axes: Axes, rows: Sequence[str], columns: Sequence[str]) -> None:
    """Names of rows on the left, of columns slanted above; no frame."""
    axes.set(xlim=(0, len(columns)), ylim=(len(rows), 0))
    axes.set_xticks(np.arange(len(columns)) + 0.5, columns, rotation=40, ha="left", rotation_mode="anchor")
    axes.set_yticks(np.arange(len(rows)) + 0.5, rows)
    axes.xaxis.tick_top()
    dress(axes, "", "")
    axes.tick_params(length=0, pad=3)
    axes.spines[:].set_visible(False)


def _intervals(
    axes: Axes,
    rates: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    looks: Mapping[str, Look],
) -> None:
    """A dot on its interval for each method, and its rate as a number beside the axes."""
    for row, look in enumerate(looks.values()):
        axes.plot([low[row], high[row]], [row, row], color=look.colour, linewidth=2.2, zorder=2)
        axes.plot(rates[row], row, marker="o", markersize=6.5, color=look.colour, mec="white", zorder=3)
        axes.text(1.07, row, f"{rates[row]:.0%}", va="center", fontsize=TICK_SIZE, color=INK)


def _strip(axes: Axes, errors: NDArray[np.float64], row: int, colour: str, ends: tuple[float, float]) -> None:
    """The runs of one method, side by side where they are close, and their median."""
    beside = row + 0.55 * ((np.arange(len(errors)) + 1) * _STEP % 1 - 0.5)
    places = np.where(errors <= 0, ends[0], np.minimum(errors, ends[1]))
    beyond = (errors <= 0) | np.isinf(errors)
    style: dict[str, Any] = {"marker": "o", "ls": "", "mec": colour, "alpha": 0.55, "zorder": 2}
    axes.plot(places[~beyond], beside[~beyond], ms=4.5, mfc=colour, mew=0, **style)
    axes.plot(places[beyond], beside[beyond], ms=4.2, mfc="white", mew=0.9, **style)
    middle = float(np.median(places))
    axes.plot([middle, middle], [row - 0.36, row + 0.36], color=INK, linewidth=2.0, zorder=3)


def _method_rows(axes: Axes, methods: Sequence[str]) -> None:
    """A row for each method, the first on top."""
    axes.set_ylim(len(methods) - 0.45, -0.55)
    axes.set_yticks(np.arange(len(methods)), methods)
    for row in range(len(methods)):
        axes.axhline(row, color="#ececec", linewidth=0.6, zorder=0)


def _legend(figure: Figure, handles: Sequence[Any], inches: float) -> None:
    """A row, or as many as the width needs, below everything."""
    wide = max(len(handle.get_label()) for handle in handles) * _EM * TICK_SIZE / 72 + 0.6
    columns = max(1, min(len(handles), int(inches / wide)))
    style: dict[str, Any] = {"frameon": False, "fontsize": TICK_SIZE, "labelcolor": INK, "handlelength": 1.9}
    figure.legend(handles=list(handles), loc="outside lower left", ncols=columns, **style)
