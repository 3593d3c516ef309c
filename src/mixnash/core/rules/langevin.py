"""Stochastic gradient Langevin dynamics."""

import math
from typing import NamedTuple, final

import torch

from mixnash.core.rules.base import AbstractPositionRule
from mixnash.core.schedules import AbstractSchedule, as_schedule
from mixnash.core.tree import map_params, normal_like
from mixnash.core.types import Params


class LangevinState(NamedTuple):
    """Updates made so far."""

    updates: int


@final
class Langevin(AbstractPositionRule):
    r"""SGLD, :math:`\theta \leftarrow \theta - \eta_t\, g + \sqrt{2 \eta_t T_t}\, \xi`, :math:`\xi \sim N(0, I)`.

    For a fixed loss f, small eta and exact gradients it samples the density proportional to :math:`e^{-f/T}`. The
    loss is a mean over samples, so T is in units of that mean loss; minibatch noise adds to it. Papers that write
    :math:`\sqrt{2\eta}\,\epsilon\,\xi` have :math:`T = \epsilon^2`.

    References:
        Welling, Teh, 2011, Bayesian learning via stochastic gradient Langevin dynamics, ICML, equation 4.

    Args:
        step_size: eta, positive.
        temperature: T, at least 0; 0 is gradient descent.

    Raises:
        InvalidInputError: when an argument is negative.
    """

    def __init__(self, step_size: float | AbstractSchedule, temperature: float | AbstractSchedule) -> None:
        self.step_size = as_schedule(step_size, "step size of Langevin dynamics", positive=True)
        self.temperature = as_schedule(temperature, "temperature of Langevin dynamics", positive=False)

    def init(self, params: Params) -> LangevinState:
        """No update made."""
        del params
        return LangevinState(0)

    def update(
        self, params: Params, grads: Params, state: LangevinState, rng: torch.Generator
    ) -> tuple[Params, LangevinState]:
        """One step of the class docstring's equation."""
        step_size, temperature = self.step_size(state.updates), self.temperature(state.updates)
        scale = math.sqrt(2 * step_size * temperature)
        new = map_params(
            lambda leaf, grad, noise: leaf.sub(grad, alpha=step_size).add_(noise, alpha=scale),
            params,
            grads,
            normal_like(params, rng),
        )
        return new, LangevinState(state.updates + 1)

    def diagnostics(self, state: LangevinState) -> dict[str, float]:
        """Step size and temperature of the next update."""
        return {"step_size": self.step_size(state.updates), "temperature": self.temperature(state.updates)}
