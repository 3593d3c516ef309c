"""A learning rate per particle, for any position rule."""

import math
from typing import final

import torch
from torch import Tensor

from mixnash.core.errors import require
from mixnash.core.random import ParticleNoise
from mixnash.core.rules.base import AbstractPositionRule
from mixnash.core.shares import Share
from mixnash.core.tree import map_params, over_leaf
from mixnash.core.types import Params, RuleState


@final
class PerParticle(AbstractPositionRule):
    r"""Particle k moves :math:`c_k` times as far as the wrapped rule U would move it,

    .. math:: \theta_k \leftarrow \theta_k + c_k\, (U(\theta_k) - \theta_k), \qquad
              c_k = c_{\min}\, (c_{\max} / c_{\min})^{k / (K - 1)}, \quad k = 0, \dots, K - 1,

    a geometric spread over the particles of a population, slow ones first; a single particle has the geometric mean
    :math:`(c_{\min} c_{\max})^{1/2}`. The factors belong to the places 0 to K - 1: a dynamics that puts another
    particle in a place gives it the place's factor. Leaves are [K, ...]: games come one at a time, not in batches.

    Around SGD, momentum, RMSProp and Adam, whose moves are proportional to their step size, particle k has the step
    size :math:`c_k \eta`. Around `langevin.Langevin` it is Langevin dynamics of step size :math:`c_k \eta` and
    temperature :math:`c_k T`, exactly, for the noise is scaled as well:
    :math:`c_k \sqrt{2 \eta T} = \sqrt{2\, (c_k \eta)(c_k T)}`. So slow particles are cold and fast ones hot; the same
    holds for `preconditioned_langevin.PreconditionedLangevin`.

    Args:
        rule: U; its state, and the numbers it shows, are those of factor 1.
        lowest: c of the first particle, positive.
        highest: c of the last particle, at least `lowest`.

    Raises:
        InvalidInputError: when a factor is outside its range.
    """

    def __init__(self, rule: AbstractPositionRule, lowest: float, highest: float) -> None:
        require(
            0 < lowest <= highest < math.inf,
            f"The factors of step sizes per particle must be positive and finite, the lowest first: found {lowest} and "
            f"{highest}.",
        )
        self._rule, self._lowest, self._highest = rule, lowest, highest

    def init(self, params: Params) -> RuleState:
        """That of the wrapped rule."""
        return self._rule.init(params)

    def update(self, params: Params, grads: Params, state: RuleState, rng: torch.Generator) -> tuple[Params, RuleState]:
        """One step of the class docstring's equation."""
        moved, state = self._rule.update(params, grads, state, rng)
        count = len(next(iter(params.values())))
        share = rng.share if isinstance(rng, ParticleNoise) else Share(0, count, count)

        def part_of_the_way(old: Tensor, new: Tensor) -> Tensor:
            return torch.lerp(old, new, over_leaf(self._factors(share).to(old), old))

        return map_params(part_of_the_way, params, moved), state

    def _factors(self, share: Share) -> Tensor:
        """The factors c [count] of a share of the particles, in float64."""
        low, high = math.log(self._lowest), math.log(self._highest)
        last = share.total - 1
        logarithms = [low + (high - low) * (k / last if last > 0 else 0.5) for k in range(share.total)[share.cut]]
        return torch.tensor(logarithms, dtype=torch.float64).exp()

    def diagnostics(self, state: RuleState) -> dict[str, float]:
        """Those of the wrapped rule, before the factors."""
        return self._rule.diagnostics(state)
