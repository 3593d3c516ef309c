"""Samples, modes and critics in the plane."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import EllipseCollection
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mixnash.core.errors import require
from mixnash.core.mixtures import GaussianMixture
from mixnash.figures.arrays import Array, Limits, indices, numbers
from mixnash.figures.layout import place_panels
from mixnash.figures.style import (
    GREY,
    INK,
    LABEL_SIZE,
    PALE,
    SEQUENTIAL,
    TICK_SIZE,
    blank_figure,
    colour_bar,
    dress,
    index_ticks,
    particle_colours,
    value_ticks,
)

_SINGLE_WIDTH, _GRID_WIDTH = 6.6, 8.0  # inches: figures of one panel, of several
_MARGIN = 1.3  # inches beside the panels for labels and colour bar
_SMALLEST_RING = 2.5  # points: the radius below which a mode is marked by a cross instead of to scale
_LEVELS = 24


class _Modes(NamedTuple):
    centres: NDArray[np.float64]  # [M, 2]
    radii: NDArray[np.float64]  # [M], three standard deviations


def sample_scatter(
    samples: Float[Array, "n 2"],
    particle: Int[Array, " n"],
    limits: Limits,
    title: str,
    mixture: GaussianMixture | None = None,
    particle_count: int | None = None,
    axis_labels: tuple[str, str] = ("$x_1$", "$x_2$"),
) -> Figure:
    """Samples coloured by the particle that made them, over the true modes.

    All samples are drawn; size and opacity shrink with their number. Samples outside the limits are counted in the
    line above the axes.

    Args:
        samples: points [n, 2], in data coordinates; n may be 0.
        particle: index of each point's particle [n].
        limits: the window (xmin, xmax, ymin, ymax).
        title: the figure's title.
        mixture: true law; grey rings at three standard deviations, or crosses where a ring would be too small to see.
        particle_count: K, which fixes the colours; the largest index plus one if omitted.
        axis_labels: what the two coordinates are.

    Raises:
        InvalidInputError: when shapes, indices or limits are impossible.
    """
    _check(limits)
    points = numbers(samples, "samples", "n", 2)
    owner, count = indices(particle, "indices of particles", len(points), particle_count)
    figure = blank_figure(_SINGLE_WIDTH, _SINGLE_WIDTH)
    axes = figure.add_subplot()
    inches = _window(axes, limits, 1)
    _scatter(axes, points, owner, count, inches)
    marks = _mark_modes(axes, _modes(mixture), inches, limits, GREY)
    dress(axes, *axis_labels, _note(_census(points, limits), marks), boxed=True)
    place_panels(figure, [axes], 1, _shape(limits), _particle_bar(figure, count, inches * _shape(limits)), title)
    return figure


def critic_landscape(
    values: Float[Array, "H W"],
    limits: Limits,
    title: str,
    samples: Float[Array, "n 2"] | None = None,
    mixture: GaussianMixture | None = None,
) -> Figure:
    """Filled contours of a critic over the plane.

    Args:
        values: scores [H, W] on the grid whose corners are the limits; row 0 is ymin, column 0 is xmin. What is not
            finite is left grey.
        limits: the window (xmin, xmax, ymin, ymax).
        title: the figure's title.
        samples: points [n, 2], drawn as small dots.
        mixture: true law, marked as in `sample_scatter`.

    Raises:
        InvalidInputError: when shapes or limits are impossible, or the grid has fewer than two rows or columns.
    """
    scores = numbers(values, "critic scores", "H", "W")
    require(min(scores.shape) >= 2, f"A landscape needs a grid of at least 2 x 2 scores, found {scores.shape}.")
    _check(limits)
    figure = blank_figure(_SINGLE_WIDTH, _SINGLE_WIDTH)
    axes = figure.add_subplot()
    inches = _window(axes, limits, 1)
    bar = _contours(axes, scores, limits)
    marks = _mark_modes(axes, _modes(mixture), inches, limits, "white")
    holes = "" if np.isfinite(scores).all() else "grey: score not finite"
    census = ""
    if samples is not None:
        points = numbers(samples, "samples", "n", 2)
        size = 0.7 * _marker_area(len(points))
        axes.scatter(
            points[:, 0], points[:, 1], s=size, c="white", edgecolors=INK, linewidths=0.4, zorder=3, rasterized=True
        )
        census = _census(points, limits)
    dress(axes, "$x_1$", "$x_2$", _note(census, marks, holes), boxed=True)
    place_panels(figure, [axes], 1, _shape(limits), bar, title)
    return figure


def sample_history(
    snapshots: Sequence[tuple[str, Float[Array, "_ 2"], Int[Array, " _"]]],
    limits: Limits,
    title: str,
    mixture: GaussianMixture | None = None,
    particle_count: int | None = None,
    row_names: Sequence[str] | None = None,
) -> Figure:
    """Small multiples of `sample_scatter`, in reading order, at most four in a row unless rows have names.

    Args:
        snapshots: (label, points [n, 2], index of each point's particle [n]), at least one; a label may have several
            lines.
        limits: the window (xmin, xmax, ymin, ymax) of every panel.
        title: the figure's title.
        mixture: true law.
        particle_count: K, which fixes the colours; the largest index plus one if omitted.
        row_names: names of rows of equal length, in place of the vertical axes' name.

    Raises:
        InvalidInputError: without snapshots, when they do not fill the named rows, or when shapes, indices or limits
            are impossible.
    """
    require(len(snapshots) > 0, "A history needs at least one snapshot, found none.")
    _check(limits)
    points = [numbers(samples, f"samples at {label}", "n", 2) for label, samples, _ in snapshots]
    owners = [
        indices(particle, f"indices of particles at {label}", len(found), particle_count)
        for (label, _, particle), found in zip(snapshots, points, strict=True)
    ]
    count = max(bound for _, bound in owners)
    columns = _columns(len(snapshots), row_names)
    rows = -(-len(snapshots) // columns)
    figure = blank_figure(_SINGLE_WIDTH if columns == 1 else _GRID_WIDTH, _GRID_WIDTH)
    panels = [figure.add_subplot(rows, columns, place + 1) for place in range(len(snapshots))]
    for place, axes in enumerate(panels):
        inches = _window(axes, limits, columns)
        _scatter(axes, points[place], owners[place][0], count, inches)
        _mark_modes(axes, _modes(mixture), inches, limits, GREY)
        first, lowest = place % columns == 0, place + columns >= len(snapshots)
        ylabel = "$x_2$" if row_names is None else row_names[place // columns]
        dress(axes, "$x_1$" if lowest else "", ylabel if first else "", boxed=True)
        axes.tick_params(labelbottom=lowest, labelleft=first)
        label, *more = snapshots[place][0].split("\n")
        label = "\n".join([_note(label, _outside(points[place], limits)), *more])
        axes.set_title(label, loc="left", fontsize=LABEL_SIZE if row_names is None else TICK_SIZE, color=INK)
    bar = _particle_bar(figure, count, inches * _shape(limits))
    place_panels(figure, panels, columns, _shape(limits), bar, title)
    return figure


def _columns(count: int, row_names: Sequence[str] | None) -> int:
    """Panels in a row: as the named rows need, otherwise four at most."""
    if row_names is None:
        return -(-count // -(-count // 4))
    rows = len(row_names)
    require(rows > 0 and count % rows == 0, f"Expected snapshots that fill {rows} named rows, found {count}.")
    return count // rows


def _check(limits: Limits) -> None:
    xmin, xmax, ymin, ymax = limits
    ordered = bool(np.isfinite(limits).all()) and xmin < xmax and ymin < ymax
    require(ordered, f"Expected limits (xmin, xmax, ymin, ymax) with xmin < xmax and ymin < ymax, found {limits}.")


def _shape(limits: Limits) -> float:
    """Height of the window by its width, within what a page can show."""
    xmin, xmax, ymin, ymax = limits
    return float(np.clip((ymax - ymin) / (xmax - xmin), 0.15, 6.0))


def _window(axes: Axes, limits: Limits, columns: int) -> float:
    """Set the limits at equal aspect; the width, in inches, that the panel is about to have."""
    width = (_SINGLE_WIDTH if columns == 1 else _GRID_WIDTH) - _MARGIN
    inches = min(width / columns, 7.0 / _shape(limits))
    axes.set(xlim=limits[:2], ylim=limits[2:])
    axes.set_aspect("equal", adjustable="box")
    axes.xaxis.set_major_locator(value_ticks(_ticks(inches)))
    axes.yaxis.set_major_locator(value_ticks(_ticks(inches * _shape(limits))))
    return inches


def _ticks(inches: float) -> int:
    return int(np.clip(inches / 0.3, 1, 6))


def _modes(mixture: GaussianMixture | None) -> _Modes:
    if mixture is None:
        return _Modes(np.empty((0, 2)), np.empty(0))
    return _Modes(numbers(mixture.centres, "centres of modes", "M", 2), 3 * numbers(mixture.scales, "scales", "M"))


def _mark_modes(axes: Axes, modes: _Modes, inches: float, limits: Limits, colour: str) -> str:
    """Draw the modes behind the samples and say how, for the line above the axes."""
    if len(modes.radii) == 0:
        return ""
    points_per_unit = 72 * inches / (limits[1] - limits[0])
    small = modes.radii * points_per_unit < _SMALLEST_RING
    centres, radii = modes.centres[~small], modes.radii[~small]
    rings = EllipseCollection(
        2 * radii, 2 * radii, 0.0, units="xy", offsets=centres, offset_transform=axes.transData, zorder=1
    )
    rings.set(facecolor="none", edgecolor=colour, linewidth=0.8)
    axes.add_collection(rings, autolim=False)
    area = 70 * min(1.0, inches / 4)
    axes.scatter(
        modes.centres[small, 0], modes.centres[small, 1], s=area, c=colour, marker="+", linewidths=0.8, zorder=1
    )
    marks = (["rings: 3 sd of the modes"] if len(radii) else []) + (
        ["crosses: modes, not to scale"] if small.any() else []
    )
    return ", ".join(marks)


def _marker_area(count: int) -> float:
    return float(np.clip(12000 / max(count, 1), 2.0, 14.0))


def _scatter(axes: Axes, points: NDArray[np.float64], owner: NDArray[np.int64], count: int, inches: float) -> None:
    """All points on a panel that is `inches` wide, the particles taking turns so that none covers the others."""
    by_owner = np.argsort(owner, kind="stable")
    starts = np.searchsorted(owner[by_owner], owner[by_owner])
    turn = by_owner[np.argsort(np.arange(len(owner)) - starts, kind="stable")]
    colours = particle_colours(count)[owner[turn]]
    opacity = float(np.clip((1500 / max(len(points), 1)) ** 0.4, 0.06, 0.85))
    size = float(np.clip(inches / 5, 0.35, 1)) * _marker_area(len(points))
    axes.scatter(
        points[turn, 0], points[turn, 1], s=size, c=colours, alpha=opacity, linewidths=0, zorder=2, rasterized=True
    )


def _outside(points: NDArray[np.float64], limits: Limits) -> str:
    """How many points the window does not show; empty if it shows all."""
    xmin, xmax, ymin, ymax = limits
    inside = (points[:, 0] >= xmin) & (points[:, 0] <= xmax) & (points[:, 1] >= ymin) & (points[:, 1] <= ymax)
    return f"{int((~inside).sum()):,} outside" if not inside.all() else ""


def _census(points: NDArray[np.float64], limits: Limits) -> str:
    return _note(f"{len(points):,} samples", _outside(points, limits))


def _note(*parts: str) -> str:
    return ", ".join(part for part in parts if part)


def _particle_bar(figure: Figure, count: int, inches: float) -> Axes | None:
    """The colours of more than one particle, beside a panel of that height."""
    if count == 1:
        return None
    axes = figure.add_axes((0.9, 0.1, 0.05, 0.8))
    colours = ListedColormap(list(particle_colours(count)))
    colour_bar(axes, ScalarMappable(BoundaryNorm(np.arange(count + 1) - 0.5, count), colours), "particle")
    axes.yaxis.set_major_locator(index_ticks(count, max(2, int(inches / 0.17))))
    return axes


def _contours(axes: Axes, scores: NDArray[np.float64], limits: Limits) -> Axes | None:
    """Draw the finite scores; the axes of their colour bar, if there are any."""
    shown = np.ma.masked_invalid(scores)
    axes.set_facecolor(PALE)
    if shown.count() == 0:
        return None
    low, high = float(shown.min()), float(shown.max())
    if high - low <= 1e-9 * max(abs(low), abs(high)):  # constant up to rounding: one colour
        pad = max(abs(low), 1.0) * 1e-3
        low, high = low - pad, high + pad
    xs, ys = np.linspace(*limits[:2], scores.shape[1]), np.linspace(*limits[2:], scores.shape[0])
    filled = axes.contourf(xs, ys, shown, levels=np.linspace(low, high, _LEVELS + 1), cmap=SEQUENTIAL, zorder=0)
    bar = axes.figure.add_axes((0.9, 0.1, 0.05, 0.8))
    colour_bar(bar, filled, "critic score")
    bar.yaxis.set_major_locator(value_ticks(6))
    return bar
