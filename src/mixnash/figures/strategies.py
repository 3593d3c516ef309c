"""Mixed strategies of two players as particles, beside the known equilibrium."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from mixnash.core.errors import require
from mixnash.figures.arrays import Array, Limits, numbers, probabilities
from mixnash.figures.fields import STAR, balanced_columns, head, legend_below, window
from mixnash.figures.layout import place_panels
from mixnash.figures.style import ACCENT, INK, WARNING, blank_figure, dress, value_ticks

_COLOURS = (ACCENT, WARNING)
_NAMES = ("minimiser x", "maximiser y")
_SINGLE_WIDTH, _GRID_WIDTH = 6.2, 8.1  # inches: figures of one panel, of several
_SHAPE, _NARROW_SHAPE = 0.62, 0.85  # height by width of a panel on a line, where there are one or two in a row or more
_MOST_STEMS, _BINS = 40, 50
_REACH = 0.005  # of the domain's width: particles this close are one atom
_DENSITY_CUT = 4.0  # uniform densities: where an axis ends that a density with a pole would stretch
_LARGEST = 0.22  # of a panel's width: diameter of an atom of weight 1 in the plane
_KNOWN: dict[str, Any] = {"marker": "D", "ms": 8.5, "mfc": "none", "mec": INK, "mew": 1.1, "ls": ""}
_DASHES = (0, (4, 2))
_KNOWN_SIGNS = {"weight": "\N{WHITE DIAMOND}", "density": "\N{BOX DRAWINGS LIGHT DOUBLE DASH HORIZONTAL}"}


class Atoms(NamedTuple):
    """A strategy as particles: positions [K] on a line, [K, 2] in the plane, and weights [K] that sum to 1."""

    positions: Float[Array, " K"] | Float[Array, "K 2"]
    weights: Float[Array, " K"]


class Density(NamedTuple):
    """A strategy on a line with a density [n] at increasing positions [n]."""

    positions: Float[Array, " n"]
    density: Float[Array, " n"]


class MixedPanel(NamedTuple):
    """Both players' strategies on an interval (low, high), and a few words below the title."""

    title: str
    minimiser: Atoms
    maximiser: Atoms
    known_minimiser: Atoms | Density | None
    known_maximiser: Atoms | Density | None
    domain: tuple[float, float]
    note: str = ""


class PlanePanel(NamedTuple):
    """Both players' strategies in a window (xmin, xmax, ymin, ymax), and a few words above the right one."""

    title: str
    minimiser: Atoms
    maximiser: Atoms
    known_minimiser: Atoms | None
    known_maximiser: Atoms | None
    limits: Limits
    note: str = ""


