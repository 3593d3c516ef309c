"""Guessing a location, charged by the squared distance."""

from typing import final

from torch import Tensor

from mixnash.core.domains import AbstractDomain, Ball, Box
from mixnash.core.errors import require
from mixnash.core.games.vectors import AbstractVectorGame, fitting


@final
class SquaredDistance(AbstractVectorGame):
    r""":math:`\Phi(x, y) = \|x - y\|^2`; x minimises, y maximises.

    In a ball of radius R around the origin the value is :math:`R^2`: x plays the origin, y any law of mean zero on
    the sphere (in one dimension -R and R equally often). On [0, 1] the value is 1/4: x plays 1/2, y plays 0 and 1.

    Args:
        dim: number of coordinates of both players, at least 1.
        minimiser_domain: where x lives; the unit ball, in one dimension as the box [-1, 1], if omitted.
        maximiser_domain: where y lives; likewise.

    Raises:
        InvalidInputError: when there is no coordinate or a domain has another dimension.
    """

    def __init__(
        self,
        dim: int = 1,
        minimiser_domain: AbstractDomain | None = None,
        maximiser_domain: AbstractDomain | None = None,
    ) -> None:
        require(dim >= 1, f"A strategy needs at least one coordinate, found {dim}.")
        default = Box([-1.0], [1.0]) if dim == 1 else Ball(dim)
        super().__init__(
            fitting(minimiser_domain, default, "minimiser"), fitting(maximiser_domain, default, "maximiser")
        )

    def payoff(self, x: Tensor, y: Tensor) -> Tensor:
        """Phi of the class docstring."""
        return (x - y).square().sum(-1)
