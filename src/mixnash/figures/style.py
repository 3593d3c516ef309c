"""One quiet look for all figures: sizes, greys, colour maps, and colours that tell up to 64 particles apart.

Nothing here touches `matplotlib.rcParams` or pyplot: a figure carries its style itself, so it can be drawn in a
training callback, from any thread, without a trace elsewhere.
"""

import math
import textwrap

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FixedLocator, MaxNLocator
from numpy.typing import NDArray

DPI = 110
"""Pixels per inch on screen: 5.5 to 8.2 inches are 600 to 900 pixels."""
TITLE_SIZE, LABEL_SIZE, TICK_SIZE, NOTE_SIZE = 11.0, 9.5, 8.5, 8.5
"""Font sizes in points."""
INK, GREY, PALE = "#222222", "#777777", "#d9d9d9"
"""Text; what stands behind the data; missing values and separators."""
ACCENT, WARNING = "#4878a8", "#cc5a2e"
"""One series among none other; what deserves a look. Distinguishable without colour vision."""
SEQUENTIAL: Colormap = matplotlib.colormaps["viridis"].with_extremes(bad=PALE)
"""For magnitudes; missing values are pale grey."""
DIVERGING: Colormap = matplotlib.colormaps["RdBu_r"].with_extremes(bad=GREY)
"""For signed values, centred at 0 (white); missing values are grey."""

_CHROMA = 0.14
_HUE_START = 255.0  # degrees: a single particle is blue
_LIGHTNESS = {1: (0.58,), 2: (0.52, 0.70), 3: (0.46, 0.62, 0.78), 4: (0.42, 0.55, 0.68, 0.81)}


def blank_figure(width: float, height: float) -> Figure:
    """An empty white figure of that many inches with its own Agg canvas, without layout and title."""
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    figure.set_layout_engine("none")
    FigureCanvasAgg(figure)
    return figure


def new_figure(width: float, height: float, title: str) -> Figure:
    """A `blank_figure` with a title, whose axes keep clear of each other's labels."""
    figure = blank_figure(width, height)
    figure.set_layout_engine(ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.06, wspace=0.01, hspace=0.01))
    write_title(figure, wrap(title, width))
    return figure


def wrap(title: str, width: float) -> str:
    """The title in lines that fit into `width` inches."""
    per_line = int(width * 72 / (0.58 * TITLE_SIZE))  # 0.58 em: mean width of a letter of DejaVu Sans
    return textwrap.fill(title, per_line)


def write_title(figure: Figure, title: str, y: float | None = None) -> None:
    """The title at the top left; its upper edge at `y` in figure coordinates, or where the layout puts it."""
    if title:
        figure.suptitle(title, x=0.012, y=y, ha="left", va="top", fontsize=TITLE_SIZE, color=INK)


def dress(axes: Axes, xlabel: str, ylabel: str, note: str = "", *, boxed: bool = False) -> None:
    """Labels, thin grey frame and small outward ticks.

    Args:
        axes: what to dress.
        xlabel: name and unit of the horizontal axis.
        ylabel: name and unit of the vertical axis.
        note: a small grey line above the axes.
        boxed: keep the upper and the right border.
    """
    axes.set_xlabel(xlabel, fontsize=LABEL_SIZE, color=INK)
    axes.set_ylabel(ylabel, fontsize=LABEL_SIZE, color=INK)
    axes.set_title(note, loc="left", fontsize=NOTE_SIZE, color=GREY)
    axes.tick_params(which="both", labelsize=TICK_SIZE, color=GREY, labelcolor=INK, direction="out", width=0.7)
    axes.tick_params(which="major", length=3)
    axes.tick_params(which="minor", length=1.5)
    for side, spine in axes.spines.items():
        spine.set(linewidth=0.7, color=GREY, visible=boxed or side in ("left", "bottom"))


def colour_bar(axes: Axes, mappable: ScalarMappable, label: str) -> None:
    """Fill `axes` with the colour bar of `mappable`."""
    bar = axes.get_figure(root=True).colorbar(mappable, cax=axes)  # type: ignore[union-attr]
    bar.outline.set(linewidth=0.7, edgecolor=GREY)
    bar.set_label(label, fontsize=LABEL_SIZE, color=INK)
    axes.tick_params(which="both", labelsize=TICK_SIZE, color=GREY, labelcolor=INK, length=3, width=0.7)
    axes.tick_params(which="minor", length=0)


def index_ticks(count: int, most: int) -> FixedLocator:
    """Ticks at every index 0 ... count - 1, or at every 2nd, 5th, 10th, ... where `most` of two digits fit."""
    most = max(2, 2 * most // max(2, len(str(count - 1))))
    steps = (factor * 10**power for power in range(9) for factor in (1, 2, 5))
    step = next(step for step in steps if count <= step * most)
    return FixedLocator(range(0, count, step))


def value_ticks(most: int) -> MaxNLocator:
    """Round values, `most` intervals at most."""
    return MaxNLocator(most, steps=[1, 2, 2.5, 5, 10])


def particle_colours(count: int) -> NDArray[np.float64]:
    """Colours [count, 3] as sRGB in [0, 1], one per particle: evenly spaced hues, up to four alternating lightnesses.

    Equal steps in Oklab look about equally large: the closest two of 64 are 0.028 apart, where 0.02 can be seen.

    References:
        Ottosson, 2020, A perceptual color space for image processing, https://bottosson.github.io/posts/oklab/.
    """
    levels = min(4, math.ceil(count / 8) + 1, max(count, 1))
    level = np.arange(count) % levels
    if levels > 2 and count % levels == 1:
        level[-1] = 1  # its hue is next to the first one's, so its lightness must differ
    lightness = np.array(_LIGHTNESS[levels])[level]
    hue = np.deg2rad(_HUE_START + 360.0 * np.arange(count) / max(count, 1))
    colours = np.zeros((count, 3))
    for chroma in np.linspace(0, _CHROMA, 32):  # the last chroma that sRGB can show wins
        linear = _oklab_to_linear(lightness, chroma * np.cos(hue), chroma * np.sin(hue))
        shown = ((linear >= 0) & (linear <= 1)).all(1)
        colours[shown] = linear[shown]
    return np.where(colours <= 0.0031308, 12.92 * colours, 1.055 * colours ** (1 / 2.4) - 0.055).clip(0, 1)


def _oklab_to_linear(
    lightness: NDArray[np.float64], a: NDArray[np.float64], b: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Oklab coordinates [n] each to linear sRGB [n, 3]."""
    to_cones = np.array(
        [[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728], [1, -0.0894841775, -1.2914855480]]
    )
    to_linear = np.array(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.7076147010],
        ]
    )
    cones: NDArray[np.float64] = (np.stack([lightness, a, b], 1) @ to_cones.T) ** 3
    return np.asarray(cones @ to_linear.T)