def mixed_strategies(panels: Sequence[MixedPanel], title: str, columns: int | None = None) -> Figure:
    """Strategies on a line: the minimiser's upwards, the maximiser's mirrored downwards.

    Particles closer than 1/200 of the domain are merged. Up to 40 atoms are stems, more are a histogram of density.
    Known atoms are hollow diamonds, known densities dashed lines. Where weights meet a density, the known strategy
    has an axis of its own on the right.

    Args:
        panels: at least one.
        title: the figure's title.
        columns: panels in a row; a balanced number if None.

    Raises:
        InvalidInputError: without panels, when shapes or domains are impossible, or weights are no probabilities.
    """
    require(len(panels) > 0, "Expected at least one panel, found none.")
    columns = min(balanced_columns(len(panels)) if columns is None else columns, len(panels))
    require(columns > 0, f"Panels need at least one column, found {columns}.")
    figure = blank_figure(_SINGLE_WIDTH if columns == 1 else _GRID_WIDTH, _GRID_WIDTH)
    hosts = []
    for place, panel in enumerate(panels):
        host = figure.add_subplot(-(-len(panels) // columns), columns, place + 1)
        _draw_panel(host, panel, figure.get_figwidth() / columns - 0.6)
        hosts.append(host)
    place_panels(figure, hosts, columns, _SHAPE if columns < 3 else _NARROW_SHAPE, None, title)
    known = [one for panel in panels for one in (panel.known_minimiser, panel.known_maximiser)]
    legend_below(figure, _marks(known))
    return figure


def strategies_in_plane(panels: Sequence[PlanePanel], title: str) -> Figure:
    """Strategies in the plane, a row for each panel: the minimiser's on the left, the maximiser's on the right.

    Particles closer than 1/200 of the window are merged. Discs have areas proportional to weights. Known atoms are
    stars in rings of the same scale: at equilibrium every disc fills its ring.

    Args:
        panels: at least one.
        title: the figure's title.

    Raises:
        InvalidInputError: without panels, when shapes or limits are impossible, or weights are no probabilities.
    """
    require(len(panels) > 0, "Expected at least one panel, found none.")
    figure = blank_figure(_GRID_WIDTH if len(panels) == 1 else _SINGLE_WIDTH, _GRID_WIDTH)
    shape = 0.15
    for place, panel in enumerate(panels):
        sides = ((panel.minimiser, panel.known_minimiser), (panel.maximiser, panel.known_maximiser))
        for side, (found, known) in enumerate(sides):
            axes = figure.add_subplot(len(panels), 2, 2 * place + side + 1)
            shape = max(shape, window(axes, panel.limits))
            reach = _REACH * max(panel.limits[1] - panel.limits[0], panel.limits[3] - panel.limits[2])
            name = f"{_NAMES[side]} of {panel.title}"
            positions, weights = _checked(found, name, 2)
            away = _outside(positions, panel.limits[::2], panel.limits[1::2])
            inches = figure.get_figwidth() / 2 - 0.5
            points = 72 * _LARGEST * inches
            _discs(axes, *_merge(positions, weights, reach), _COLOURS[side], points)
            if known is not None:
                _rings(axes, *_checked(known, f"known {name}", 2), points)
            letter = "xy"[side]
            dress(axes, f"${letter}_1$", f"${letter}_2$", boxed=True)
            note = ", ".join(part for part in (_NAMES[side], away) if part)
            head(axes, (panel.title, panel.note)[side], note, inches)
    place_panels(figure, figure.axes, 2, min(shape, 6.0), None, title)
    marks = _marks([])
    if any(one is not None for panel in panels for one in (panel.known_minimiser, panel.known_maximiser)):
        marks.append(Line2D([], [], **STAR, label="known equilibrium, ring of its weight"))
    legend_below(figure, marks)
    return figure


class _Half(NamedTuple):
    name: str
    found: Atoms
    known: Atoms | Density | None
    side: int  # 0 minimiser, 1 maximiser
    domain: tuple[float, float]


class _Scale(NamedTuple):
    axes: Axes
    top: float  # how high what is drawn reaches


def _draw_panel(host: Axes, panel: MixedPanel, inches: float) -> None:
    """Both halves and the panel's title; weights of both players have the same scale."""
    ordered = bool(np.isfinite(panel.domain).all()) and panel.domain[0] < panel.domain[1]
    require(ordered, f"Expected a domain (low, high) with low < high, found {panel.domain}.")
    host.set_axis_off()
    names = [f"{name} of {panel.title}" for name in _NAMES]
    upper = _Half(names[0], panel.minimiser, panel.known_minimiser, 0, panel.domain)
    lower = _Half(names[1], panel.maximiser, panel.known_maximiser, 1, panel.domain)
    drawn = [(half, _draw_half(host, half)) for half in (upper, lower)]
    heaviest = max((scales["weight"].top for _, scales in drawn if "weight" in scales), default=0.0)
    for half, scales in drawn:
        for place, (quantity, scale) in enumerate(scales.items()):
            top = heaviest if quantity == "weight" else scale.top
            _dress_scale(scale.axes, half, quantity, top, place == 0)
    left, right = _padded(panel.domain)
    away = _outside(np.concatenate([_checked(half.found, half.name, 1)[0] for half in (upper, lower)]), [left], [right])
    head(host, panel.title, ", ".join(part for part in (panel.note, away) if part), inches)


def _draw_half(host: Axes, half: _Half) -> dict[str, _Scale]:
    """One player's strategy; scales by what they measure, that of the particles first."""
    axes = host.inset_axes((0.0, 0.5 - 0.5 * half.side, 1.0, 0.5))
    low, high = half.domain
    positions, weights = _checked(half.found, half.name, 1)
    atoms, masses = _merge(positions, weights, _REACH * (high - low))
    if len(masses) <= _MOST_STEMS:
        unit, top = "weight", _stems(axes, atoms[:, 0], masses, half.side)
    else:
        unit, top = "density", _histogram(axes, positions[:, 0], weights, half)
    scales = {unit: _Scale(axes, top)}
    if half.known is not None:
        quantity = "density" if isinstance(half.known, Density) else "weight"
        other = axes if quantity == unit else axes.inset_axes((0.0, 0.0, 1.0, 1.0), facecolor="none")
        top = max(_draw_known(other, half.known, half), top if quantity == unit else 0.0)
        scales[quantity] = _Scale(other, top)
    return scales


def _dress_scale(axes: Axes, half: _Half, quantity: str, top: float, own: bool) -> None:
    """Limits, ticks and labels: the particles' own scale on the left, that of a known strategy on the right."""
    limits = (0.0, 1.15 * top)
    axes.set(xlim=_padded(half.domain), ylim=limits if half.side == 0 else limits[::-1])
    axes.xaxis.set_major_locator(value_ticks(6))
    axes.yaxis.set_major_locator(value_ticks(3))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.3g}" if value > 0 or half.side == 0 else "")
    dress(axes, "", quantity if own else f"{_KNOWN_SIGNS[quantity]} {quantity}")
    axes.tick_params(labelbottom=own and half.side == 1, bottom=own and half.side == 1)
    axes.yaxis.label.set_color(_COLOURS[half.side] if own else INK)
    axes.spines["bottom"].set_visible(own)
    axes.spines["top"].set_visible(own and half.side == 1)
    if not own:
        axes.yaxis.tick_right()
        axes.yaxis.set_label_position("right")
        axes.spines["left"].set_visible(False)
        axes.spines["right"].set_visible(True)


def _stems(axes: Axes, atoms: NDArray[np.float64], masses: NDArray[np.float64], side: int) -> float:
    axes.vlines(atoms, 0, masses, color=_COLOURS[side], linewidth=1.8, zorder=2)
    axes.plot(atoms, masses, marker="o", markersize=5, color=_COLOURS[side], linestyle="", zorder=3)
    return float(masses.max())


def _histogram(axes: Axes, positions: NDArray[np.float64], weights: NDArray[np.float64], half: _Half) -> float:
    masses, edges = np.histogram(positions, _BINS, half.domain, weights=weights)
    density = masses / np.diff(edges)
    axes.stairs(density, edges, fill=True, color=_COLOURS[half.side], alpha=0.35, linewidth=0, zorder=2)
    axes.stairs(density, edges, color=_COLOURS[half.side], linewidth=1.1, zorder=2)
    return float(density.max()) or 1.0


def _draw_known(axes: Axes, known: Atoms | Density, half: _Half) -> float:
    """The known strategy; how high it reaches."""
    low, high = half.domain
    if isinstance(known, Density):
        positions = numbers(known.positions, f"positions of the known density of {half.name}", "n")
        density = numbers(known.density, f"known density of {half.name}", len(positions))
        proper = len(positions) > 1 and bool((np.diff(positions) > 0).all()) and bool((density >= 0).all())
        require(proper, f"Expected a density of at least 0 at increasing positions as known strategy of {half.name}.")
        axes.plot(positions, density, color=INK, linewidth=1.2, linestyle=_DASHES, zorder=4)
        return min(float(density.max()), _DENSITY_CUT / (high - low))
    atoms, masses = _checked(known, f"known {half.name}", 1)
    axes.plot(atoms[:, 0], masses, zorder=4, **_KNOWN)
    return float(masses.max())


def _discs(axes: Axes, atoms: NDArray[np.float64], masses: NDArray[np.float64], colour: str, points: float) -> None:
    axes.scatter(atoms[:, 0], atoms[:, 1], s=points**2 * masses, color=colour, alpha=0.55, linewidths=0, zorder=2)


def _rings(axes: Axes, atoms: NDArray[np.float64], masses: NDArray[np.float64], points: float) -> None:
    axes.scatter(
        atoms[:, 0], atoms[:, 1], s=points**2 * masses, facecolors="none", edgecolors=INK, linewidths=0.9, zorder=3
    )
    axes.plot(*atoms.T, **STAR, zorder=4)


def _padded(domain: tuple[float, float]) -> tuple[float, float]:
    """The domain with room for marks at its ends."""
    pad = 0.04 * (domain[1] - domain[0])
    return domain[0] - pad, domain[1] + pad


def _checked(strategy: Atoms, name: str, axes: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Finite positions [K, axes] and weights [K]."""
    shape = ("K",) if axes == 1 else ("K", axes)
    positions = numbers(strategy.positions, f"positions of {name}", *shape)
    require(bool(np.isfinite(positions).all()), f"Expected finite positions of {name}.")
    return positions.reshape(-1, axes), probabilities(strategy.weights, f"weights of {name}", len(positions))


def _merge(
    positions: NDArray[np.float64], weights: NDArray[np.float64], reach: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Atoms [n, axes] and their weights [n]: the heaviest particle takes all within reach, and so on."""
    left = np.argsort(-weights, kind="stable")
    atoms, masses = [], []
    while len(left):
        near = np.linalg.norm(positions[left] - positions[left[0]], axis=1) <= reach
        taken, left = left[near], left[~near]
        masses.append(weights[taken].sum())
        share = weights[taken] / masses[-1] if masses[-1] > 0 else np.full(len(taken), 1 / len(taken))
        atoms.append(share @ positions[taken])
    return np.array(atoms), np.array(masses)


def _outside(positions: NDArray[np.float64], low: Sequence[float], high: Sequence[float]) -> str:
    """How many particles cannot be seen; empty if all can."""
    hidden = int(((positions < low) | (positions > high)).any(1).sum())
    return f"{hidden:,} outside" if hidden else ""


def _marks(known: Sequence[Atoms | Density | None]) -> list[Artist]:
    """Entries of the legend for players, and for strategies known on a line."""
    marks: list[Artist] = [Patch(color=colour, label=name) for colour, name in zip(_COLOURS, _NAMES, strict=True)]
    if any(isinstance(one, Atoms) for one in known):
        marks.append(Line2D([], [], **_KNOWN, label="known equilibrium"))
    if any(isinstance(one, Density) for one in known):
        marks.append(Line2D([], [], color=INK, linewidth=1.2, linestyle=_DASHES, label="known density"))
    return marks
