"""Langevin dynamics in the metric of RMSProp."""

import math
from typing import NamedTuple, final

import torch
from torch import Tensor

from mixnash.core.errors import require
from mixnash.core.rules.base import AbstractPositionRule
from mixnash.core.schedules import AbstractSchedule, as_schedule
from mixnash.core.tree import map_params, normal_like
from mixnash.core.types import Params


class PreconditionedLangevinState(NamedTuple):
    """Updates made so far and the running mean of squared gradients, shaped like the parameters."""

    updates: int
    square: Params


@final
class PreconditionedLangevin(AbstractPositionRule):
    r"""pSGLD, :math:`v \leftarrow a v + (1-a) g^2`, :math:`P = 1 / (\sqrt v + \epsilon)`,
    :math:`\theta \leftarrow \theta - \eta_t P g + \sqrt{2 \eta_t T_t P}\, \xi`, :math:`\xi \sim N(0, I)`.

    The correction term Gamma (the divergence of P) is dropped, as in all public GAN code; it is small for a near 1.

    References:
        Li, Chen, Carlson, Carin, 2016, Preconditioned SGLD for deep neural networks, AAAI, arXiv 1512.07666,
        Algorithm 1.

    Args:
        step_size: eta, positive.
        temperature: T, at least 0; 0 is RMSProp.
        decay: a in [0, 1).
        epsilon: added to the root, positive; it bounds the noise of parameters without gradient (dead units, a
            Wasserstein critic's last bias), whose P is 1 / epsilon. The paper's value.

    Raises:
        InvalidInputError: when an argument is outside its range.
    """

    def __init__(
        self,
        step_size: float | AbstractSchedule,
        temperature: float | AbstractSchedule,
        decay: float = 0.99,
        epsilon: float = 1e-5,
    ) -> None:
        self.step_size = as_schedule(step_size, "step size of preconditioned Langevin dynamics", positive=True)
        self.temperature = as_schedule(temperature, "temperature of preconditioned Langevin dynamics", positive=False)
        require(0 <= decay < 1, f"The preconditioner's decay must lie in [0, 1), found {decay}.")
        require(epsilon > 0, f"The preconditioner's epsilon must be positive, found {epsilon}.")
        self.decay, self.epsilon = decay, epsilon

    def init(self, params: Params) -> PreconditionedLangevinState:
        """Zero mean square."""
        return PreconditionedLangevinState(0, map_params(torch.zeros_like, params))

    def update(
        self, params: Params, grads: Params, state: PreconditionedLangevinState, rng: torch.Generator
    ) -> tuple[Params, PreconditionedLangevinState]:
        """One step of the class docstring's equations."""
        step_size, temperature = self.step_size(state.updates), self.temperature(state.updates)
        scale = math.sqrt(2 * step_size * temperature)
        square = map_params(lambda v, g: (v * self.decay).addcmul_(g, g, value=1 - self.decay), state.square, grads)

        def move(leaf: Tensor, grad: Tensor, v: Tensor, noise: Tensor) -> Tensor:
            root = v.sqrt().add_(self.epsilon)
            return leaf.addcdiv(grad, root, value=-step_size).addcdiv_(noise, root.sqrt(), value=scale)

        new = map_params(move, params, grads, square, normal_like(params, rng))
        return new, PreconditionedLangevinState(state.updates + 1, square)

    def diagnostics(self, state: PreconditionedLangevinState) -> dict[str, float]:
        """Step size and temperature of the next update."""
        return {"step_size": self.step_size(state.updates), "temperature": self.temperature(state.updates)}
