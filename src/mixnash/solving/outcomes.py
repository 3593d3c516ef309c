"""How a run ended, in a few words."""

from typing import NamedTuple

import torch
from torch import Tensor

from mixnash.core.population import size, weights
from mixnash.core.types import Population
from mixnash.equilibrium.cycles import detect_cycle
from mixnash.solving.gaps import Gap
from mixnash.solving.history import History, mean_path
from mixnash.solving.problem import Problem

CONVERGED, SOLVED = 1e-6, 1e-3
"""Pure strategies have converged below this gradient norm, mixed ones below this Nikaido-Isoda error."""

NEAR = 1e-2
"""Pure strategies that stopped further than this from the known equilibrium are trapped, unless they solve the game."""

_FAR = 10.0  # times what the start is from the origin, plus one: a run that ends further out diverges


class Outcome(NamedTuple):
    """What became of a run."""

    kind: str
    """`converged`, `trapped` where the gradient vanishes away from equilibrium, `cycle`, `diverges` where the end is
    far away, `diverged` where the run left the finite numbers, or `not yet`."""
    radius: float | None = None
    """Of a cycle: the mean distance from its centre."""
    period: float | None = None
    """Of a cycle, in steps."""
    step: int | None = None
    """At which record it was noticed that the run is not finite any more."""

    def __str__(self) -> str:
        """All of it in a few words."""
        if self.radius is not None and self.period is not None:
            return f"{self.kind}, radius {self.radius:.3g}, period {self.period:.4g}"
        return self.kind if self.step is None else f"{self.kind} by step {self.step}"


def outcome_of(
    problem: Problem, history: History, gap: Gap | None, gradient_norm: float | None, distance: float | None = None
) -> Outcome:
    """What became of a run that stayed finite.

    Cycles are looked for in the second half of the run: of the points of pure strategies, of the weights where
    particles stay, of the means of both players' mixtures otherwise.

    Args:
        problem: what was run.
        history: of the run.
        gap: of the last iterate.
        gradient_norm: of the last iterate.
        distance: of the last iterate from the known equilibrium.
    """
    pure = all(size(player) == 1 for player in problem.profile)
    if gradient_norm is not None and gradient_norm <= CONVERGED and (pure or gap is None):
        return Outcome("trapped" if pure and not _at_equilibrium(gap, distance) else "converged")
    if gap is not None and not pure and gap.value <= SOLVED:
        return Outcome("converged")
    points = _path(problem, history)
    unbounded = not problem.game.minimiser.bounded or not problem.game.maximiser.bounded
    if unbounded and escapes(points):
        return Outcome("diverges")
    even = int((history.steps % problem.record_every == 0).sum())  # the last record may come early
    cycle = detect_cycle(points[:even])
    if cycle is None:
        return Outcome("not yet")
    return Outcome("cycle", cycle.mean_radius, cycle.period * problem.record_every)


def _at_equilibrium(gap: Gap | None, distance: float | None) -> bool:
    """Whether a point where the gradient vanishes is an equilibrium, or nothing is known that speaks against it."""
    if gap is not None and gap.value <= SOLVED:
        return True
    return gap is None if distance is None else distance <= NEAR


def escapes(points: Tensor) -> bool:
    """Whether a path [R, dim] ends far from where it began."""
    return float(points[-1].norm()) > _FAR * (1 + float(points[0].norm()))


def _path(problem: Problem, history: History) -> Tensor:
    """[R, at least 2]."""

    def side(player: Population) -> Tensor:
        if problem.start.finite:
            return weights(player)
        return mean_path(player)

    return torch.cat([side(player) for player in history.profiles], 1)
