"""A game whose only stationary point repels: no reasonable gradient method may converge."""

from typing import final

from torch import Tensor

from mixnash.core.games.scalar import AbstractScalarGame, EvenPolynomial

_WELLS = EvenPolynomial([-1 / 2, 1 / 4])


@final
class Letcher(AbstractScalarGame):
    r""":math:`\Phi(x, y) = x y + f(x) - f(y)` with :math:`f(u) = -u^2 / 2 + u^4 / 4`; x minimises, y maximises.

    The origin is the only stationary point and repels (eigenvalues of J :math:`-1 \pm i`); the flow ends on a stable
    cycle (distance to the origin from 1.0695 to 1.2483, period 6.851). Both players play -1 and 1 equally often in
    the unique mixed equilibrium, of value 0.

    References:
        Letcher, 2021, On the impossibility of global convergence in multi-loss optimization, ICLR.

    Args:
        minimiser_domain: where x lives; the whole line if omitted.
        maximiser_domain: where y lives; the whole line if omitted.

    Raises:
        InvalidInputError: when a domain has more than one axis.
    """

    def scalar_payoff(self, x: Tensor, y: Tensor) -> Tensor:
        """Phi of the class docstring."""
        return x * y + _WELLS(x) - _WELLS(y)
