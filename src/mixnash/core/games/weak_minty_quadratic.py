"""Quadratic games with a chosen weak-Minty constant."""

import math
from typing import final

from torch import Tensor

from mixnash.core.domains import AbstractDomain
from mixnash.core.errors import require
from mixnash.core.games.scalar import AbstractScalarGame


@final
class WeakMintyQuadratic(AbstractScalarGame):
    r""":math:`\Phi(x, y) = a x y + \tfrac{b}{2} (x^2 - y^2)` with :math:`a = L \sqrt{1 - c^2}, b = -c L`; x minimises.

    The field is L-Lipschitz and :math:`\langle V(z), z \rangle = \rho \|V(z)\|^2` with :math:`\rho = -c / L` exactly.
    The origin is the only stationary point; the flow spirals away from it (eigenvalues of J :math:`b \pm i a`), yet
    proximal-point steps longer than 2c / L converge. On a box :math:`[-r, r]^2` the value is 0, and
    for c > 0 both players play -r and r equally often: unique.

    References:
        Pethick et al., 2022, Escaping limit cycles: global convergence for constrained nonconvex-nonconcave minimax
        problems, ICLR.

    Args:
        lipschitz: L > 0.
        ratio: c in [0, 1); 0 is the bilinear game.
        minimiser_domain: where x lives; the whole line if omitted.
        maximiser_domain: where y lives; the whole line if omitted.

    Raises:
        InvalidInputError: when a number is outside its range or a domain has more than one axis.
    """

    def __init__(
        self,
        lipschitz: float = 1.0,
        ratio: float = 0.25,
        minimiser_domain: AbstractDomain | None = None,
        maximiser_domain: AbstractDomain | None = None,
    ) -> None:
        require(
            0 < lipschitz < math.inf,
            f"The Lipschitz constant of a quadratic game must be positive and finite, found {lipschitz}.",
        )
        require(0 <= ratio < 1, f"The ratio of a weak-Minty quadratic must be at least 0 and below 1, found {ratio}.")
        self.lipschitz, self.ratio = lipschitz, ratio
        self._coupling, self._half_curvature = lipschitz * math.sqrt(1 - ratio**2), -ratio * lipschitz / 2
        super().__init__(minimiser_domain, maximiser_domain)

    @property
    def weak_minty(self) -> float:
        """The constant rho."""
        return -self.ratio / self.lipschitz

    def scalar_payoff(self, x: Tensor, y: Tensor) -> Tensor:
        """Phi of the class docstring."""
        return self._coupling * x * y + self._half_curvature * (x * x - y * y)
