"""Look ahead with a full step, then move by a part of it on what was seen there."""

from typing import final

import torch

from mixnash.core.dynamics.base import StepRange
from mixnash.core.dynamics.field_dynamics import AbstractFieldDynamics, FieldState, arrive
from mixnash.core.joint import add, field, place, project, project_near, subtract
from mixnash.core.schedules import AbstractSchedule, as_schedule
from mixnash.core.types import BOTH, AbstractOracle, Feedback


@final
class ExtragradientPlus(AbstractFieldDynamics):
    r"""EG+ and, where players have domains, CEG+: with the projection P,

    .. math::
        H_t = z_t - g V(z_t; \xi), \quad w_t = P(H_t), \quad
        d_t = w_t - g V(w_t; \xi') - H_t, \quad z_{t+1} = z_t + \alpha\, d_t,

    without domains :math:`z_{t+1} = z_t - \alpha g V(z_t - g V(z_t))`. The point z is not projected: the game must be
    defined around its domains, and `profile` reports P(z), which is z itself without domains and tends to the same
    limit as w. The projection must be onto a convex set; on a torus z keeps count of its turns. Weights stay; see
    `field_dynamics` for populations.

    Converges for :math:`g \le 1/L` and :math:`\rho > -(1 - \alpha) g/2`, where :math:`\rho` is the weak Minty
    constant; the second condition is sharp at g = 1/L. On the bilinear game xy the multiplier is
    :math:`\sqrt{(1 - \alpha g^2)^2 + \alpha^2 g^2}`: stable if and only if :math:`\alpha (1 + g^2) < 2`. With alpha = 1
    it is Tseng's form of extragradient.

    Args:
        step_size: g, positive.
        relaxation: alpha, positive; below 1 for weak Minty fields. A schedule that decreases to zero gives the
            stochastic variant without bias correction (see `bias_corrected_extragradient_plus`).
        same_sample: whether both evaluations use one set of draws (:math:`\xi' = \xi`) or two.

    Raises:
        InvalidInputError: when the step size or the relaxation is not positive.

    References:
        Diakonikolas, Daskalakis, Jordan, 2021, arXiv 2011.00364 (alpha = 1/2); Pethick, Latafat, Patrinos, Fercoq,
        Cevher, 2022, arXiv 2302.09831, for the domains and the condition on alpha.
    """

    def __init__(
        self,
        step_size: float | AbstractSchedule,
        relaxation: float | AbstractSchedule = 0.5,
        same_sample: bool = False,
    ) -> None:
        self._step_size = as_schedule(step_size, "step size of EG+", positive=True)
        self._relaxation = as_schedule(relaxation, "relaxation of EG+", positive=True)
        self._same_sample = same_sample

    @property
    def draws_per_step(self) -> int:
        """One or two, by `same_sample`."""
        return 1 if self._same_sample else 2

    @property
    def shown(self) -> tuple[str, ...]:
        """Look-ahead step g and alpha."""
        return ("step_size", "relaxation")

    @property
    def is_separable(self) -> bool:
        """Every particle moves on its own gradients."""
        return True

    def step(self, state: FieldState, oracle: AbstractOracle, rng: torch.Generator) -> tuple[FieldState, Feedback]:
        """One step of the class docstring's equations; the feedback is the one at w."""
        del rng
        step_size, relaxation = self._step_size(state.steps), self._relaxation(state.steps)
        oracle.resample()
        here = oracle.feedback(place(state.profile, state.base), BOTH)
        free = add(state.base, -step_size, field(here))
        ahead = project_near(oracle, free)
        if not self._same_sample:
            oracle.resample()
        feedback = oracle.feedback(place(state.profile, ahead), BOTH)
        # w - H is exactly zero inside the domains: this order of the sum loses nothing near a solution.
        jump = add(subtract(ahead, free), -step_size, field(feedback))
        base = add(state.base, relaxation, jump)
        numbers = {"step_size": step_size, "relaxation": relaxation}
        return arrive(state, base, project(oracle, base), numbers), feedback

    def proven_steps(self, lipschitz: float, weak_minty: float) -> StepRange | None:
        """Above -2 rho / (1 - alpha), at most 1/L; below 1/L on monotone fields for alpha = 1, Tseng's bound."""
        lowest, highest = self._relaxation.bounds()
        rho = min(weak_minty, 0.0)
        if lowest != highest or highest > 1 or (highest == 1 and rho < 0):
            return None
        return StepRange(0.0 if rho == 0 else -2 * rho / (1 - highest), 1 / lipschitz)
