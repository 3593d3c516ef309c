"""Two double wells with a strong rotation between them."""

from typing import final

from torch import Tensor

from mixnash.core.domains import AbstractDomain
from mixnash.core.errors import require
from mixnash.core.games.scalar import AbstractScalarGame, EvenPolynomial, finite


@final
class DoubleWell(AbstractScalarGame):
    r""":math:`\Phi(x, y) = s x y + v(x) - v(y)` with :math:`v(u) = h (u^2 - 1)^2`; x minimises, y maximises.

    A double well for each player, and a coupling that pushes the two populations around each other: in the spirit
    of the counterexample of Mourrat and Pillaud-Vivien to the convergence of mean-field Langevin descent-ascent. Its
    construction is not reproduced here, and nothing is claimed about the strengths at which Langevin dynamics cycle.

    The origin is a repelling stationary point (eigenvalues of J :math:`-4 h \pm i s`). Without entropy, the unique
    mixed equilibrium, of value 0, has both players at -1 and 1 equally often.

    Args:
        strength: s, not 0.
        height: h > 0, of the barrier between the wells.
        minimiser_domain: where x lives; the whole line if omitted.
        maximiser_domain: where y lives; the whole line if omitted.

    Raises:
        InvalidInputError: when the strength is 0 or not finite, the height is not positive, or a domain has more than
            one axis.
    """

    def __init__(
        self,
        strength: float = 4.0,
        height: float = 1.0,
        minimiser_domain: AbstractDomain | None = None,
        maximiser_domain: AbstractDomain | None = None,
    ) -> None:
        require(strength != 0, "The wells of a double-well game need a coupling that is not 0.")
        require(height > 0, f"The barrier of a double-well game must have a positive height, found {height}.")
        self.strength, self.height = finite("strength", strength), finite("height", height)
        self._wells = EvenPolynomial([-2 * height, height])  # without the constant, which cancels
        super().__init__(minimiser_domain, maximiser_domain)

    def scalar_payoff(self, x: Tensor, y: Tensor) -> Tensor:
        """Phi of the class docstring."""
        return self.strength * x * y + self._wells(x) - self._wells(y)
