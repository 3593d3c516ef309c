r"""The field of a game of pure strategies, at many points at once.

.. math:: V(z) = (\nabla_x \ell_G, \nabla_y \ell_D), \qquad z = (x, y),

which for a zero-sum game is :math:`(\nabla_x \Phi, -\nabla_y \Phi)`; J is its derivative.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from mixnash.core.errors import require
from mixnash.core.games.vectors import AbstractVectorGame


@torch.enable_grad()
def joint_field(game: AbstractVectorGame, points: Float[Tensor, "n dim"]) -> Float[Tensor, "n dim"]:
    """V at points z = (x, y), x first.

    Raises:
        InvalidInputError: when the points have another number of axes than the two players together.
    """
    return _field(game, _leaves(game, points)).detach()


@torch.enable_grad()
def joint_jacobian(game: AbstractVectorGame, points: Float[Tensor, "n dim"]) -> Float[Tensor, "n dim dim"]:
    """J at points z = (x, y): row i holds the derivatives of V_i.

    Raises:
        InvalidInputError: when the points have another number of axes than the two players together.
    """
    leaves = _leaves(game, points)
    field = _field(game, leaves)
    if not field.requires_grad:
        return torch.zeros(*leaves.shape, leaves.shape[-1], dtype=leaves.dtype)
    rows = [
        torch.autograd.grad(field[:, i].sum(), leaves, retain_graph=True, materialize_grads=True)[0]
        for i in range(field.shape[1])
    ]
    return torch.stack(rows, dim=1)


def _leaves(game: AbstractVectorGame, points: Tensor) -> Tensor:
    dim = game.minimiser.dim + game.maximiser.dim
    require(
        points.dim() == 2 and points.shape[1] == dim,
        f"Points of this game are (x, y) with {dim} axes: expected [n, {dim}], found {tuple(points.shape)}.",
    )
    return points.detach().double().requires_grad_()


def _field(game: AbstractVectorGame, points: Tensor) -> Tensor:
    x, y = torch.split(points, [game.minimiser.dim, game.maximiser.dim], dim=1)
    terms = game.pair_terms(x, y)
    # A loss that does not depend on its player counts as a function of it, with gradient zero.
    parts = [
        torch.autograd.grad(loss.sum() + 0 * own.sum(), own, create_graph=True, materialize_grads=True)[0]
        for loss, own in ((terms.generator_loss, x), (terms.critic_loss, y))
    ]
    return torch.cat(parts, dim=1)
