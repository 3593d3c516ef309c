"""Hide and seek with a bell-shaped payoff: more atoms the narrower the bell."""

import math
from typing import final

import torch
from torch import Tensor

from mixnash.core.domains import AbstractDomain, Box
from mixnash.core.errors import require
from mixnash.core.games.scalar import AbstractScalarGame


@final
class BellGaussian(AbstractScalarGame):
    r""":math:`\Phi(x, y) = e^{-\lambda (x - y)^2}`; x minimises: it flees from y.

    On [-1, 1] both players have unique optimal laws of finitely many atoms, more of them as the rate grows. Up to
    :math:`\lambda = 1/2` the value is :math:`e^{-\lambda}`: x plays -1 and 1 equally often, y plays 0. Beyond, see
    `known.KNOWN_GAMES` for rates 1 (3 against 2 atoms) and 2 (3 against 3).

    References:
        Karlin, 1959, Mathematical methods and theory in games, programming, and economics, volume 2 (bell-shaped
        games).

    Args:
        rate: lambda > 0.
        minimiser_domain: where x lives; [-1, 1] if omitted.
        maximiser_domain: where y lives; [-1, 1] if omitted.

    Raises:
        InvalidInputError: when the rate is not positive and finite or a domain has more than one axis.
    """

    default_domain = Box([-1.0], [1.0])

    def __init__(
        self,
        rate: float = 1.0,
        minimiser_domain: AbstractDomain | None = None,
        maximiser_domain: AbstractDomain | None = None,
    ) -> None:
        require(0 < rate < math.inf, f"The rate of a bell-shaped game must be positive and finite, found {rate}.")
        self.rate = rate
        super().__init__(minimiser_domain, maximiser_domain)

    def scalar_payoff(self, x: Tensor, y: Tensor) -> Tensor:
        """Phi of the class docstring."""
        difference = x - y
        return torch.exp(-self.rate * difference * difference)
