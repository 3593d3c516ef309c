"""The forsaken game: an attracting stationary point behind a repelling cycle, inside a spurious attracting one."""

from typing import final

from torch import Tensor

from mixnash.core.domains import AbstractDomain
from mixnash.core.games.scalar import AbstractScalarGame, EvenPolynomial, finite

FORSAKEN_WELLS = EvenPolynomial([1 / 4, -1 / 2, 1 / 6])
"""f(u) = u^2 / 4 - u^4 / 2 + u^6 / 6."""


@final
class Forsaken(AbstractScalarGame):
    r""":math:`\Phi(x, y) = x (y - c) + f(x) - f(y)` with :math:`f(u) = u^2 / 4 - u^4 / 2 + u^6 / 6`; x minimises.

    With the published c = 0.45 the stationary point (0.07802666873846, 0.41193385136582) attracts (eigenvalues of J
    :math:`0.044746 \pm 0.908028 i`) from inside an unstable cycle (x from -0.1757 to 0.2282, y from 0.2330 to 0.6293,
    period 7.170); the rest of the plane goes to a stable cycle (x from -1.3325 to 1.4650, y from -1.3182 to
    1.4462, period 7.548). Above c = 0.472404 the stationary point repels.

    On :math:`[-1.5, 1.5]^2` the value is 0 and, with :math:`u = \sqrt{1 + \sqrt{2} / 2} = 1.3066`, x plays
    -u and u equally often, y plays u with probability :math:`(1 + c / u) / 2`: unique. The Nikaido-Isoda gap of the
    stationary point there is 0.550. `ForsakenSwapped` is the same payoff with the roles exchanged, a different game.

    References:
        Hsieh, Mertikopoulos, Cevher, 2021, The limits of min-max optimization algorithms, ICML.

    Args:
        offset: c.
        minimiser_domain: where x lives; the whole line if omitted.
        maximiser_domain: where y lives; the whole line if omitted.

    Raises:
        InvalidInputError: when c is not finite or a domain has more than one axis.
    """

    def __init__(
        self,
        offset: float = 0.45,
        minimiser_domain: AbstractDomain | None = None,
        maximiser_domain: AbstractDomain | None = None,
    ) -> None:
        self.offset = finite("offset", offset)
        super().__init__(minimiser_domain, maximiser_domain)

    def scalar_payoff(self, x: Tensor, y: Tensor) -> Tensor:
        """Phi of the class docstring."""
        return x * (y - self.offset) + FORSAKEN_WELLS(x) - FORSAKEN_WELLS(y)
