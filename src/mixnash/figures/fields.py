"""Trajectories of several methods over the vector field of a game."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from mixnash.core.errors import require
from mixnash.figures.arrays import Array, Limits, numbers
from mixnash.figures.layout import place_panels
from mixnash.figures.style import (
    DPI,
    GREY,
    INK,
    LABEL_SIZE,
    NOTE_SIZE,
    TICK_SIZE,
    TITLE_SIZE,
    blank_figure,
    dress,
    value_ticks,
    wrap,
    write_title,
)

METHOD_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#882255", "#e69f00", "#56b4e9", "#222222", "#cc79a7")
"""Any two are at least 0.07 apart in Oklab, also without red, green or blue cones."""
STAR: dict[str, Any] = {"marker": "*", "ms": 11, "mfc": "#ffd23f", "mec": INK, "mew": 0.8, "ls": ""}
"""An equilibrium."""
_Dashes: TypeAlias = tuple[float, tuple[float, ...]]
_DASHES: tuple[_Dashes, ...] = ((0, ()), (0, (5, 1.6)), (0, (1.2, 1.3)))

_SINGLE_WIDTH, _GRID_WIDTH = 6.2, 8.1  # inches: figures of one panel, of several
_FEW, _MANY = 40, 500  # points up to which each is marked, up to which lines are thick
_FIELD_COLOUR = "#cfd3d8"
_END, _WIDER, _WIDEST = 5.5, 2.8, 14.0  # points: diameter of an end, and what each end in front of it adds, at most
_TOGETHER = 0.025  # of the window: ends this close are drawn as rings around each other
_TITLE_EDGE = 0.10  # inches above the title, as `place_panels` leaves them
_FAR = 50.0  # windows: what lies further out is drawn there
_START: dict[str, Any] = {"marker": "o", "ms": 7, "mfc": "white", "mec": INK, "mew": 1.3, "ls": ""}


class Look(NamedTuple):
    """How a method is drawn."""

    colour: str
    dashes: _Dashes


class Trajectory(NamedTuple):
    """What the method of that name did: (x, y) of every step, the start included."""

    name: str
    points: Float[Array, "T 2"]


class _Cut(NamedTuple):
    points: NDArray[np.float64]  # what is drawn [n, 2]
    angle: float | None  # degrees: where the trajectory goes when it leaves; None if it ends inside


class FieldPanel(NamedTuple):
    """One game with the trajectories of several methods on it, and a few words below its title."""

    title: str
    trajectories: Sequence[Trajectory]
    limits: Limits
    """The window (xmin, xmax, ymin, ymax)."""
    field: Float[Array, "H W 2"] | None = None
    """-V, the direction in which players move, on the grid whose corners are the limits; row 0 is ymin, column 0 is
    xmin. What is not finite is left white."""
    equilibria: Float[Array, "n 2"] | None = None
    note: str = ""


def field_trajectories(
    panels: Sequence[FieldPanel],
    title: str,
    columns: int | None = None,
    xlabel: str = "x (minimiser)",
    ylabel: str = "y (maximiser)",
) -> Figure:
    """Trajectories over streamlines of the field, with one legend for all panels.

    Open circles are starts, dots ends, stars equilibria. Ends at the same place are rings around each other. A
    trajectory that ends outside the window, or at what is not finite, is cut where it leaves for good, with an arrow
    head there, and counted below the panel's title.

    Args:
        panels: at least one; a method may have several trajectories in a panel, and be missing in some.
        title: the figure's title.
        columns: panels in a row; a balanced number, four at most, if None.
        xlabel: name of the horizontal axes.
        ylabel: name of the vertical axes.

    Raises:
        InvalidInputError: without panels or trajectories, when shapes or limits are impossible, or when there are more
            methods than can be told apart.
    """
    require(len(panels) > 0, "Expected at least one panel, found none.")
    columns = min(balanced_columns(len(panels)) if columns is None else columns, len(panels))
    require(columns > 0, f"Panels need at least one column, found {columns}.")
    looks = method_looks(path.name for panel in panels for path in panel.trajectories)
    figure = blank_figure(_SINGLE_WIDTH if columns == 1 else _GRID_WIDTH, _GRID_WIDTH)
    shared = len({panel.limits for panel in panels}) == 1
    left, shape = False, 0.15
    for place, panel in enumerate(panels):
        axes = figure.add_subplot(-(-len(panels) // columns), columns, place + 1)
        shape, away = max(shape, window(axes, panel.limits)), _draw(axes, panel, looks)
        left = left or away > 0
        lowest, first = place + columns >= len(panels), place % columns == 0
        dress(axes, xlabel if lowest else "", ylabel if first else "", boxed=True)
        axes.tick_params(labelbottom=lowest or not shared, labelleft=first or not shared)
        leaving = f"{away} of {len(panel.trajectories)} leave" if away else ""
        note = ", ".join(part for part in (panel.note, leaving) if part)
        head(axes, panel.title, note, figure.get_figwidth() / columns - 0.5)
    place_panels(figure, figure.axes, columns, min(shape, 6.0), None, title)
    stars = any(panel.equilibria is not None and len(panel.equilibria) > 0 for panel in panels)
    legend_below(figure, method_handles(looks), _marks(stars, left))
    return figure


def method_looks(names: Iterable[str]) -> dict[str, Look]:
    """A colour per name in the order of first appearance; dashed lines from the ninth on, dotted from the 17th.

    Raises:
        InvalidInputError: without names, or with more than can be told apart.
    """
    distinct = list(dict.fromkeys(names))
    most = len(METHOD_COLOURS) * len(_DASHES)
    require(
        0 < len(distinct) <= most, f"Expected 1 to {most} methods in a figure, found {len(distinct)}; split the figure."
    )
    looks = [Look(colour, dashes) for dashes in _DASHES for colour in METHOD_COLOURS]
    return dict(zip(distinct, looks, strict=False))


def method_handles(looks: dict[str, Look]) -> list[Artist]:
    """Entries of a legend, one for each method."""
    return [
        Line2D([], [], color=look.colour, linestyle=look.dashes, linewidth=2.0, label=name)
        for name, look in looks.items()
    ]


def balanced_columns(count: int) -> int:
    """Panels in a row: as few rows as four, better three, columns allow, all of about the same length."""
    widest = 3 if count <= 9 else 4
    rows = -(-count // widest)
    return -(-count // rows)


def window(axes: Axes, limits: Limits) -> float:
    """Set the limits at equal aspect; height by width of the window, within what a page can show.

    Raises:
        InvalidInputError: when the limits are not in order.
    """
    xmin, xmax, ymin, ymax = limits
    ordered = bool(np.isfinite(limits).all()) and xmin < xmax and ymin < ymax
    require(ordered, f"Expected limits (xmin, xmax, ymin, ymax) with xmin < xmax and ymin < ymax, found {limits}.")
    axes.set(xlim=(xmin, xmax), ylim=(ymin, ymax))
    axes.set_aspect("equal", adjustable="box")
    axes.xaxis.set_major_locator(value_ticks(5))
    axes.yaxis.set_major_locator(value_ticks(5))
    return float(np.clip((ymax - ymin) / (xmax - xmin), 0.15, 6.0))


def head(axes: Axes, title: str, note: str, inches: float) -> None:
    """A panel's title, and a small grey line below it, in lines of that width."""
    note, title = (wrap(text, inches * TITLE_SIZE / size) for text, size in ((note, NOTE_SIZE), (title, LABEL_SIZE)))
    axes.set_title(
        title, loc="left", fontsize=LABEL_SIZE, color=INK, pad=5 + 12 * (note.count("\n") + 1 if note else 0)
    )
    if note:
        axes.annotate(note, (0, 1), (0, 5), "axes fraction", "offset points", fontsize=NOTE_SIZE, color=GREY)


