"""The relativistic GAN: the critic compares each generated sample with one real sample."""

from typing import final

import torch.nn.functional as F
from torch import Tensor

from mixnash.core.games.base import AbstractConstrainedGame
from mixnash.core.games.constraints import AbstractCriticConstraint, Unconstrained
from mixnash.core.types import Batch, Critic, Generate, PairTerms


@final
class Relativistic(AbstractConstrainedGame):
    r""":math:`\Phi(g, d) = E_{x, z} \log \sigma(d(x) - d(g(z)))`; the generator descends
    :math:`-E_{x, z} \log \sigma(d(g(z)) - d(x))` instead of Phi: both players wish the same, with swapped roles.

    Each generated sample is paired with its own real sample, the batch's anchor. Only differences of scores count, so a
    constant added to the critic changes nothing. Where generated and real samples agree in law, flat critics are best
    and Phi is :math:`-\log 2`; nowhere is it positive.

    As in the original GAN with its non-saturating loss, the game is not zero-sum.

    References:
        Jolicoeur-Martineau, 2019, The relativistic discriminator, arXiv 1807.00734 (RSGAN); Huang, Gokaslan, Kuleshov,
        Tompkin, 2024, The GAN is dead; long live the GAN, arXiv 2501.05441, equation 2, whose critic has the opposite
        sign (RpGAN, with R1 and R2: `constraints.ZeroCentredPenalty`; its released code descends these two losses).

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

    def terms(self, generate: Generate, critic: Critic, batch: Batch) -> PairTerms:
        """Phi, the generator's loss and -Phi, means over pairs of a generated sample and its anchor."""
        lead: Tensor = critic(batch.anchor) - critic(generate(batch.latent))
        value = batch.mean_of_generated(F.logsigmoid(lead))
        return PairTerms(value, batch.mean_of_generated(F.softplus(lead)), -value)
