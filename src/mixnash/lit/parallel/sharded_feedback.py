r"""Feedback where every process owns a share of the generators and of the critics.

Process r makes the samples of its generators; all samples go to everyone. It evaluates its critics on all of them,
which gives its columns of the payoff matrix, its critics' gradients, and its part of the gradient in every sample,

.. math:: \nabla_{x_{ki}} = \sum_r \sum_{l \in C_r} q_l\, \nabla_{x_{ki}} \ell_G(g_k, d_l),

which is sent to the process that made the sample, summed there, and goes on through its generator. What travels is as
large as the samples; it does not depend on the size of the networks.
"""

from typing import Any, final

import torch
import torch.distributed as dist
from torch import Tensor

from mixnash.core.feedback import Evaluate
from mixnash.core.games.base import AbstractGame
from mixnash.core.shares import Share
from mixnash.core.types import Apply, Batch, Feedback, Networks, Params, Players, Population, Profile
from mixnash.lit.parallel.collectives import gather_rows, sum_rows
from mixnash.lit.parallel.traffic import Traffic


class _Everyone(torch.autograd.Function):
    """All samples [K, b, *event] of the own ones [count, b, *event]; backwards, the sum of everyone's gradients."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, share: Share, group: dist.ProcessGroup, traffic: Traffic) -> Tensor:
        ctx.share, ctx.group, ctx.traffic = share, group, traffic
        return gather_rows(own, share, group, traffic)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        return sum_rows(slopes[0], ctx.share, ctx.group, ctx.traffic), None, None, None


@final
class ShardedFeedback:
    """Evaluates a game as `core.feedback.feedback` does, on populations whose leaves are the own shares.

    Called like it, with log-weights of all particles and draws for all generators. Of the answer, gradients are those
    of the own particles; `values`, `generator_losses` and `critic_losses` are this process's part of a sum over the
    group (zero outside of its own columns), which `reduce.combine` completes.

    Args:
        generators: the own generators.
        critics: the own critics.
        group: the processes that share out the particles.
        traffic: counts what travels.
        evaluate: the local evaluation, `core.feedback.feedback` or what splits it up.
    """

    def __init__(
        self, generators: Share, critics: Share, group: dist.ProcessGroup, traffic: Traffic, evaluate: Evaluate
    ) -> None:
        self._generators, self._critics = generators, critics
        self._group, self._traffic, self._evaluate = group, traffic, evaluate

    def __call__(
        self, game: AbstractGame, networks: Networks, profile: Profile, batch: Batch, players: Players
    ) -> Feedback:
        """This process's part."""
        own = self._critics.cut
        generator = networks.generator._replace(stacked=self._spread(networks.generator.stacked))
        local = Profile(profile.generators, Population(profile.critics.params, profile.critics.log_weights[own]))
        seen = self._evaluate(game, networks._replace(generator=generator), local, batch, players)
        values = seen.values.new_zeros(self._generators.total, self._critics.total)
        values[:, own] = seen.values
        losses = seen.critic_losses.new_zeros(self._critics.total)
        losses[own] = seen.critic_losses
        return seen._replace(values=values, critic_losses=losses)

    def _spread(self, stacked: Apply) -> Apply:
        """The own generators on their latents of all [K, b, latent_dim]; everyone's samples [K, b, *event]."""

        def everyone(params: Params, latent: Tensor) -> Tensor:
            own = stacked(params, latent[self._generators.cut])
            samples: Tensor = _Everyone.apply(own, self._generators, self._group, self._traffic)  # type: ignore[no-untyped-call]
            return samples

        return everyone
