"""How a run ended, in a few words."""

import torch
from torch import Tensor

from mixnash.core.domains import Euclidean
from mixnash.core.games.vectors import VECTOR
from mixnash.core.population import size, weights
from mixnash.core.types import Population
from mixnash.equilibrium.cycles import detect_cycle
from mixnash.solving.gaps import Gap
from mixnash.solving.history import History
from mixnash.solving.problem import Problem

CONVERGED, SOLVED = 1e-6, 1e-3
"""Pure strategies have converged below this gradient norm, mixed ones below this Nikaido-Isoda error."""

_FAR = 10.0  # times what the start is from the origin, plus one: a run that ends further out diverges


def outcome_of(problem: Problem, history: History, gap: Gap | None, gradient_norm: float | None) -> str:
    """`converged`, `cycle, radius r, period T` in steps, `diverges`, or `not yet`.

    Cycles are looked for in the second half of the run: of the points of pure strategies, of the weights where
    particles stay, of the means of both players' mixtures otherwise.

    Args:
        problem: what was run.
        history: of the run.
        gap: of the last iterate.
        gradient_norm: of the last iterate.
    """
    pure = all(size(player) == 1 for player in problem.profile)
    if gradient_norm is not None and gradient_norm <= CONVERGED and (pure or gap is None):
        return "converged"
    if gap is not None and not pure and gap.value <= SOLVED:
        return "converged"
    points = _path(problem, history)
    unbounded = isinstance(problem.game.minimiser, Euclidean) or isinstance(problem.game.maximiser, Euclidean)
    if unbounded and escapes(points):
        return "diverges"
    even = int((history.steps % problem.record_every == 0).sum())  # the last record may come early
    cycle = detect_cycle(points[:even])
    if cycle is None:
        return "not yet"
    return f"cycle, radius {cycle.mean_radius:.3g}, period {cycle.period * problem.record_every:.4g}"


def escapes(points: Tensor) -> bool:
    """Whether a path [R, dim] ends far from where it began."""
    return float(points[-1].norm()) > _FAR * (1 + float(points[0].norm()))


def _path(problem: Problem, history: History) -> Tensor:
    """[R, at least 2]."""

    def side(player: Population) -> Tensor:
        if problem.start.finite:
            return weights(player)
        return torch.einsum("rk,rkd->rd", weights(player), player.params[VECTOR])

    return torch.cat([side(player) for player in history.profiles], 1)
