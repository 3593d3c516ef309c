"""A game on the torus on which the continuous-time particle flow does not converge."""

import math
from typing import final

import torch
from torch import Tensor

from mixnash.core.domains import Torus
from mixnash.core.games.scalar import AbstractScalarGame


@final
class FourierCounterexample(AbstractScalarGame):
    r""":math:`\Phi(x, y) = \sin 4 \pi x + \sin 4 \pi y + 2 \cos 2 \pi (x + y)`; x minimises, y maximises.

    The value is 0; in the unique equilibrium x plays 3/8 and 7/8, y plays 1/8 and 5/8, equally often. Mirror prox on
    weights and positions converges from nearby, the method with one evaluation per step does not.

    References:
        Wang, Chizat, 2025, An exponentially converging particle method for the mixed Nash equilibrium of continuous
        games, Open Journal of Mathematical Optimization 6, doi 10.5802/ojmo.37; the payoff is from their released code.

    Args:
        minimiser_domain: where x lives; the torus [0, 1) if omitted.
        maximiser_domain: where y lives; the torus [0, 1) if omitted.

    Raises:
        InvalidInputError: when a domain has more than one axis.
    """

    default_domain = Torus(1)

    def scalar_payoff(self, x: Tensor, y: Tensor) -> Tensor:
        """Phi of the class docstring."""
        waves = torch.sin(4 * math.pi * x) + torch.sin(4 * math.pi * y)
        return waves + 2 * torch.cos(2 * math.pi * (x + y))
