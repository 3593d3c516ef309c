"""The global forsaken game: a pure equilibrium behind a repelling cycle, inside an attracting one."""

from typing import final

from torch import Tensor

from mixnash.core.games.scalar import AbstractScalarGame, EvenPolynomial

_WELLS = EvenPolynomial([1 / 3, -1 / 3, 2 / 21])


@final
class GlobalForsaken(AbstractScalarGame):
    r""":math:`\Phi(x, y) = x y + f(x) - f(y)` with :math:`f(u) = u^2 / 3 - u^4 / 3 + 2 u^6 / 21`; x minimises.

    As f is positive away from 0, the origin is the unique equilibrium, of value 0. It attracts (eigenvalues of J
    :math:`2/3 \pm i`) from inside an unstable cycle (distance to the origin from 1.0162 to 1.0730); from outside the
    flow ends on a stable cycle (1.2919 to 1.3293). On :math:`[-4/3, 4/3]^2` the weak-Minty constant is
    :math:`\rho = -0.119732` and the Lipschitz constant L = 3.022384.

    References:
        Pethick et al., 2022, Escaping limit cycles: global convergence for constrained nonconvex-nonconcave minimax
        problems, ICLR.

    Args:
        minimiser_domain: where x lives; the whole line if omitted.
        maximiser_domain: where y lives; the whole line if omitted.

    Raises:
        InvalidInputError: when a domain has more than one axis.
    """

    def scalar_payoff(self, x: Tensor, y: Tensor) -> Tensor:
        """Phi of the class docstring."""
        return x * y + _WELLS(x) - _WELLS(y)
