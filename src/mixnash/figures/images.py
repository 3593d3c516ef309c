"""Grids of images."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mixnash.core.errors import require
from mixnash.figures.arrays import Array, numbers
from mixnash.figures.style import DPI, INK, LABEL_SIZE, blank_figure, wrap, write_title

_WIDTH, _HEIGHT = 860, 1600  # pixels: what a figure should fit into on screen
_TILE = 112  # pixels: what an image is enlarged to at most
_NARROWEST = 330  # pixels: room for a title
_EDGE = 10  # pixels around the grid
_TITLE_LINE = 21  # pixels
_SEPARATOR = 2  # pixels between images
_SEPARATOR_COLOUR = 0.85  # pale grey
_NOT_FINITE = (0.85, 0.10, 0.45)  # a pink that no grey image contains


def image_grid(images: Float[Array, "n C H W"], columns: int, title: str) -> Figure:
    """Images in reading order, enlarged without smoothing.

    Args:
        images: [n, C, H, W] with values in [-1, 1], n at least 1, C = 1 (grey) or 3 (RGB). Values outside are clipped,
            pixels that are not finite are pink.
        columns: images in a row, at least 1.
        title: the figure's title.

    Raises:
        InvalidInputError: when the shape is none of images, or `columns` is not positive.
    """
    pixels = rgb_pixels(numbers(images, "images", "n", "C", "H", "W"))
    require(columns > 0, f"A grid needs at least one column, found {columns}.")
    return _show(pixels, min(columns, len(pixels)), [], title)


def image_rows(images: Float[Array, "R n C H W"], row_labels: Sequence[str], title: str) -> Figure:
    """One row of images per particle, with its label at the left.

    Args:
        images: [R, n, C, H, W] as in `image_grid`, R and n at least 1.
        row_labels: R labels.
        title: the figure's title.

    Raises:
        InvalidInputError: when the shape is none of rows of images, or the number of labels differs.
    """
    found = numbers(images, "rows of images", "R", "n", "C", "H", "W")
    rows, across = found.shape[:2]
    require(len(row_labels) == rows, f"{rows} rows of images need as many labels, found {len(row_labels)}.")
    pixels = rgb_pixels(found.reshape(rows * across, *found.shape[2:]))
    return _show(pixels, across, list(row_labels), title)


def channels_apart(images: Float[Array, "n C H W"]) -> NDArray[np.float64]:
    """Images that have neither one channel nor three, as grey ones [n, 1, H, C W] with their channels side by side;
    others [n, C, H, W] as they are.
    """
    found = numbers(images, "images", "n", "C", "H", "W")
    count, channels, height, width = found.shape
    if channels in (1, 3):
        return found
    return found.transpose(0, 2, 1, 3).reshape(count, 1, height, channels * width)


def rgb_pixels(images: NDArray[np.float64]) -> NDArray[np.float64]:
    """Images [n, C, H, W] in [-1, 1] as RGB [n, H, W, 3] in [0, 1]; what is not finite is pink.

    Raises:
        InvalidInputError: when there is no image, or it has neither one channel nor three.
    """
    require(images.size > 0, f"Expected at least one image, found shape {images.shape}.")
    require(images.shape[1] in (1, 3), f"Expected images of 1 or 3 channels, found {images.shape[1]}.")
    rgb = np.broadcast_to(images, (len(images), 3, *images.shape[2:])).transpose(0, 2, 3, 1)
    finite = np.isfinite(rgb).all(-1, keepdims=True)
    return np.where(finite, (np.where(finite, rgb, 0.0).clip(-1, 1) + 1) / 2, _NOT_FINITE)


def _mosaic(pixels: NDArray[np.float64], columns: int, room: int) -> NDArray[np.float64]:
    """Images [n, H, W, 3] enlarged by one whole factor, side by side with separators: [rows, columns, 3] of pixels."""
    count, height, width, _ = pixels.shape
    rows = -(-count // columns)
    fits = min(room // (columns * width), _HEIGHT // (rows * height), _TILE // max(height, width))
    factor = max(1, fits)
    tiles = pixels.repeat(factor, axis=1).repeat(factor, axis=2)
    down, along = height * factor + _SEPARATOR, width * factor + _SEPARATOR
    canvas = np.full((rows * down + _SEPARATOR, columns * along + _SEPARATOR, 3), _SEPARATOR_COLOUR)
    for place in range(rows * columns):
        y, x = (place // columns) * down + _SEPARATOR, (place % columns) * along + _SEPARATOR
        tile = canvas[y : y + down - _SEPARATOR, x : x + along - _SEPARATOR]
        tile[:] = tiles[place] if place < count else 1.0
    return canvas


def _show(pixels: NDArray[np.float64], columns: int, labels: list[str], title: str) -> Figure:
    """A figure in which one pixel of the mosaic is one pixel of the screen, unless that would be too wide."""
    figure = blank_figure(1.0, 1.0)
    texts = [figure.text(0, 0, label, fontsize=LABEL_SIZE, color=INK, ha="right", va="center") for label in labels]
    left = _EDGE + max([round(text.get_window_extent().width) + 8 for text in texts], default=0)
    room = max(_WIDTH - left, _WIDTH // 2)
    mosaic = _mosaic(pixels, columns, room)
    # Separators may exceed the room a little.
    shrink = min(1.0, 1.05 * room / mosaic.shape[1], 1.05 * _HEIGHT / mosaic.shape[0])
    height, width = (round(shrink * side) for side in mosaic.shape[:2])
    across = max(left + width + _EDGE, _NARROWEST)
    lines = wrap(title, across / DPI)
    above = _EDGE + ((lines.count("\n") + 1) * _TITLE_LINE + _EDGE if title else 0)
    up = above + height + _EDGE
    figure.set_size_inches(across / DPI, up / DPI)
    write_title(figure, lines, 1 - _EDGE / up)
    axes = figure.add_axes((left / across, _EDGE / up, width / across, height / up))
    axes.imshow(mosaic, aspect="auto", interpolation="auto")
    axes.set_axis_off()
    for row, text in enumerate(texts):
        text.set_position(((left - 8) / across, (_EDGE + height * (1 - (row + 0.5) / len(texts))) / up))
    return figure
