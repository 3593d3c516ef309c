"""Adam with an optimistic direction."""

from typing import NamedTuple, final

import torch
from torch import Tensor

from mixnash.core.rules.adam import Adam
from mixnash.core.rules.base import AbstractPositionRule
from mixnash.core.rules.fused import can_fuse, fused_step
from mixnash.core.rules.moments import AdamState, corrections, next_moments
from mixnash.core.schedules import AbstractSchedule
from mixnash.core.tree import map_params
from mixnash.core.types import Params


class OptimisticAdamState(NamedTuple):
    """Adam's state and the direction of the last update, shaped like the parameters."""

    adam: AdamState
    direction: Params


@final
class OptimisticAdam(AbstractPositionRule):
    r"""Optimistic Adam: Adam's direction, extrapolated from the one before,

    .. math:: \theta_{t+1} = \theta_t - \eta_t\, (2 r_t - r_{t-1}), \qquad
              r_t = \frac{\hat m_t}{\sqrt{\hat v_t} + \epsilon}, \qquad r_{-1} := r_0,

    with the moments of `rules.adam.Adam`, so the first update is a plain one. Constant steps do not converge on xy:
    they end on a cycle whose radius is proportional to the step.

    References:
        Daskalakis, Ilyas, Syrgkanis, Zeng, 2018, Training GANs with optimism, arXiv 1711.00141.

    Args:
        step_size: eta, positive.
        beta1: decay of the mean, in [0, 1).
        beta2: decay of the square, in [0, 1).
        epsilon: added to the root, positive.

    Raises:
        InvalidInputError: when an argument is outside its range.
    """

    def __init__(
        self,
        step_size: float | AbstractSchedule,
        beta1: float = 0.0,
        beta2: float = 0.9,
        epsilon: float = 1e-8,
    ) -> None:
        self._adam = Adam(step_size, beta1, beta2, epsilon)

    def init(self, params: Params) -> OptimisticAdamState:
        """Zero moments, no direction."""
        return OptimisticAdamState(self._adam.init(params), map_params(torch.zeros_like, params))

    def update(
        self, params: Params, grads: Params, state: OptimisticAdamState, rng: torch.Generator
    ) -> tuple[Params, OptimisticAdamState]:
        """One step of the class docstring's equation, by torch's fused kernel where that takes the leaves."""
        del rng
        if not can_fuse(params, grads):
            return self.plain_update(params, grads, state)
        # The direction is where Adam goes from zero with a step of -1.
        rule, start = self._adam, map_params(torch.zeros_like, params)
        betas, count = (rule.beta1, rule.beta2), float(state.adam.updates + 1)
        direction, adam = fused_step(start, grads, state.adam, betas, rule.epsilon, -1.0, count)
        return self._moved(params, state, adam, direction)

    def plain_update(
        self, params: Params, grads: Params, state: OptimisticAdamState
    ) -> tuple[Params, OptimisticAdamState]:
        """The same step written out, operation by operation: what the fused kernel is held to."""
        return self._moved(params, state, *self._advance(state.adam, grads))

    def _moved(
        self, params: Params, state: OptimisticAdamState, adam: AdamState, direction: Params
    ) -> tuple[Params, OptimisticAdamState]:
        """Along the extrapolated direction."""
        step_size = self._adam.step_size(state.adam.updates)
        first = state.adam.updates == 0

        def move(leaf: Tensor, now: Tensor, before: Tensor) -> Tensor:
            ahead = now if first else torch.lerp(before, now, 2.0)
            return leaf.sub(ahead, alpha=step_size)

        return map_params(move, params, direction, state.direction), OptimisticAdamState(adam, direction)

    def _advance(self, state: AdamState, grads: Params) -> tuple[AdamState, Params]:
        """Adam's next moments and the direction r_t that they give."""
        beta1, beta2, epsilon = self._adam.beta1, self._adam.beta2, self._adam.epsilon
        new = next_moments(state, grads, beta1, beta2)
        share, root = corrections(new.updates, beta1, beta2)
        direction = map_params(lambda m, v: m.div(v.sqrt().div_(root).add_(epsilon)).div_(share), new.mean, new.square)
        return new, direction

    def diagnostics(self, state: OptimisticAdamState) -> dict[str, float]:
        """The step size of the next update."""
        return self._adam.diagnostics(state.adam)
