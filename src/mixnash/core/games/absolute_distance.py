"""Guessing a location on a line, charged by the distance."""

from typing import final

from torch import Tensor

from mixnash.core.domains import Box
from mixnash.core.games.scalar import AbstractScalarGame


@final
class AbsoluteDistance(AbstractScalarGame):
    r""":math:`\Phi(x, y) = |x - y|`; x minimises, y maximises.

    On [-1, 1] the value is 1: y plays -1 and 1 equally often, any law of mean zero is optimal for x. Not
    differentiable where x = y; the gradient there is 0.

    Args:
        minimiser_domain: where x lives; [-1, 1] if omitted.
        maximiser_domain: where y lives; [-1, 1] if omitted.

    Raises:
        InvalidInputError: when a domain has more than one axis.
    """

    default_domain = Box([-1.0], [1.0])

    def scalar_payoff(self, x: Tensor, y: Tensor) -> Tensor:
        """Phi of the class docstring."""
        return (x - y).abs()
