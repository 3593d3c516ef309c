r"""Newton's method on weights and positions together, for mixed equilibria with finitely many atoms.

At an equilibrium with atoms :math:`x_k, y_l` of weights p, q and value v, where P are projections onto the domains,

.. math::
    x_k = P(x_k - t \nabla_x \Phi(x_k, \nu)), \quad \Phi(x_k, \nu) = v, \quad \sum_k p_k = 1,

and the same for y with the opposite sign. Stationary points are solutions too: whether the result is an equilibrium
is for the Nikaido-Isoda gap to tell.
"""

import torch
from torch import Tensor

from mixnash.core.games.vectors import VECTOR, AbstractVectorGame
from mixnash.core.population import make_population, prune
from mixnash.core.types import Profile
from mixnash.equilibrium.nikaido_isoda import atoms
from mixnash.equilibrium.search import difference

_UNKNOWNS = 100
"""Larger systems are not worth their dense derivative."""


@torch.enable_grad()
def polish(game: AbstractVectorGame, profile: Profile, steps: int = 12) -> Profile | None:
    """The solution of the equations above next to a profile, or None where the iteration leads to none.

    The derivative is inverted in the least-squares sense, so directions in which equilibria are not unique stay as they
    are. Weights that end at zero are dropped.

    Args:
        game: zero-sum.
        profile: one particle per atom, near the solution.
        steps: most Newton steps.
    """
    (x, p), (y, q) = (atoms(one) for one in profile)
    shapes = [x.shape, y.shape, p.shape, q.shape, torch.Size([1])]
    value = p @ game.payoff(x.unsqueeze(1), y.unsqueeze(0)) @ q
    unknown = torch.cat([one.flatten() for one in (x, y, p, q, value.unsqueeze(0))]).detach()
    if len(unknown) > _UNKNOWNS:
        return None
    for _ in range(steps):
        point = unknown.requires_grad_()
        residual = _residual(game, point, shapes)
        units = torch.eye(len(residual), dtype=residual.dtype)
        (derivative,) = torch.autograd.grad(residual, point, units, is_grads_batched=True)
        if not bool(torch.isfinite(derivative).all()):
            return None
        step = torch.linalg.pinv(derivative, rtol=1e-10) @ residual.detach()
        unknown = point.detach() - step
        if not bool(torch.isfinite(unknown).all()) or float(step.abs().max()) < 1e-15:
            break
    x, y, p, q, _ = _split(unknown, shapes)
    if not bool(torch.isfinite(unknown).all()) or min(float(p.min()), float(q.min())) < -1e-9:
        return None
    generators, critics = (
        prune(make_population({VECTOR: domain.project(points)}, mass.clamp_min(1e-300).log()), 1e-12)
        for domain, points, mass in ((game.minimiser, x, p), (game.maximiser, y, q))
    )
    return Profile(generators, critics)


def _split(unknown: Tensor, shapes: list[torch.Size]) -> list[Tensor]:
    parts = torch.split(unknown, [shape.numel() for shape in shapes])
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


def _residual(game: AbstractVectorGame, unknown: Tensor, shapes: list[torch.Size]) -> Tensor:
    x, y, p, q, value = _split(unknown, shapes)
    table = game.payoff(x.unsqueeze(1), y.unsqueeze(0))
    pays, wins = table @ q, p @ table
    (slope_x,) = torch.autograd.grad(pays.sum() + 0 * x.sum(), x, create_graph=True)
    (slope_y,) = torch.autograd.grad(wins.sum() + 0 * y.sum(), y, create_graph=True)
    return torch.cat(
        [
            difference(game.minimiser, x, game.minimiser.project(x - slope_x)).flatten(),
            difference(game.maximiser, y, game.maximiser.project(y + slope_y)).flatten(),
            pays - value,
            wins - value,
            (p.sum() - 1).unsqueeze(0),
            (q.sum() - 1).unsqueeze(0),
        ]
    )
