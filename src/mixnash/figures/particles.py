"""How the particles of a mixture share the modes: who serves which, and who does the same as whom."""

import matplotlib
import numpy as np
from jaxtyping import Float, Num
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from mixnash.core.errors import require
from mixnash.figures.arrays import Array, counts, numbers
from mixnash.figures.style import INK, colour_bar, dress, index_ticks, new_figure

_WIDTH = 8.2  # inches
_FRAME = 1.75  # inches of the width that labels and the colour bar take
_BAR = 0.16  # inches: width of the colour bar
_DOTS = 640  # what a heat map is enlarged to before it is drawn, so that neither rows nor columns blur or vanish
_COLOURS = matplotlib.colormaps["Blues"]  # from white, so that a few strays stay quiet


def particle_modes(histogram: Num[Array, "K columns"], overlap: Float[Array, "K K"], title: str) -> Figure:
    """The shares of each particle's samples by mode, beside the overlap of each pair of particles.

    A mixture whose particles share the modes out among themselves has one dark cell per row on the left, and nothing
    off the diagonal on the right.

    Args:
        histogram: number of samples [K, M + 1] of particle k on mode m, the last column for those on no mode.
        overlap: of particles k and l [K, K], in [0, 1].
        title: the figure's title.

    Raises:
        InvalidInputError: when shapes differ, there is no mode, or an entry is negative or not finite.
    """
    found = counts(histogram, "samples by particle and mode", "K", "M + 1")
    particles, modes = found.shape[0], found.shape[1] - 1
    require(modes >= 1, "Samples by particle need a column per mode and one for none, found a single column.")
    alike = numbers(overlap, "overlaps of particles", particles, particles)
    require(
        bool(((alike >= 0) & (alike <= 1 + 1e-9)).all()),
        f"Overlaps of particles must lie in [0, 1], found {alike.min():.4g} to {alike.max():.4g}.",
    )
    shares = found / found.sum(1, keepdims=True).clip(1)
    room = _WIDTH - _FRAME
    left = float(np.clip(room * (modes + 1) / (modes + 1 + particles), 0.45 * room, 0.65 * room))
    height = float(np.clip(0.17 * particles, 1.2, room - left))
    figure = new_figure(_WIDTH, height + 1.15, title)
    on_left, on_right, bar = figure.subplots(1, 3, width_ratios=(left, room - left, _BAR))
    _heat(on_left, shares)
    image = _heat(on_right, alike)
    _modes_axis(on_left, modes, left)
    for axes, length in ((on_left.yaxis, height), (on_right.yaxis, height), (on_right.xaxis, room - left)):
        axes.set_major_locator(index_ticks(particles, max(2, int(length / 0.22))))
    astray = found[:, -1].sum() / max(found.sum(), 1.0)
    dress(on_left, "mode", "particle", f"share of the particle's samples; {100 * astray:.1f} % on none", boxed=True)
    dress(on_right, "particle", "", f"overlap of particles; {_off_diagonal(alike)}", boxed=True)
    colour_bar(bar, image, "share")
    return figure


def _heat(axes: Axes, values: NDArray[np.float64]) -> AxesImage:
    down, along = (-(-_DOTS // side) for side in values.shape)
    extent = (-0.5, values.shape[1] - 0.5, values.shape[0] - 0.5, -0.5)
    dots = values.repeat(down, 0).repeat(along, 1)
    return axes.imshow(dots, cmap=_COLOURS, norm=Normalize(0, 1), aspect="auto", extent=extent)


def _modes_axis(axes: Axes, modes: int, inches: float) -> None:
    """Numbered modes, and the last column, set apart by a line, by name."""
    numbered = [int(place) for place in index_ticks(modes, max(2, int(inches / 0.3)))()]
    apart = 0.35 * (modes + 1) / inches  # columns that a label takes
    places = [place for place in numbered if place <= modes - apart or place == 0]
    axes.set_xticks([*places, modes], [*map(str, places), "none"])
    axes.axvline(modes - 0.5, color=INK, linewidth=0.8)


def _off_diagonal(alike: NDArray[np.float64]) -> str:
    if len(alike) == 1:
        return "a single one"
    return f"at most {alike[~np.eye(len(alike), dtype=bool)].max():.2g} off the diagonal"
