"""Figures as bytes and as pixels."""

import io

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mixnash.core.errors import require
from mixnash.figures.style import DPI


def to_png(figure: Figure, dpi: int = DPI) -> bytes:
    """The figure as a PNG file.

    Args:
        figure: what to draw.
        dpi: pixels per inch, positive; 110 suits a screen, 300 print.

    Raises:
        InvalidInputError: when `dpi` is not positive.
    """
    require(dpi > 0, f"A PNG needs a positive number of pixels per inch, found {dpi}.")
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_figure(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def to_rgb(figure: Figure) -> NDArray[np.uint8]:
    """The figure as pixels [H, W, 3] in 0 ... 255 at its own resolution, as TensorBoard takes them (`HWC`)."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()  # type: ignore[no-untyped-call]
