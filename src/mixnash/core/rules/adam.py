"""Adam."""

from typing import final

import torch
from torch import Tensor

from mixnash.core.errors import require
from mixnash.core.rules.base import AbstractPositionRule
from mixnash.core.rules.fused import can_fuse, fused_step
from mixnash.core.rules.moments import AdamState, corrections, next_moments, no_moments
from mixnash.core.schedules import AbstractSchedule, as_schedule
from mixnash.core.tree import map_params
from mixnash.core.types import Params


@final
class Adam(AbstractPositionRule):
    r"""Adam, :math:`\theta \leftarrow \theta - \eta_t\, \hat m / (\sqrt{\hat v} + \epsilon)` with
    :math:`m \leftarrow \beta_1 m + (1-\beta_1) g`, :math:`v \leftarrow \beta_2 v + (1-\beta_2) g^2`,
    :math:`\hat m = m / (1 - \beta_1^t)`, :math:`\hat v = v / (1 - \beta_2^t)`; the same numbers as `torch.optim.Adam`.

    References:
        Kingma, Ba, 2015, arXiv 1412.6980, Algorithm 1.

    Args:
        step_size: eta, positive.
        beta1: decay of the mean, in [0, 1). GANs use 0 or 0.5.
        beta2: decay of the square, in [0, 1). GANs use 0.9 to 0.99.
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
        self.step_size = as_schedule(step_size, "step size of Adam", positive=True)
        for name, beta in (("beta1", beta1), ("beta2", beta2)):
            require(0 <= beta < 1, f"Adam's {name} must lie in [0, 1), found {beta}.")
        require(epsilon > 0, f"Adam's epsilon must be positive, found {epsilon}.")
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon

    def init(self, params: Params) -> AdamState:
        """Zero moments."""
        return no_moments(params)

    def update(self, params: Params, grads: Params, state: AdamState, rng: torch.Generator) -> tuple[Params, AdamState]:
        """One step of the class docstring's equations, by torch's fused kernel where that takes the leaves."""
        del rng
        if not can_fuse(params, grads):
            return self.plain_update(params, grads, state)
        step_size, betas = self.step_size(state.updates), (self.beta1, self.beta2)
        return fused_step(params, grads, state, betas, self.epsilon, step_size, float(state.updates + 1))

    def plain_update(self, params: Params, grads: Params, state: AdamState) -> tuple[Params, AdamState]:
        """The same step written out, operation by operation: what the fused kernel is held to."""
        new = next_moments(state, grads, self.beta1, self.beta2)
        share, root = corrections(new.updates, self.beta1, self.beta2)
        step_size = self.step_size(state.updates) / share

        def move(leaf: Tensor, m: Tensor, v: Tensor) -> Tensor:
            return leaf.addcdiv(m, v.sqrt().div_(root).add_(self.epsilon), value=-step_size)

        return map_params(move, params, new.mean, new.square), new

    def diagnostics(self, state: AdamState) -> dict[str, float]:
        """The step size of the next update."""
        return {"step_size": self.step_size(state.updates)}
