"""The hinge GAN."""

from typing import final

from torch import Tensor

from mixnash.core.games.base import AbstractAdversarialGame
from mixnash.core.games.constraints import AbstractCriticConstraint, Unconstrained


@final
class Hinge(AbstractAdversarialGame):
    r""":math:`\Phi(g, d) = -E \max(0, 1 - d(x)) - E \max(0, 1 + d(g(z)))`; the generator descends
    :math:`-E\, d(g(z))`.

    References:
        Lim, Ye, 2017, Geometric GAN, arXiv 1705.02894, section 2; Miyato et al., 2018, arXiv 1802.05957, equations
        16 and 17.

    Args:
        constraint: how the critic is restrained; None leaves it free.
    """

    zero_sum = False
    saturates = True

    def __init__(self, constraint: AbstractCriticConstraint | None = None) -> None:
        self._constraint = constraint if constraint is not None else Unconstrained()

    @property
    def constraint(self) -> AbstractCriticConstraint:
        """How the critic is restrained."""
        return self._constraint

    def real_payoff(self, scores: Tensor) -> Tensor:
        """Minus the hinge below +1."""
        return -(1 - scores).relu()

    def fake_payoff(self, scores: Tensor) -> Tensor:
        """Minus the hinge above -1."""
        return -(1 + scores).relu()

    def generator_loss(self, scores: Tensor) -> Tensor:
        """Minus the score."""
        return -scores
