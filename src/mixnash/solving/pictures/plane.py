"""Trajectories of pure strategies over the vector field."""

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from mixnash.core.domains import AbstractDomain
from mixnash.core.games.vectors import VECTOR, AbstractVectorGame
from mixnash.core.types import Profile
from mixnash.equilibrium.fields import joint_field
from mixnash.figures.arrays import Limits
from mixnash.figures.fields import FieldPanel, Trajectory, field_trajectories
from mixnash.solving.outcomes import escapes
from mixnash.solving.pictures.extent import extent
from mixnash.solving.readings import is_pure
from mixnash.solving.solve import Solution

_RESOLUTION = 41  # of the vector field, per axis
_TOGETHER = 3  # dynamics in one panel: often several take nearly the same way
_MARGIN = 0.08  # of the window
_NEAR = 1.3  # times the start's distance from the equilibrium is shown, however near the runs stay
_SMALLEST = 0.1  # half of a window's width


def trajectories(solution: Solution) -> Figure:
    """A few dynamics in one plane, or a panel for each of many."""
    problem = solution.problem
    paths = {name: joint(history.profiles) for name, history in solution.histories.items()}
    known = None if problem.equilibrium is None or not is_pure(problem.equilibrium) else joint(problem.equilibrium)
    limits = _limits(problem.game, list(paths.values()), known)
    field, star = _field(problem.game, limits), None if known is None else known[None]
    moves = [Trajectory(name, path) for name, path in paths.items()]
    apart = len(moves) > _TOGETHER
    groups = [[one] for one in moves] if apart else [moves]
    panels = [FieldPanel(one[0].name if apart else "", one, limits, field, star) for one in groups]
    return field_trajectories(panels, solution.title)


def joint(profile: Profile) -> NDArray[np.float64]:
    """(x, y) of single particles on the line: [..., 2]."""
    points: Tensor = torch.cat([player.params[VECTOR][..., 0, :] for player in profile], -1)
    return points.numpy()


def _limits(game: AbstractVectorGame, paths: list[NDArray[np.float64]], known: NDArray[np.float64] | None) -> Limits:
    """The domain where it is bounded; else a square around the equilibrium that the runs which stay near need."""
    sides = [_side(one) for one in (game.minimiser, game.maximiser)]
    start = paths[0][0]
    centre = start / 2 if known is None else known
    staying = [path for path in paths if not escapes(torch.from_numpy(path))]
    needed = [float(np.abs(path - centre).max()) for path in staying]
    radius = (1 + _MARGIN) * max([*needed, _NEAR * float(np.abs(start - centre).max()), _SMALLEST])
    ends = [(centre[axis] - radius, centre[axis] + radius) if side is None else side for axis, side in enumerate(sides)]
    return (float(ends[0][0]), float(ends[0][1]), float(ends[1][0]), float(ends[1][1]))


def _side(domain: AbstractDomain) -> tuple[float, float] | None:
    """What is shown of a bounded domain."""
    ends = extent(domain)
    if ends is None:
        return None
    low, high = ends
    return low - _MARGIN * (high - low), high + _MARGIN * (high - low)


def _field(game: AbstractVectorGame, limits: Limits) -> NDArray[np.float64]:
    """-V on a grid over the window, [H, W, 2]."""
    x, y = (torch.linspace(low, high, _RESOLUTION, dtype=torch.float64) for low, high in (limits[:2], limits[2:]))
    ys, xs = torch.meshgrid(y, x, indexing="ij")
    field: NDArray[np.float64] = -joint_field(game, torch.stack([xs, ys], dim=-1).reshape(-1, 2)).numpy()
    return field.reshape(*xs.shape, 2)
