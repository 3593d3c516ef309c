"""The original GAN with the non-saturating generator loss."""

from typing import final

import torch.nn.functional as F
from torch import Tensor

from mixnash.core.games.base import AbstractAdversarialGame
from mixnash.core.games.constraints import AbstractCriticConstraint, Unconstrained


@final
class NonSaturating(AbstractAdversarialGame):
    r""":math:`\Phi(g, d) = E \log \sigma(d(x)) + E \log(1 - \sigma(d(g(z))))`; the generator descends
    :math:`-E \log \sigma(d(g(z)))` instead of Phi, which has the same fixed points and stronger gradients.

    References:
        Goodfellow et al., 2014, Generative adversarial nets, arXiv 1406.2661, equation 1 and section 3.

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
        """Log-probability of 'real'."""
        return F.logsigmoid(scores)

    def fake_payoff(self, scores: Tensor) -> Tensor:
        """Log-probability of 'generated'."""
        return F.logsigmoid(-scores)

    def generator_loss(self, scores: Tensor) -> Tensor:
        """Minus the log-probability of 'real'."""
        return -F.logsigmoid(scores)
