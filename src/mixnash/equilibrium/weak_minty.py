r"""Constants of a field on a bounded region, found numerically.

The weak Minty condition asks for a constant :math:`\rho`, which may be negative, with

.. math:: \langle V(z), z - z^* \rangle \ge \rho \, |V(z)|^2 \quad \text{for all } z;

step-size conditions read :math:`\rho > -1 / (2L)` and the like, with L the Lipschitz constant of V. Finitely many
points can only refute: the :math:`\rho` found is an upper bound of the largest admissible one, the L found a lower
bound of the Lipschitz constant. On a small region with a fine grid both are sharp.

Some authors write :math:`-(\rho_D / 2) |V(z)|^2` on the right: :math:`\rho = -\rho_D / 2`.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from mixnash.core.errors import require
from mixnash.core.games.vectors import AbstractVectorGame
from mixnash.equilibrium.fields import joint_field, joint_jacobian
from mixnash.equilibrium.search import Loss, checked

_KEPT = 16
"""Points from which the local search starts."""

_HALVINGS = 48
"""Of the local search's step: from the spacing of the points down to rounding."""

_TRIES = 20
"""Most steps at one length."""

_STATIONARY = 1e-12
"""|V| below which the ratio is rounding noise."""


class FieldConstant(NamedTuple):
    """A constant and where it is attained."""

    value: float
    """The constant."""
    point: Tensor
    """z = (x, y) [dim]."""


def weak_minty_constant(
    game: AbstractVectorGame, solution: Float[Tensor, " dim"], points: Float[Tensor, "n dim"]
) -> FieldConstant:
    r"""An upper bound of :math:`\rho = \min_z \langle V(z), z - z^* \rangle / |V(z)|^2` over the points' bounding box.

    The smallest ratio at the given points, then a compass search from the best of them. Points where V vanishes are
    left out; they fulfil the condition for every constant.

    Args:
        game: whose field V is; general-sum games allowed.
        solution: z* = (x*, y*).
        points: z = (x, y), filling the region of interest, such as a `Box.grid`.

    Raises:
        InvalidInputError: when the shapes do not fit, or V vanishes at all points.
        NonFiniteError: when V is not finite at a point.

    References:
        Diakonikolas, Daskalakis, Jordan, 2021, Efficient methods for structured nonconvex-nonconcave min-max
        optimization, AISTATS (there with another sign and factor); Pethick et al., 2022, Escaping limit cycles, ICLR.
    """
    require(
        solution.shape == points.shape[1:],
        f"The solution needs as many axes as the points, {tuple(points.shape[1:])}, found {tuple(solution.shape)}.",
    )

    def ratio(z: Tensor) -> Tensor:
        field = joint_field(game, z)
        square = field.square().sum(1)
        aligned = (field * (z - solution.to(z))).sum(1)
        moving = square > _STATIONARY**2
        return torch.where(moving, aligned / torch.where(moving, square, 1.0), 1e300)

    found = _lowest(ratio, points.double())
    require(found.value < 1e300, "The field vanishes at all points: the weak Minty constant there is not defined.")
    return found


def lipschitz_constant(game: AbstractVectorGame, points: Float[Tensor, "n dim"]) -> FieldConstant:
    """A lower bound of the Lipschitz constant of V on the points' bounding box: the largest spectral norm of J found.

    Args:
        game: whose field V is; general-sum games allowed.
        points: z = (x, y), filling the region of interest, such as a `Box.grid`.

    Raises:
        InvalidInputError: when the points do not fit the game.
        NonFiniteError: when J is not finite at a point.
    """
    found = _lowest(lambda z: -_spectral_norm(joint_jacobian(game, z)), points.double())
    return FieldConstant(-found.value, found.point)


def _spectral_norm(matrices: Tensor) -> Tensor:
    norms = torch.full(matrices.shape[:1], torch.nan, dtype=matrices.dtype)
    finite = torch.isfinite(matrices).flatten(1).all(1)
    norms[finite] = torch.linalg.matrix_norm(matrices[finite], 2)
    return norms


def _lowest(function: Loss, points: Tensor) -> FieldConstant:
    """The smallest value over the bounding box: at the points, then by compass search from the best of them."""
    values = checked(function, points)
    best = values.argsort(stable=True)[:_KEPT]
    low, high = points.amin(0), points.amax(0)
    z, lowest = points[best], values[best]
    compass = torch.cat([torch.eye(points.shape[1]), -torch.eye(points.shape[1])]).double()
    length = (high - low) / max(2.0, len(points) ** (1 / points.shape[1]))
    for _ in range(_HALVINGS):
        for _ in range(_TRIES):
            around = (z.unsqueeze(1) + length * compass).clamp(low, high)
            found = function(around.flatten(0, 1)).reshape(around.shape[:2])
            smallest, which = torch.where(torch.isfinite(found), found, torch.inf).min(1)
            better = smallest < lowest
            if not bool(better.any()):
                break
            z = torch.where(better.unsqueeze(-1), around[torch.arange(len(z)), which], z)
            lowest = torch.where(better, smallest, lowest)
        length = length / 2
    winner = int(lowest.argmin())
    return FieldConstant(float(lowest[winner]), z[winner])
