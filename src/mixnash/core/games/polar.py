"""A field with two circles as cycles; no payoff has it, so it is played as a general-sum game."""

import math
from typing import final

from torch import Tensor

from mixnash.core.domains import AbstractDomain
from mixnash.core.errors import require
from mixnash.core.games.scalar import AbstractScalarGame
from mixnash.core.types import PairTerms


@final
class PolarGame(AbstractScalarGame):
    r""":math:`V(z) = \tfrac{a}{16} (r^2 - 1)(16 r^2 - 9)\, z + (-y, x)` with z = (x, y) and r = |z|.

    Realised with the losses :math:`\ell_x = \tfrac{a}{32} P(r^2) - x y` and :math:`\ell_y = \tfrac{a}{32} P(r^2) + x y`
    for :math:`P(s) = \tfrac{16}{3} s^3 - \tfrac{25}{2} s^2 + 9 s`. Not zero-sum: the payoff, :math:`-x y`, is what both
    losses share with opposite signs. Values and weights see it, positions do not.

    The origin is the only stationary point and attracts (eigenvalues of J :math:`9 a / 16 \pm i`) from inside the
    unstable cycle r = 3/4; from outside the flow ends on the stable cycle r = 1; both have period :math:`2 \pi`. On
    :math:`[-1.1, 1.1]^2` the weak-Minty and Lipschitz constants are -0.0477422436 and 18.5479518688 for a = 1,
    -0.0358425068 and 13.9383898802 for a = 3/4, -0.0159464637 and 6.3060895795 for a = 1/3.

    References:
        Pethick et al., 2022, Escaping limit cycles: global convergence for constrained nonconvex-nonconcave minimax
        problems, ICLR.

    Args:
        strength: a > 0, how fast the cycles attract and repel.
        minimiser_domain: where x lives; the whole line if omitted.
        maximiser_domain: where y lives; the whole line if omitted.

    Raises:
        InvalidInputError: when a is not positive and finite or a domain has more than one axis.
    """

    zero_sum = False

    def __init__(
        self,
        strength: float = 1.0,
        minimiser_domain: AbstractDomain | None = None,
        maximiser_domain: AbstractDomain | None = None,
    ) -> None:
        require(
            0 < strength < math.inf,
            f"The strength of the polar game must be positive and finite, found {strength}.",
        )
        self.strength = strength
        super().__init__(minimiser_domain, maximiser_domain)

    def scalar_payoff(self, x: Tensor, y: Tensor) -> Tensor:
        """The part -xy that is zero-sum."""
        return -x * y

    def pair_terms(self, x: Tensor, y: Tensor) -> PairTerms:
        """-xy and the two losses of the class docstring."""
        value = self.payoff(x, y)
        s = (x * x + y * y).squeeze(-1)
        radial = self.strength / 32 * s * (9 + s * (-25 / 2 + 16 / 3 * s))
        return PairTerms(value, radial + value, radial - value)
