"""What every test of a figure checks."""

import io

import matplotlib.image
import matplotlib.pyplot
import matplotlib.text
import numpy as np
from matplotlib.figure import Figure

from mixnash.figures.encode import to_png


def drawn(figure: Figure) -> np.ndarray:
    """The figure's pixels, after checking that it decodes, is readable in size, cuts nothing and is not pyplot's."""
    assert type(figure) is Figure
    pixels = np.round(255 * matplotlib.image.imread(io.BytesIO(to_png(figure)))[..., :3]).astype(np.uint8)
    height, width = pixels.shape[:2]
    assert 300 <= width <= 920
    assert 60 <= height <= 1800
    used = figure.get_tightbbox()
    room = 1.5 + figure.dpi * np.array([used.x0, used.y0, -used.x1, -used.y1]) + (0, 0, width, height)
    assert room.min() > 0, "something is cut"
    assert matplotlib.pyplot.get_fignums() == []
    return pixels


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text) if text.get_text()]
