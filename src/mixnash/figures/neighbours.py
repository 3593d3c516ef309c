"""Generated images beside the images of the data that are nearest to them."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mixnash.core.errors import require
from mixnash.figures.arrays import Array, numbers
from mixnash.figures.images import rgb_pixels
from mixnash.figures.style import DPI, GREY, INK, LABEL_SIZE, TICK_SIZE, blank_figure, wrap, write_title

_ROOM = 860  # pixels: what a figure should fit into on screen
_TILE, _SMALLEST = 84, 40  # pixels: what an image is enlarged to at most, and room for a distance below it
_EDGE, _GAP, _CAPTION = 10, 4, 15  # pixels: around everything, between images, for a distance below an image
_APART = 22  # pixels between a generated image and its neighbours
_HEADER, _TITLE_LINE = 26, 21  # pixels
_HEADINGS = ("generated", "nearest, with distances")


def neighbour_rows(
    images: Float[Array, "R C H W"],
    neighbours: Float[Array, "R k C H W"],
    distances: Float[Array, "R k"],
    row_labels: Sequence[str],
    title: str,
) -> Figure:
    """One row per generated image: itself, then its k nearest images of the data with their distances below.

    Args:
        images: [R, C, H, W] with values in [-1, 1], R at least 1, C = 1 (grey) or 3 (RGB). Values outside are clipped,
            pixels that are not finite are pink.
        neighbours: [R, k, C, H, W], k from 1 to 12, nearest first.
        distances: [R, k], at least 0, in any unit.
        row_labels: R labels.
        title: the figure's title.

    Raises:
        InvalidInputError: when shapes differ, a distance is negative, or there are no neighbours or too many.
    """
    generated = numbers(images, "generated images", "R", "C", "H", "W")
    near = numbers(neighbours, "neighbours", len(generated), "k", *generated.shape[1:])
    k = near.shape[1]
    away = numbers(distances, "distances of neighbours", len(generated), k)
    require(1 <= k <= 12, f"From 1 to 12 neighbours can be shown beside an image, found {k}.")
    require(not bool((away < 0).any()), f"Distances must be at least 0, found {away.min() if away.size else 0}.")
    require(
        len(row_labels) == len(generated),
        f"{len(generated)} rows of images need as many labels, found {len(row_labels)}.",
    )
    tiles = np.concatenate([generated[:, None], near], 1)
    pixels = rgb_pixels(tiles.reshape(-1, *generated.shape[1:])).reshape(len(generated), k + 1, *generated.shape[2:], 3)
    return _show(pixels, away, list(row_labels), title)


def _show(pixels: NDArray[np.float64], distances: NDArray[np.float64], labels: list[str], title: str) -> Figure:
    """Tiles [R, k + 1, H, W, 3] on axes whose coordinates are the screen's pixels."""
    rows, columns = pixels.shape[:2]
    figure = blank_figure(1.0, 1.0)
    left = _EDGE + _widest(figure, labels, LABEL_SIZE) + 8
    room = (_ROOM - left - _EDGE - _APART) / columns - _GAP
    width, height = _tile_size(pixels.shape[3], pixels.shape[2], room)
    step = max(width, _SMALLEST) + _GAP
    first, second = left, left + step + _APART
    across = second + max(columns * step - step, _widest(figure, _HEADINGS[1:], TICK_SIZE)) + _EDGE
    lines = wrap(title, across / DPI)
    above = _EDGE + ((lines.count("\n") + 1) * _TITLE_LINE if title else 0) + _HEADER
    up = above + rows * (height + _CAPTION + _GAP) + _EDGE
    figure.set_size_inches(across / DPI, up / DPI)
    write_title(figure, lines, 1 - _EDGE / up)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    for x, heading, side in ((first + width / 2, _HEADINGS[0], "center"), (second, _HEADINGS[1], "left")):
        axes.text(x, above - 4, heading, ha=side, va="bottom", fontsize=TICK_SIZE, color=GREY)
    for row in range(rows):
        y = above + row * (height + _CAPTION + _GAP)
        axes.text(left - 8, y + height / 2, labels[row], ha="right", va="center", fontsize=LABEL_SIZE, color=INK)
        for column in range(columns):
            x = first if column == 0 else second + (column - 1) * step
            axes.imshow(pixels[row, column], extent=(x, x + width, y + height, y), interpolation="auto", aspect="auto")
            if column > 0:
                distance = f"{distances[row, column - 1]:#.3g}".rstrip(".")
                axes.text(
                    x + width / 2, y + height + 2, distance, ha="center", va="top", fontsize=TICK_SIZE, color=GREY
                )
    axes.set(xlim=(0, across), ylim=(up, 0))  # each image has set them to its own extent
    return figure


def _widest(figure: Figure, texts: Sequence[str], size: float) -> int:
    """Pixels of the longest of some texts."""
    measured = [figure.text(0, 0, text, fontsize=size) for text in texts]
    widths = [round(text.get_window_extent().width) for text in measured]
    for text in measured:
        text.remove()
    return max(widths)


def _tile_size(width: int, height: int, room: float) -> tuple[int, int]:
    """Enlarged by a whole factor, or made smaller where even the image itself is too wide."""
    factor = int(min(room // width, _TILE // max(width, height)))
    shrink = min(room / width, 1.5 * _TILE / max(width, height), 1.0) if factor < 1 else float(factor)
    return max(1, round(shrink * width)), max(1, round(shrink * height))
