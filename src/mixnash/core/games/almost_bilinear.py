"""The bilinear game with a small perturbation of one player, which decides between attraction and a spurious cycle."""

from typing import final

from torch import Tensor

from mixnash.core.domains import AbstractDomain
from mixnash.core.errors import require
from mixnash.core.games.scalar import AbstractScalarGame, EvenPolynomial
from mixnash.core.types import Player


@final
class AlmostBilinear(AbstractScalarGame):
    r""":math:`\Phi(x, y) = x y + \varepsilon \phi(u)` with :math:`\phi(u) = u^2 / 2 - u^4 / 4`; x minimises.

    The perturbed u is y (the critic) or x (the generator). The origin is the only stationary point.

    - u = y: the origin repels (eigenvalues of J :math:`-\varepsilon / 2 \pm i \sqrt{1 - \varepsilon^2 / 4}`), and
      the flow ends on a stable cycle of mean radius :math:`\sqrt{4 / 3}` as epsilon goes to 0. On :math:`[-2, 2]^2`
      the value is :math:`\varepsilon / 4`; y plays -1 and 1 equally often, x any law of mean zero.
    - u = x: the origin attracts (the signs of the real parts change), shielded by the same cycle, now unstable. On
      :math:`[-2, 2]^2` the value is :math:`-2 \varepsilon`; x plays -2 and 2, y any law of mean zero.

    References:
        Hsieh, Mertikopoulos, Cevher, 2021, The limits of min-max optimization algorithms, ICML.

    Args:
        epsilon: the strength of the perturbation, in (0, 2), where the origin is a focus.
        perturbed: the player whose own coordinate is u.
        minimiser_domain: where x lives; the whole line if omitted.
        maximiser_domain: where y lives; the whole line if omitted.

    Raises:
        InvalidInputError: when epsilon is outside its range or a domain has more than one axis.
    """

    def __init__(
        self,
        epsilon: float = 0.1,
        perturbed: Player = Player.CRITIC,
        minimiser_domain: AbstractDomain | None = None,
        maximiser_domain: AbstractDomain | None = None,
    ) -> None:
        require(
            0 < epsilon < 2, f"The perturbation of the almost bilinear game must lie between 0 and 2, found {epsilon}."
        )
        self.epsilon, self.perturbed = epsilon, perturbed
        self._perturbation = EvenPolynomial([epsilon / 2, -epsilon / 4])
        super().__init__(minimiser_domain, maximiser_domain)

    def scalar_payoff(self, x: Tensor, y: Tensor) -> Tensor:
        """Phi of the class docstring."""
        return x * y + self._perturbation(y if self.perturbed is Player.CRITIC else x)
