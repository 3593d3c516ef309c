"""A smooth rational game whose only solution is spread over the whole interval."""

from typing import final

from torch import Tensor

from mixnash.core.domains import Box
from mixnash.core.games.scalar import AbstractScalarGame


@final
class GrossRational(AbstractScalarGame):
    r""":math:`\Phi(x, y) = (1 + x)(1 + y)(1 - x y) / (1 + x y)^2`; x minimises, y maximises.

    On [0, 1] the value is :math:`4 / \pi`; the optimal law of both players has the distribution function
    :math:`(4 / \pi) \arctan \sqrt t` and the quantiles :math:`\tan(\pi u / 4)^2`. Its N equally likely midpoint
    quantiles have a Nikaido-Isoda gap of 1.0e-2 (N = 5), 6.5e-4 (20) and 2.6e-5 (100): a yardstick for particles.

    References:
        Glicksberg, Gross, 1953, Notes on games over the square, Contributions to the theory of games II.

    Args:
        minimiser_domain: where x lives; [0, 1] if omitted.
        maximiser_domain: where y lives; [0, 1] if omitted.

    Raises:
        InvalidInputError: when a domain has more than one axis.
    """

    default_domain = Box([0.0], [1.0])

    def scalar_payoff(self, x: Tensor, y: Tensor) -> Tensor:
        """Phi of the class docstring."""
        product = x * y
        return (1 + x) * (1 + y) * (1 - product) / (1 + product).square()
