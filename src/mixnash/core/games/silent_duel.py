"""The silent duel: a discontinuous game that gradients do not see."""

from typing import final

from torch import Tensor

from mixnash.core.domains import Box
from mixnash.core.games.scalar import AbstractScalarGame


@final
class SilentDuel(AbstractScalarGame):
    r""":math:`\Phi(x, y) = y - x + \mathrm{sign}(x - y)\, x y`; x minimises, y maximises.

    Each player fires once, at a time that is also the probability to hit, without hearing the other. The value is 0;
    the optimal law of both has density :math:`1 / (4 t^3)` on [1/3, 1] and quantiles :math:`(9 - 8 u)^{-1/2}`. As Phi
    jumps where x = y, gradients mislead: for methods that move weights on a grid.

    Args:
        minimiser_domain: where x lives; [0, 1] if omitted.
        maximiser_domain: where y lives; [0, 1] if omitted.

    Raises:
        InvalidInputError: when a domain has more than one axis.
    """

    default_domain = Box([0.0], [1.0])

    def scalar_payoff(self, x: Tensor, y: Tensor) -> Tensor:
        """Phi of the class docstring."""
        return y - x + (x - y).sign() * x * y
