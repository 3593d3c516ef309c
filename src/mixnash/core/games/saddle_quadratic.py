"""The strongly convex-concave quadratic."""

from typing import final

from torch import Tensor

from mixnash.core.domains import AbstractDomain
from mixnash.core.games.scalar import AbstractScalarGame, finite


@final
class SaddleQuadratic(AbstractScalarGame):
    r""":math:`\Phi(x, y) = x^2 - y^2 + b x y`; x minimises, y maximises.

    The origin is the equilibrium, of value 0; there and everywhere J has the eigenvalues :math:`2 \pm i b`. With
    strong monotonicity 2 and Lipschitz constant :math:`\sqrt{4 + b^2}`, simultaneous gradient steps h converge for
    :math:`h < 4 / (4 + b^2)`; with b = 0 for h < 1.

    Args:
        interaction: b.
        minimiser_domain: where x lives; the whole line if omitted.
        maximiser_domain: where y lives; the whole line if omitted.

    Raises:
        InvalidInputError: when b is not finite or a domain has more than one axis.
    """

    def __init__(
        self,
        interaction: float = 0.0,
        minimiser_domain: AbstractDomain | None = None,
        maximiser_domain: AbstractDomain | None = None,
    ) -> None:
        self.interaction = finite("interaction", interaction)
        super().__init__(minimiser_domain, maximiser_domain)

    def scalar_payoff(self, x: Tensor, y: Tensor) -> Tensor:
        """Phi of the class docstring."""
        return x * (x + self.interaction * y) - y * y
