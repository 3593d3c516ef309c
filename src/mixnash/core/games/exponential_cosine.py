"""A bell on the circle, whose only solution is uniform."""

import math
from typing import final

import torch
from torch import Tensor

from mixnash.core.domains import AbstractDomain, Torus
from mixnash.core.errors import require
from mixnash.core.games.scalar import AbstractScalarGame


@final
class ExponentialCosine(AbstractScalarGame):
    r""":math:`\Phi(x, y) = e^{k \cos 2 \pi (x - y)}`; x minimises: it flees from y.

    The value is the Bessel function :math:`I_0(k)` (1.26607 for k = 1, 11.30192 for k = 4). The uniform law is the
    unique optimal strategy of both players, as no Fourier coefficient of the payoff vanishes.

    Args:
        sharpness: k > 0.
        minimiser_domain: where x lives; the torus [0, 1) if omitted.
        maximiser_domain: where y lives; the torus [0, 1) if omitted.

    Raises:
        InvalidInputError: when the sharpness is not positive and finite or a domain has more than one axis.
    """

    default_domain = Torus(1)

    def __init__(
        self,
        sharpness: float = 1.0,
        minimiser_domain: AbstractDomain | None = None,
        maximiser_domain: AbstractDomain | None = None,
    ) -> None:
        require(
            0 < sharpness < math.inf,
            f"The sharpness of an exponential cosine must be positive and finite, found {sharpness}.",
        )
        self.sharpness = sharpness
        super().__init__(minimiser_domain, maximiser_domain)

    def scalar_payoff(self, x: Tensor, y: Tensor) -> Tensor:
        """Phi of the class docstring."""
        return torch.exp(self.sharpness * torch.cos(2 * math.pi * (x - y)))
