"""What every test of a figure checks."""

import io

import matplotlib.image
import matplotlib.pyplot
import matplotlib.text
import numpy as np
from matplotlib.figure import Figure

from mixnash.figures.encode import to_png, to_rgb


def drawn(figure: Figure) -> np.ndarray:
    """The figure's pixels, after checking that it decodes, is readable in size, cuts nothing and is not pyplot's."""
    assert type(figure) is Figure
    pixels = to_rgb(figure)
    height, width = pixels.shape[:2]
    assert matplotlib.image.imread(io.BytesIO(to_png(figure))).shape == (height, width, 4)
    assert 300 <= width <= 920 and 100 <= height <= 1700
    used = figure.get_tightbbox()
    pixel = 1.5 / figure.dpi
    assert used.x0 > -pixel and used.x1 < width / figure.dpi + pixel, "cut at the sides"
    assert used.y0 > -pixel and used.y1 < height / figure.dpi + pixel, "cut above or below"
    assert matplotlib.pyplot.get_fignums() == []
    return pixels


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text) if text.get_text()]
