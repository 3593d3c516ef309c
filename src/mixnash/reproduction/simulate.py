"""Running dynamics on games of two vectors, one particle each, as fast as plain Python allows."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mixnash.core.dynamics.base import AbstractDynamics
from mixnash.core.games.vectors import VECTOR, AbstractVectorGame
from mixnash.core.population import make_population
from mixnash.core.types import Profile
from mixnash.core.vector_oracle import VectorOracle

ORIGIN = (0.0, 0.0)
FAR = 1e3
"""A player this far out has diverged: all games here are played within a few units of the origin."""
STILL = 1e-13
"""Steps this short, `PATIENCE` times in a row, end the run: the point is stationary to rounding."""
PATIENCE = 20
"""Bridges the steps at which slow weights do not move."""
ARRIVED = 1e-4


class Run(NamedTuple):
    """A trajectory of both players, until the end, divergence or standstill."""

    points: Tensor
    """z_0, z_1, ... [T + 1, dim of x + dim of y]."""
    diverged: bool
    still: bool
    """Whether the last steps no longer moved."""


def pure(x: Sequence[float], y: Sequence[float]) -> Profile:
    """One particle each, in double precision."""
    return Profile(*(make_population({VECTOR: torch.tensor([one], dtype=torch.float64)}) for one in (x, y)))


def joint(profile: Profile) -> Tensor:
    """Both positions of single particles, one after the other."""
    return torch.cat([profile.generators.params[VECTOR][0], profile.critics.params[VECTOR][0]])


def follow(
    dynamics: AbstractDynamics,
    game: AbstractVectorGame,
    start: tuple[Sequence[float], Sequence[float]],
    steps: int,
    target: Sequence[float] | None = None,
) -> Run:
    """The trajectory from `start`; shorter than `steps` if it diverges, stands still or arrives at `target`.

    Args:
        dynamics: moves the players.
        game: what they play.
        start: x and y.
        steps: at most.
        target: a stationary point; a run that comes within `ARRIVED` of it ends there.
    """
    oracle = VectorOracle(game)
    goal = None if target is None else torch.tensor(target, dtype=torch.float64)
    rng = torch.Generator().manual_seed(0)
    state = dynamics.init(pure(*start))
    points, resting = [joint(dynamics.profile(state))], 0
    for _ in range(steps):
        state, _ = dynamics.step(state, oracle, rng)
        points.append(joint(dynamics.profile(state)))
        if not float(points[-1].abs().max()) < FAR:  # NaN included
            return Run(torch.stack(points), diverged=True, still=False)
        if goal is not None and float((points[-1] - goal).abs().max()) < ARRIVED:
            break
        resting = resting + 1 if float((points[-1] - points[-2]).abs().max()) < STILL else 0
        if resting >= PATIENCE:
            return Run(torch.stack(points), diverged=False, still=True)
    return Run(torch.stack(points), diverged=False, still=False)
