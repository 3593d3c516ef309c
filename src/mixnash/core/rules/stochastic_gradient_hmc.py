"""Stochastic gradient Hamiltonian Monte Carlo."""

import math
from typing import NamedTuple, final

import torch
from torch import Tensor

from mixnash.core.errors import require
from mixnash.core.rules.base import AbstractPositionRule
from mixnash.core.schedules import AbstractSchedule, as_schedule
from mixnash.core.tree import map_params, normal_like, zeros_like
from mixnash.core.types import Params


class StochasticGradientHMCState(NamedTuple):
    """Updates made so far and the velocity, shaped like the parameters."""

    updates: int
    velocity: Params


@final
class StochasticGradientHMC(AbstractPositionRule):
    r"""SGHMC, Langevin dynamics with momentum:

    .. math:: v \leftarrow (1 - \alpha)\, v - \eta_t (g + T_t \lambda \theta) + \sqrt{2 \alpha \eta_t T_t}\, \xi,
              \qquad \theta \leftarrow \theta + v, \qquad \xi \sim N(0, I).

    For a fixed loss f, small eta and exact gradients it samples the posterior
    :math:`\propto e^{-f(\theta)/T}\, e^{-\lambda \|\theta\|^2 / 2}`: the likelihood is tempered, the Gaussian prior is
    not. With a mean loss over N data points, T = 1/N is Bayes' rule. Where f has curvature c, the stationary variance
    with :math:`k = c + T \lambda` is exactly :math:`(T / k) / (1 - \eta k / (2 (2 - \alpha)))`. Minibatch noise is not
    subtracted from the injected noise, so it adds to the temperature.

    Friction 1 is `langevin.Langevin`; temperature 0 is `momentum.Momentum` with :math:`\beta = 1 - \alpha`. The
    long-run step of the position is about :math:`\eta / \alpha` gradients.

    References:
        Chen, Fox, Guestrin, 2014, Stochastic gradient Hamiltonian Monte Carlo, ICML, arXiv 1402.4102; Saatchi, Wilson,
        2017, Bayesian GAN, arXiv 1705.09558, whose code has alpha = 0.01 and lambda = 1.

    Args:
        step_size: eta, positive.
        friction: alpha in (0, 1]; the velocity lasts about 1 / alpha updates.
        temperature: T in units of the loss, at least 0.
        prior_precision: lambda, the inverse variance of the prior of every parameter, at least 0; 0 is a flat prior.

    Raises:
        InvalidInputError: when an argument is outside its range.
    """

    def __init__(
        self,
        step_size: float | AbstractSchedule,
        friction: float,
        temperature: float | AbstractSchedule,
        prior_precision: float = 1.0,
    ) -> None:
        self.step_size = as_schedule(step_size, "step size of stochastic gradient HMC", positive=True)
        self.temperature = as_schedule(temperature, "temperature of stochastic gradient HMC", positive=False)
        require(0 < friction <= 1, f"The friction of stochastic gradient HMC must lie in (0, 1], found {friction}.")
        require(
            0 <= prior_precision < math.inf,
            f"The prior precision of stochastic gradient HMC must be at least 0 and finite, found {prior_precision}.",
        )
        self.friction, self.prior_precision = friction, prior_precision

    def init(self, params: Params) -> StochasticGradientHMCState:
        """At rest."""
        return StochasticGradientHMCState(0, zeros_like(params))

    def update(
        self, params: Params, grads: Params, state: StochasticGradientHMCState, rng: torch.Generator
    ) -> tuple[Params, StochasticGradientHMCState]:
        """One step of the class docstring's equations."""
        step_size, temperature = self.step_size(state.updates), self.temperature(state.updates)
        scale = math.sqrt(2 * self.friction * step_size * temperature)
        pull = step_size * temperature * self.prior_precision

        def accelerate(v: Tensor, grad: Tensor, leaf: Tensor, noise: Tensor) -> Tensor:
            kept = (v * (1 - self.friction)).sub_(grad, alpha=step_size)
            return kept.sub_(leaf, alpha=pull).add_(noise, alpha=scale)

        velocity = map_params(accelerate, state.velocity, grads, params, normal_like(params, rng))
        return map_params(torch.add, params, velocity), StochasticGradientHMCState(state.updates + 1, velocity)

    def diagnostics(self, state: StochasticGradientHMCState) -> dict[str, float]:
        """Step size and temperature of the next update."""
        return {"step_size": self.step_size(state.updates), "temperature": self.temperature(state.updates)}
