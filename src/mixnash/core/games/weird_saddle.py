"""The weird saddle, a game full of stationary points that are no equilibria; on a box also the game of traps."""

from typing import final

from torch import Tensor

from mixnash.core.games.scalar import AbstractScalarGame


@final
class WeirdSaddle(AbstractScalarGame):
    r""":math:`\Phi(x, y) = x y - x^2 y^2`; x minimises, y maximises.

    The field is :math:`V = (1 - 2 x y) (y, -x)`: its flow keeps :math:`x^2 + y^2`. Stationary are the origin
    (eigenvalues of J :math:`\pm i`) and the whole hyperbola :math:`x y = 1/2` (eigenvalues 0 and
    :math:`2 (x^2 - y^2)`), where the payoff is 1/4 and no point is a local equilibrium. Circles of radius below 1 are
    cycles; larger ones end on the hyperbola.

    On a box around the origin the value is 0: y = 0 is the maximiser's only optimal strategy, every law of mean zero
    is optimal for the minimiser. With the box :math:`[-2, 2]^2` this is the game of the escaping-traps experiment,
    :math:`\max_w \min_x -w^2 x^2 + w x` with w in the place of y, whose hyperbola is the trap.

    Args:
        minimiser_domain: where x lives; the whole line if omitted.
        maximiser_domain: where y lives; the whole line if omitted.

    Raises:
        InvalidInputError: when a domain has more than one axis.
    """

    def scalar_payoff(self, x: Tensor, y: Tensor) -> Tensor:
        """Phi of the class docstring."""
        product = x * y
        return product - product * product
