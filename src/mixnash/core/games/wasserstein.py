"""The Wasserstein GAN."""

from typing import final

from torch import Tensor

from mixnash.core.games.base import AbstractAdversarialGame
from mixnash.core.games.constraints import AbstractCriticConstraint


@final
class Wasserstein(AbstractAdversarialGame):
    r""":math:`\Phi(g, d) = E\, d(x) - E\, d(g(z))` over critics kept Lipschitz by `constraint`.

    References:
        Arjovsky, Chintala, Bottou, 2017, Wasserstein GAN, arXiv 1701.07875, equation 2.

    Args:
        constraint: weight clipping, gradient penalty or spectral normalisation. Unconstrained critics have payoff
            infinity, so there is no default.
    """

    zero_sum = True
    saturates = False

    def __init__(self, constraint: AbstractCriticConstraint) -> None:
        self._constraint = constraint

    @property
    def constraint(self) -> AbstractCriticConstraint:
        """How the critic is kept Lipschitz."""
        return self._constraint

    def real_payoff(self, scores: Tensor) -> Tensor:
        """The score."""
        return scores

    def fake_payoff(self, scores: Tensor) -> Tensor:
        """Minus the score."""
        return -scores

    def generator_loss(self, scores: Tensor) -> Tensor:
        """Minus the score."""
        return -scores
