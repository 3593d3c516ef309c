"""Panels of fixed aspect, placed to the point: the figure takes the size that they need, and no white is left."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

from mixnash.figures.style import DPI, wrap, write_title

_GAP = 0.10  # inches around panels
_BAR_WIDTH = 0.18  # inches
_TITLE_LINE = 0.19  # inches
_HIGHEST, _NARROWEST = 7.5, 4.0  # inches: of a panel, of a figure


def place_panels(
    figure: Figure, panels: Sequence[Axes], columns: int, shape: float, bar: Axes | None, title: str
) -> None:
    """Arrange panels in reading order, a colour bar right of the first row, the title above; then resize the figure.

    The width stays unless the panels would be too high for it. Labels are measured, so call this last.

    Args:
        figure: has no layout engine.
        panels: axes with all their labels.
        columns: panels in a row.
        shape: height of every panel by its width.
        bar: axes of the colour bar, if any.
        title: the figure's title, wrapped to its width.
    """
    rows = -(-len(panels) // columns)
    room = np.zeros((rows * columns, 4))
    room[: len(panels)] = [_overhang(panel) for panel in panels]
    grid = room.reshape(rows, columns, 4)
    left, right = grid[..., 0].max(0) + _GAP / 2, grid[..., 1].max(0) + _GAP / 2
    bottom, top = grid[..., 2].max(1) + _GAP / 2, grid[..., 3].max(1) + _GAP / 2
    beside = 0.0 if bar is None else _GAP + _BAR_WIDTH + _overhang(bar)[1]
    fixed = float(left.sum() + right.sum()) + beside + _GAP
    width = min((figure.get_figwidth() - fixed) / columns, _HIGHEST / shape)
    height = width * shape
    across = max(fixed + columns * width, _NARROWEST)
    lines = wrap(title, across)
    above = (lines.count("\n") + 1) * _TITLE_LINE + _GAP if title else 0.0
    figure.set_size_inches(across, above + float(top.sum() + bottom.sum()) + rows * height + _GAP)
    write_title(figure, lines, 1 - _GAP / figure.get_figheight())
    for place, panel in enumerate(panels):
        row, column = divmod(place, columns)
        x = _GAP / 2 + left[: column + 1].sum() + right[:column].sum() + column * width
        y = above + _GAP / 2 + top[: row + 1].sum() + bottom[:row].sum() + row * height
        _put(figure, panel, x, y, width, height)
        if bar is not None and place == min(columns, len(panels)) - 1:
            _put(figure, bar, x + width + right[column] + _GAP / 2, y, _BAR_WIDTH, height)


def _put(figure: Figure, axes: Axes, x: float, y: float, width: float, height: float) -> None:
    """Place axes; inches, with y counted from the top."""
    across, up = figure.get_size_inches()
    axes.set_position((x / across, 1 - (y + height) / up, width / across, height / up))


def _overhang(axes: Axes) -> NDArray[np.float64]:
    """What the labels need beyond the frame: left, right, bottom, top, in inches."""
    inner = axes.get_window_extent()
    outer = Bbox.union([box for box in (inner, axes.get_tightbbox()) if box is not None])
    sides = (inner.x0 - outer.x0, outer.x1 - inner.x1, inner.y0 - outer.y0, outer.y1 - inner.y1)
    return np.array(sides) / DPI
