"""The monkey saddle: a degenerate stationary point that attracts the whole plane but for a half-line."""

from typing import final

from torch import Tensor

from mixnash.core.games.scalar import AbstractScalarGame


@final
class MonkeySaddle(AbstractScalarGame):
    r""":math:`\Phi(x, y) = x^3 - 3 x y^2`; x minimises, y maximises.

    With z = x + iy the field is :math:`V = 3 z^2`: the flow is :math:`z(t) = z_0 / (1 + 3 z_0 t)`, without cycles. It
    tends to 0 from everywhere but the negative real axis, on which it escapes in finite time; no neighbourhood of 0
    holds it, for from near that axis it first goes far. The origin is the only stationary point, degenerate (both
    eigenvalues of J are 0), and not an equilibrium. On :math:`[-1, 1]^2` the value is -1/4: x plays -1 (1/3) and 1/2
    (2/3), y any law with :math:`E y^2 = 1/4`.

    Args:
        minimiser_domain: where x lives; the whole line if omitted.
        maximiser_domain: where y lives; the whole line if omitted.

    Raises:
        InvalidInputError: when a domain has more than one axis.
    """

    def scalar_payoff(self, x: Tensor, y: Tensor) -> Tensor:
        """Phi of the class docstring."""
        return x * (x * x - 3 * y * y)
