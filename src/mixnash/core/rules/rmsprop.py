"""RMSProp."""

import math
from typing import NamedTuple, final

import torch
from torch import Tensor

from mixnash.core.errors import require
from mixnash.core.rules.base import AbstractPositionRule
from mixnash.core.rules.fused import can_fuse, fused_step
from mixnash.core.rules.moments import AdamState
from mixnash.core.schedules import AbstractSchedule, as_schedule
from mixnash.core.tree import map_params
from mixnash.core.types import Params


class RMSPropState(NamedTuple):
    """Updates made so far and the running mean of squared gradients, shaped like the parameters."""

    updates: int
    square: Params


@final
class RMSProp(AbstractPositionRule):
    r"""RMSProp :math:`v \leftarrow a v + (1-a) g^2`,
    :math:`\theta \leftarrow \theta - \eta_t\, g / (\sqrt v + \epsilon)`; the same numbers as
    `torch.optim.RMSprop` without momentum.

    References:
        Tieleman, Hinton, 2012, Lecture 6.5 of Neural networks for machine learning.

    Args:
        step_size: eta, positive.
        decay: a in [0, 1).
        epsilon: added to the root, positive.

    Raises:
        InvalidInputError: when an argument is outside its range.
    """

    def __init__(self, step_size: float | AbstractSchedule, decay: float = 0.99, epsilon: float = 1e-8) -> None:
        self.step_size = as_schedule(step_size, "step size of RMSProp", positive=True)
        require(0 <= decay < 1, f"RMSProp's decay must lie in [0, 1), found {decay}.")
        require(epsilon > 0, f"RMSProp's epsilon must be positive, found {epsilon}.")
        self.decay, self.epsilon = decay, epsilon

    def init(self, params: Params) -> RMSPropState:
        """Zero mean square."""
        return RMSPropState(0, map_params(torch.zeros_like, params))

    def update(
        self, params: Params, grads: Params, state: RMSPropState, rng: torch.Generator
    ) -> tuple[Params, RMSPropState]:
        """One step of the class docstring's equations, by torch's fused kernel where that takes the leaves."""
        del rng
        if not can_fuse(params, grads):
            return self.plain_update(params, grads, state)
        # Adam without a mean, and corrected as if it had run for ever.
        adam = AdamState(state.updates, grads, state.square)
        step_size, betas = self.step_size(state.updates), (0.0, self.decay)
        moved, moments = fused_step(params, grads, adam, betas, self.epsilon, step_size, math.inf)
        return moved, RMSPropState(moments.updates, moments.square)

    def plain_update(self, params: Params, grads: Params, state: RMSPropState) -> tuple[Params, RMSPropState]:
        """The same step written out, operation by operation: what the fused kernel is held to."""
        step_size = self.step_size(state.updates)
        square = map_params(lambda v, g: (v * self.decay).addcmul_(g, g, value=1 - self.decay), state.square, grads)

        def move(leaf: Tensor, grad: Tensor, v: Tensor) -> Tensor:
            return leaf.addcdiv(grad, v.sqrt().add_(self.epsilon), value=-step_size)

        return map_params(move, params, grads, square), RMSPropState(state.updates + 1, square)

    def diagnostics(self, state: RMSPropState) -> dict[str, float]:
        """The step size of the next update."""
        return {"step_size": self.step_size(state.updates)}
