"""A chase on the circle with many solutions."""

import math
from typing import final

import torch
from torch import Tensor

from mixnash.core.domains import Torus
from mixnash.core.games.scalar import AbstractScalarGame


@final
class ChaseCosine(AbstractScalarGame):
    r""":math:`\Phi(x, y) = \cos 2 \pi (x - y)`; x minimises: it flees from y.

    The value is 0; optimal is, for both, every law with :math:`E e^{2 \pi i x} = 0`, such as two antipodal atoms.

    Args:
        minimiser_domain: where x lives; the torus [0, 1) if omitted.
        maximiser_domain: where y lives; the torus [0, 1) if omitted.

    Raises:
        InvalidInputError: when a domain has more than one axis.
    """

    default_domain = Torus(1)

    def scalar_payoff(self, x: Tensor, y: Tensor) -> Tensor:
        """Phi of the class docstring."""
        return torch.cos(2 * math.pi * (x - y))
