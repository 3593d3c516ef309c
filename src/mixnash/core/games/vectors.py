r"""Toy strategies: a vector in place of a network.

The generator ignores its latent and emits its vector x; the critic is the linear functional
:math:`d_y(s) = \langle s, y \rangle`. With these, games on vectors are ordinary games of two functions, and the
dynamics that train GANs are tested on them unchanged.
"""

import abc

import torch
from torch import Tensor

from mixnash.core.games.base import AbstractGame
from mixnash.core.types import Batch, Critic, Generate, NetworkFunctions, Networks, PairTerms, Params

VECTOR = "vector"
"""The name of the one leaf, [dim]; stacked [K, dim]."""


def _emit(params: Params, latent: Tensor) -> Tensor:
    return params[VECTOR].unsqueeze(-2).expand(*latent.shape[:-1], -1)


def _pair_with(params: Params, samples: Tensor) -> Tensor:
    return torch.einsum("...nd,...d->...n", samples, params[VECTOR])


VECTOR_NETWORKS = Networks(
    generator=NetworkFunctions(single=_emit, stacked=_emit),
    critic=NetworkFunctions(single=_pair_with, stacked=_pair_with),
)
"""Both players are vectors."""


class AbstractVectorGame(AbstractGame):
    """A zero-sum game on vectors, without penalty or reparametrisation, played with `VECTOR_NETWORKS`."""

    zero_sum = True

    @abc.abstractmethod
    def payoff(self, x: Tensor, critic: Critic) -> Tensor:
        """Phi [..., n] at the generators' vectors x [..., n, dim]; the critic gives inner products with y."""

    def terms(self, generate: Generate, critic: Critic, batch: Batch) -> PairTerms:
        """Phi, Phi and -Phi."""
        value = self.payoff(generate(batch.latent), critic).mean(-1)
        return PairTerms(value, value, -value)

    def penalty(self, generate: Generate, critic: Critic, batch: Batch) -> Tensor | None:
        """None."""
        return None

    def constrain_critic(self, params: Params) -> Params:
        """The parameters themselves."""
        return params
