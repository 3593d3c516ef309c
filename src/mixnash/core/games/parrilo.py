"""A polynomial game whose minimiser must mix while the maximiser stays pure."""

from typing import final

from torch import Tensor

from mixnash.core.domains import Box
from mixnash.core.games.scalar import AbstractScalarGame


@final
class Parrilo(AbstractScalarGame):
    r""":math:`\Phi(x, y) = 5 x y - 2 y^2 - 2 y x^2 - x`; x minimises, y maximises.

    On :math:`[-1, 1]^2` the value is -12/25: x plays 1 with probability 0.78 and -1 with 0.22, y plays 1/5.

    References:
        Parrilo, 2006, Polynomial games and sum of squares optimization, CDC (with the names of the players exchanged).

    Args:
        minimiser_domain: where x lives; [-1, 1] if omitted.
        maximiser_domain: where y lives; [-1, 1] if omitted.

    Raises:
        InvalidInputError: when a domain has more than one axis.
    """

    default_domain = Box([-1.0], [1.0])

    def scalar_payoff(self, x: Tensor, y: Tensor) -> Tensor:
        """Phi of the class docstring."""
        return y * (5 * x - 2 * y - 2 * x * x) - x
