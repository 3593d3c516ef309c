"""Which classes images are of: against the data, by particle, and the thousand modes of three stacked digits."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from jaxtyping import Float, Num
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from numpy.typing import NDArray

from mixnash.core.errors import require
from mixnash.figures.arrays import Array, counts, probabilities
from mixnash.figures.layout import place_panels
from mixnash.figures.style import (
    ACCENT,
    GREY,
    INK,
    SEQUENTIAL,
    TICK_SIZE,
    WARNING,
    blank_figure,
    colour_bar,
    dress,
    index_ticks,
    new_figure,
    value_ticks,
)

DIGITS = 10
"""Classes of one of the three stacked digits."""
_CHANNELS = ("red", "green", "blue")
_DOTS = 640  # what a heat map is enlarged to before it is drawn, so that neither rows nor columns blur or vanish
_COLOURS = matplotlib.colormaps["Blues"]  # from white, so that a few strays stay quiet
_WIDTH, _WEIGHTS, _BAR, _FRAME = 8.0, 0.9, 0.16, 1.7  # inches: a figure by particle and what stands beside its heat map
_READABLE_CELLS = 12  # rows or columns up to which numbers fit into cells
_LETTER = 0.075  # inches: mean width of a letter at the size of ticks
_SEPARATE_BARS = 100


def class_histogram(
    found: Num[Array, " classes"], expected: Num[Array, " classes"], names: Sequence[str], title: str
) -> Figure:
    r"""Classes of n samples against those of m images of the data, both as shares of all.

    Around the data's share :math:`e_c` of a class, where a perfect sampler's :math:`f_c` would be nineteen times out
    of twenty: :math:`e_c \pm 2 \sqrt{e_c (1 - e_c) (1 / n + 1 / m)}`, as both are drawn.

    Args:
        found: number of samples [classes] of each class.
        expected: number of images of the data [classes] of each class.
        names: of the classes.
        title: the figure's title.

    Raises:
        InvalidInputError: when shapes differ, an entry is negative or not finite, or one of the two is all zeros.
    """
    samples = counts(found, "samples of classes", "classes")
    images = counts(expected, "images of classes", len(samples))
    _require_names(names, len(samples))
    n, m = float(samples.sum()), float(images.sum())
    require(n > 0 and m > 0, f"Shares of classes need samples and images, found {n:.0f} and {m:.0f}.")
    shares, mean = samples / n, images / m
    reach = 2 * np.sqrt(mean * (1 - mean) * (1 / n + 1 / m))
    normal = np.abs(shares - mean) <= reach
    figure = new_figure(7.2, 3.4, title)
    axes = figure.subplots()
    edges = np.arange(len(shares) + 1) - 0.5
    width = 0.8 if len(shares) <= _SEPARATE_BARS else 1.0
    for chosen, colour, label in ((normal, ACCENT, "samples, within 2 sd"), (~normal, WARNING, "samples, beyond")):
        axes.bar(np.arange(len(shares)), np.where(chosen, shares, 0), width=width, color=colour, label=label)
    low, high = (mean - reach).clip(0), mean + reach
    axes.stairs(high, edges, baseline=low, fill=True, color=INK, alpha=0.16, linewidth=0, label="data ± 2 sd", zorder=2)
    axes.stairs(mean, edges, baseline=None, color=INK, linewidth=1.0, label="data", zorder=3)
    axes.set(xlim=(edges[0], edges[-1]), ylim=(0, 1.08 * max(float(high.max()), float(shares.max()))))
    _name_ticks(axes, names, 5.0)
    axes.yaxis.set_major_locator(value_ticks(6))
    note = f"{int(normal.sum())} of {len(shares)} classes within 2 sd; {n:,.0f} generated against {m:,.0f} of the data"
    dress(axes, "class", "share", note)
    figure.legend(loc="outside right upper", frameon=False, fontsize=TICK_SIZE, labelcolor=INK)
    return figure


def particle_classes(
    found: Num[Array, "K classes"], weights: Float[Array, " K"], names: Sequence[str], title: str
) -> Figure:
    """Which particle serves which class: the shares of each particle's samples, beside the particles' weights.

    A row in grey is of a particle without samples.

    Args:
        found: number of samples [K, classes] of particle k in each class.
        weights: p [K], summing to 1.
        names: of the classes.
        title: the figure's title.

    Raises:
        InvalidInputError: when shapes differ, an entry is negative or not finite, or weights are no probabilities.
    """
    samples = counts(found, "samples by particle and class", "K", "classes")
    particles, classes = samples.shape
    heights = probabilities(weights, "weights of particles", particles)
    _require_names(names, classes)
    shares = np.ma.masked_invalid(np.where(samples.any(1, keepdims=True), samples, np.nan))
    shares = shares / shares.sum(1, keepdims=True)
    height = float(np.clip(0.26 * particles, 1.1, 5.5))
    across = _WIDTH - _FRAME - _WEIGHTS
    figure = new_figure(_WIDTH, height + 1.2, title)
    main, beside, bar = figure.subplots(1, 3, width_ratios=(across, _WEIGHTS, _BAR))
    down, along = -(-_DOTS // particles), -(-_DOTS // classes)
    extent = (-0.5, classes - 0.5, particles - 0.5, -0.5)
    top = max(float(shares.max()) if shares.count() else 0.0, 1e-9)
    colours = _COLOURS.with_extremes(bad="#e9e9e9")
    dots = shares.repeat(down, 0).repeat(along, 1)
    image = main.imshow(dots, cmap=colours, norm=Normalize(0, top), aspect="auto", extent=extent)
    written = classes <= _READABLE_CELLS and particles <= 2 * _READABLE_CELLS
    if written:
        _write_shares(main, shares, top)
    beside.barh(np.arange(particles), heights, color=GREY)
    beside.set(ylim=(particles - 0.5, -0.5), xlim=(0, 1.1 * float(heights.max())))
    beside.xaxis.set_major_locator(value_ticks(2))
    beside.set_yticks([])
    main.yaxis.set_major_locator(index_ticks(particles, max(2, int(height / 0.17))))
    _name_ticks(main, names, across)
    dress(main, "class", "particle", "share of the particle's samples, in per cent", boxed=True)
    dress(beside, "weight", "")
    colour_bar(bar, image, "share, in per cent")
    bar.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}"))
    return figure


def stacked_modes(found: Num[Array, " modes"], title: str) -> Figure:
    """Samples of each of the thousand modes of three stacked digits, a panel per red digit; missing ones in pale grey.

    Args:
        found: number of samples [1000] of mode 100 r + 10 g + b, for a red digit r, a green g and a blue b.
        title: the figure's title.

    Raises:
        InvalidInputError: when there are not a thousand, or one is negative or not finite.
    """
    samples = counts(found, "samples of modes", DIGITS**3)
    cells = np.ma.masked_equal(samples.reshape(DIGITS, DIGITS, DIGITS), 0)
    norm = LogNorm(1, max(float(samples.max()), 10.0))
    figure = blank_figure(8.1, 4.2)
    panels = [figure.add_subplot(2, 5, place + 1) for place in range(DIGITS)]
    for digit, panel in enumerate(panels):
        lowest, first = digit >= 5, digit % 5 == 0
        image = panel.imshow(cells[digit], cmap=SEQUENTIAL, norm=norm, aspect="auto", interpolation="nearest")
        missing = int((samples.reshape(DIGITS, -1)[digit] == 0).sum())
        note = f"{_CHANNELS[0]} {digit}" + (f", {missing} missing" if missing else "")
        across, up = f"{_CHANNELS[2]} digit" if lowest else "", f"{_CHANNELS[1]} digit" if first else ""
        dress(panel, across, up, note, boxed=True)
        panel.set_xticks(range(0, DIGITS, 3))
        panel.set_yticks(range(0, DIGITS, 3))
        panel.tick_params(labelbottom=lowest, labelleft=first)
    bar = figure.add_axes((0.9, 0.5, 0.02, 0.4))
    colour_bar(bar, image, "samples")
    bar.yaxis.set_major_locator(FixedLocator(_round_counts(norm).tolist()))
    bar.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    bar.yaxis.set_minor_locator(NullLocator())
    modes, total = int((samples > 0).sum()), float(samples.sum())
    words = f"{modes:,} of 1,000 modes in {total:,.0f} samples"
    place_panels(figure, panels, 5, 1.0, bar, f"{title}: {words}" if title else words)
    return figure


def _round_counts(norm: LogNorm) -> NDArray[np.float64]:
    """1, 10, 100, ... and the largest, unless two would touch."""
    top = float(norm.vmax or 10.0)
    powers = 10.0 ** np.arange(np.floor(np.log10(top)) + 1)
    return np.append(powers[powers < 0.35 * top], top)


def _require_names(names: Sequence[str], classes: int) -> None:
    require(len(names) == classes, f"{classes} classes need as many names, found {len(names)}.")


def _name_ticks(axes: Axes, names: Sequence[str], inches: float) -> None:
    """Names below the axis where they fit, upright where only that fits, else numbers at some of the places."""
    longest = max(len(name) for name in names)
    if len(names) * (longest + 1) * _LETTER <= inches:
        axes.set_xticks(range(len(names)), names)
    elif len(names) * 2 * _LETTER <= inches:
        axes.set_xticks(range(len(names)), names, rotation=90)
    else:
        axes.xaxis.set_major_locator(index_ticks(len(names), 26))


def _write_shares(axes: Axes, shares: np.ma.MaskedArray, top: float) -> None:
    for (row, column), share in np.ndenumerate(shares.filled(np.nan)):
        if np.isfinite(share) and share >= 0.005:
            colour = "white" if share > 0.6 * top else INK
            axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", fontsize=TICK_SIZE, color=colour)