def legend_below(figure: Figure, *groups: Sequence[Artist]) -> None:
    """Put a legend for each group below what is there; the figure grows by their height."""
    across, up = figure.get_size_inches()
    legends = [_widest_legend(figure, group, across - 0.1) for group in groups]
    heights = [legend.get_window_extent().height / DPI for legend in legends]
    below = sum(heights)
    total = up + below
    figure.set_size_inches(across, total)
    for axes in figure.axes:
        box = axes.get_position(original=True)
        axes.set_position((box.x0, 1 - (1 - box.y0) * up / total, box.width, box.height * up / total))
    for legend, height in zip(legends, heights, strict=True):
        below -= height
        legend.set_bbox_to_anchor((0.06 / across, below / total))
    write_title(figure, figure.get_suptitle(), 1 - _TITLE_EDGE / total)


def _widest_legend(figure: Figure, handles: Sequence[Artist], most: float) -> Legend:
    """A legend in as few rows as fit into `most` inches."""
    style: dict[str, Any] = {"loc": "lower left", "frameon": False, "fontsize": TICK_SIZE, "labelcolor": INK}
    style |= {"borderpad": 0.25, "borderaxespad": 0.0, "handlelength": 1.9, "columnspacing": 1.4}
    columns = len(handles)
    legend = figure.legend(handles=list(handles), ncols=columns, **style)
    while columns > 1 and legend.get_window_extent().width > DPI * most:
        legend.remove()
        columns -= 1
        legend = figure.legend(handles=list(handles), ncols=columns, **style)
    return legend


