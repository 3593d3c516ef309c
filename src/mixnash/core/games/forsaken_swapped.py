"""The payoff of the forsaken game with the roles of the two players exchanged."""

from typing import final

from torch import Tensor

from mixnash.core.domains import AbstractDomain
from mixnash.core.games.forsaken import FORSAKEN_WELLS
from mixnash.core.games.scalar import AbstractScalarGame, finite


@final
class ForsakenSwapped(AbstractScalarGame):
    r""":math:`\Phi(x, y) = y (x - c) + f(y) - f(x)` with :math:`f(u) = u^2 / 4 - u^4 / 2 + u^6 / 6`; x minimises.

    `Forsaken` with the names of the variables exchanged but not who minimises: its field reversed in time, so another
    game. With c = 0.5 the stationary point (0.477185, 0.046019) attracts (eigenvalues of J
    :math:`0.059834 \pm 0.837034 i`) from inside an unstable cycle (x from -1.2980 to 1.4487, y from -1.3204 to 1.4698,
    period 7.719), outside of which the flow runs away.

    On :math:`[-1.5, 1.5]^2` the value is 0 and, with :math:`u = \sqrt{1 - \sqrt{2} / 2} = 0.5412`, x plays u
    with probability :math:`(1 + c / u) / 2` and -u else, y plays -u and u equally often: unique.

    Args:
        offset: c.
        minimiser_domain: where x lives; the whole line if omitted.
        maximiser_domain: where y lives; the whole line if omitted.

    Raises:
        InvalidInputError: when c is not finite or a domain has more than one axis.
    """

    def __init__(
        self,
        offset: float = 0.5,
        minimiser_domain: AbstractDomain | None = None,
        maximiser_domain: AbstractDomain | None = None,
    ) -> None:
        self.offset = finite("offset", offset)
        super().__init__(minimiser_domain, maximiser_domain)

    def scalar_payoff(self, x: Tensor, y: Tensor) -> Tensor:
        """Phi of the class docstring."""
        return y * (x - self.offset) + FORSAKEN_WELLS(y) - FORSAKEN_WELLS(x)
