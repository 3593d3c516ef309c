"""EG+ that goes as far as the half-space allows which separates the point from the solutions."""

import math
from typing import final

import torch
from torch import Tensor

from mixnash.core.dynamics.base import StepRange
from mixnash.core.dynamics.field_dynamics import (
    AbstractFieldDynamics,
    FieldState,
    advance,
    arrive,
    dot,
    games_of,
    join,
)
from mixnash.core.errors import require
from mixnash.core.joint import add, field, place, project, project_near, subtract
from mixnash.core.schedules import AbstractSchedule, as_schedule
from mixnash.core.types import BOTH, AbstractOracle, Feedback


@final
class AdaptiveExtragradientPlus(AbstractFieldDynamics):
    r"""AdaptiveEG+: the step of `extragradient_plus.ExtragradientPlus` with a relaxation that is computed,

    .. math::
        H_t = z_t - g V(z_t), \quad w_t = P(H_t), \quad d_t = w_t - g V(w_t) - H_t, \quad
        \alpha_t = \frac\sigma g + \frac{\langle w_t - z_t, d_t \rangle}{|d_t|^2}, \quad
        z_{t+1} = z_t + \lambda \alpha_t d_t,

    all on one set of draws. The point z is not projected and `profile` reports P(z), as there. Weights stay; see
    `field_dynamics` for populations and batches of games.

    Converges for :math:`g \in (-2\rho, 1/L]` and :math:`\rho > -1/(2L)` with :math:`\sigma \le \rho`, where rho is the
    weak Minty constant.

    Args:
        step_size: g, positive.
        curvature: sigma / g, in (-1/2, 0]: the weak Minty constant to be expected, in units of the step size.
        relaxation: lambda, in (0, 2).

    Raises:
        InvalidInputError: when an argument is outside its range.

    References:
        Pethick, Latafat, Patrinos, Fercoq, Cevher, 2022, Escaping limit cycles, arXiv 2302.09831.
    """

    def __init__(self, step_size: float | AbstractSchedule, curvature: float = -0.495, relaxation: float = 1.0) -> None:
        require_adaptive_arguments(curvature, relaxation)
        self._step_size = as_schedule(step_size, "step size of AdaptiveEG+", positive=True)
        self._curvature, self._relaxation = curvature, relaxation

    @property
    def draws_per_step(self) -> int:
        """One."""
        return 1

    @property
    def shown(self) -> tuple[str, ...]:
        """Look-ahead step g and alpha."""
        return ("step_size", "relaxation")

    def step(self, state: FieldState, oracle: AbstractOracle, rng: torch.Generator) -> tuple[FieldState, Feedback]:
        """One step of the class docstring's equations; the feedback is the one at w."""
        del rng
        step_size, games = self._step_size(state.steps), games_of(state.profile)
        oracle.resample()
        here = oracle.feedback(place(state.profile, state.base), BOTH)
        free = add(state.base, -step_size, field(here))
        ahead = project_near(oracle, free)
        feedback = oracle.feedback(place(state.profile, ahead), BOTH)
        jump = add(subtract(ahead, free), -step_size, field(feedback))
        forward = subtract(ahead, state.base)
        alpha = adaptive_relaxation(join(forward, games), join(jump, games), self._curvature)
        base = advance(state.base, self._relaxation * alpha, jump)
        numbers: dict[str, float | Tensor] = {"step_size": step_size, "relaxation": alpha}
        return arrive(state, base, project(oracle, base), numbers), feedback

    def proven_steps(self, lipschitz: float, weak_minty: float) -> StepRange | None:
        """Of at most 1/L, those that make sigma <= rho: above rho / curvature, at the least -2 rho."""
        return adaptive_steps(self._curvature, lipschitz, weak_minty)


def require_adaptive_arguments(curvature: float, relaxation: float) -> None:
    """Check sigma / g and lambda.

    Raises:
        InvalidInputError: when one is outside its range.
    """
    require(
        -0.5 < curvature <= 0,
        "The curvature of an adaptive EG+ is a multiple of its step size and must lie in (-1/2, 0], found "
        f"{curvature}.",
    )
    require(0 < relaxation < 2, f"The relaxation of an adaptive EG+ must lie in (0, 2), found {relaxation}.")


def adaptive_relaxation(forward: Tensor, jump: Tensor, curvature: float) -> Tensor:
    """Alpha [*games] from w - z and d [*games, n]; sigma / g where d = 0, which is at solutions."""
    length = dot(jump, jump)
    return curvature + torch.where(length > 0, dot(forward, jump) / length.clamp_min(torch.finfo(length.dtype).tiny), 0)


def adaptive_steps(curvature: float, lipschitz: float, weak_minty: float) -> StepRange:
    """The steps g <= 1/L for which sigma = curvature g is at most rho, and so g > -2 rho."""
    rho = min(weak_minty, 0.0)
    if rho == 0:
        return StepRange(0.0, 1 / lipschitz)
    return StepRange(rho / curvature if curvature < 0 else math.inf, 1 / lipschitz)