def _draw(axes: Axes, panel: FieldPanel, looks: dict[str, Look]) -> int:
    """Field, trajectories and marks; how many trajectories end outside."""
    _streamlines(axes, panel)
    stars = np.empty((0, 2))
    if panel.equilibria is not None:
        stars = numbers(panel.equilibria, f"equilibria of {panel.title}", "n", 2)
    cuts = [_cut(path, panel.limits) for path in panel.trajectories]
    ends = np.array([cut.points[-1] if cut.angle is None else (np.nan, np.nan) for cut in cuts]).reshape(-1, 2)
    diameters = _diameters(ends, stars, panel.limits)
    for path, cut, end, diameter in zip(panel.trajectories, cuts, ends, diameters, strict=True):
        look = looks[path.name]
        width, opacity = (1.5, 0.9) if len(path.points) <= _MANY else (0.9, 0.75)
        line = axes.plot(*cut.points.T, color=look.colour, linestyle=look.dashes, linewidth=width, alpha=opacity)
        marker = "." if len(path.points) <= _FEW else ""
        line[0].set(marker=marker, markersize=4, markeredgewidth=0, label=path.name, zorder=3)
        dot: dict[str, Any] = {"color": look.colour, "mec": "white", "mew": 0.7, "ls": ""}
        if cut.angle is None:
            axes.plot(*end, marker="o", markersize=diameter, zorder=4, **dot)
        elif len(cut.points):
            axes.plot(*cut.points[-1], marker=(3, 0, cut.angle - 90), markersize=7.5, clip_on=False, zorder=6, **dot)
    starts = np.array([numbers(path.points, path.name, "T", 2)[0] for path in panel.trajectories]).reshape(-1, 2)
    axes.plot(*np.unique(starts, axis=0).T, **_START, zorder=5)
    axes.plot(*stars.T, **STAR, zorder=7)
    return sum(cut.angle is not None for cut in cuts)


def _cut(path: Trajectory, limits: Limits) -> _Cut:
    """A trajectory up to where it leaves the window for good."""
    points = numbers(path.points, f"points of {path.name}", "T", 2)
    require(len(points) > 0, f"The trajectory of {path.name} needs at least its start, found no point.")
    low, high = np.array(limits[::2]), np.array(limits[1::2])
    drawn = points.clip(low - _FAR * (high - low), high + _FAR * (high - low))
    inside = np.flatnonzero(((points >= low) & (points <= high)).all(1))
    if len(inside) == 0:
        return _Cut(drawn[:0], 0.0)
    last = int(inside[-1])
    if last == len(points) - 1:
        return _Cut(drawn, None)
    step = drawn[last + 1] - points[last]
    if not np.isfinite(step).all():  # no way out is known: the arrow head shows the step before
        before = points[last] - points[max(last - 1, 0)]
        return _Cut(drawn[: last + 1], float(np.degrees(np.arctan2(before[1], before[0]))))
    wall = np.where(step > 0, high, low) - points[last]
    reach = np.divide(wall, step, out=np.ones(2), where=step != 0).min()
    exit_point = points[last] + reach * step
    return _Cut(np.vstack([drawn[: last + 1], exit_point]), float(np.degrees(np.arctan2(step[1], step[0]))))


def _diameters(ends: NDArray[np.float64], stars: NDArray[np.float64], limits: Limits) -> NDArray[np.float64]:
    """Points: the more ends and stars lie in front of an end at the same place, the larger it is."""
    span = np.array([limits[1] - limits[0], limits[3] - limits[2]])
    front = [np.vstack([ends[place + 1 :], stars, stars]) for place in range(len(ends))]
    near = [(np.abs(others - end) < _TOGETHER * span).all(1).sum() for end, others in zip(ends, front, strict=True)]
    diameters: NDArray[np.float64] = _END + min(_WIDER, _WIDEST / max([1, *near])) * np.array(near, dtype=float)
    return diameters


def _streamlines(axes: Axes, panel: FieldPanel) -> None:
    if panel.field is None:
        return
    field = numbers(panel.field, f"field of {panel.title}", "H", "W", 2)
    require(min(field.shape[:2]) >= 2, f"A field needs a grid of at least 2 x 2 points, found {field.shape[:2]}.")
    hidden = np.repeat(~np.isfinite(field).all(-1, keepdims=True), 2, axis=-1)
    largest = np.abs(np.where(hidden, 0.0, field)).max()
    if largest > 0:
        xmin, xmax, ymin, ymax = panel.limits
        xs, ys = np.linspace(xmin, xmax, field.shape[1]), np.linspace(ymin, ymax, field.shape[0])
        u, v = (np.ma.masked_array(field[..., axis] / largest, hidden[..., axis]) for axis in (0, 1))
        axes.streamplot(xs, ys, u, v, density=1.1, color=_FIELD_COLOUR, linewidth=0.8, arrowsize=0.8, zorder=1)


def _marks(stars: bool, left: bool) -> list[Artist]:
    """Entries of the legend for starts, ends, equilibria and exits."""
    grey: dict[str, Any] = {"color": GREY, "markeredgecolor": "white", "linestyle": ""}
    end = Line2D([], [], marker="o", ms=7, label="end", **grey)
    marks: list[Artist] = [Line2D([], [], **_START, label="start"), end]
    if stars:
        marks.append(Line2D([], [], **STAR, label="equilibrium"))
    if left:
        marks.append(Line2D([], [], marker=(3, 0, -90), markersize=7.5, label="leaves the window", **grey))
    return marks
