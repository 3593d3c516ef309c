"""EG+ for noisy fields: the look-ahead's noise is averaged out, without making its step smaller."""

from typing import NamedTuple, final

import torch

from mixnash.core.dynamics.base import AbstractDynamics, StepRange
from mixnash.core.dynamics.field_dynamics import FieldState, arrive, show, start
from mixnash.core.errors import require
from mixnash.core.joint import add, field, place, position, project, project_near, subtract
from mixnash.core.schedules import AbstractSchedule, as_schedule
from mixnash.core.tree import map_params
from mixnash.core.types import BOTH, AbstractOracle, Feedback, Point, Profile

_SHOWN = ("step_size", "relaxation")


class BiasCorrectedState(NamedTuple):
    """Where the players are, and what the last look-ahead is corrected with."""

    players: FieldState
    previous: Point
    """The last step's z."""
    lead: Point
    """The last step's h - z."""


@final
class BiasCorrectedExtragradientPlus(AbstractDynamics):
    r"""BCSEG+: a constant look-ahead step g with decreasing relaxations :math:`\alpha_t`,

    .. math::
        h_t &= z_t - g V(z_t; \xi_t) + (1 - \alpha_t) \big(h_{t-1} - z_{t-1} + g V(z_{t-1}; \xi_t)\big), \\
        w_t &= P(h_t), \qquad z_{t+1} = z_t - \alpha_t \big(h_t - w_t + g V(w_t; \xi'_t)\big),

    with the draws :math:`\xi_t` in both evaluations of the first line, fresh ones :math:`\xi'_t` in the second, and
    :math:`h_{-1} = z_{-1} = z_0`. Three evaluations and two sets of draws per step. It is the unprojected h that is
    remembered; remembering w in its place biases the limit on domains that are active at the solution. z is not
    projected: the game must be defined around its domains, and `profile` reports P(z). The projection must be onto a
    convex set. Weights stay; see `field_dynamics` for populations.

    Converges on noisy fields for :math:`g \in (\max(0, -2\rho), 1/L)`, where rho is the weak Minty constant, under
    conditions on :math:`\alpha_0` that depend on the noise.

    Args:
        step_size: g, positive.
        relaxation: alpha, in (0, 1] and decreasing, such as a0/(1 + t/100); constant ones leave a floor of noise.

    Raises:
        InvalidInputError: when an argument is outside its range.

    References:
        Pethick, Fercoq, Latafat, Patrinos, Cevher, 2023, Solving stochastic weak Minty variational inequalities without
        increasing batch size, arXiv 2302.09029.
    """

    def __init__(self, step_size: float, relaxation: float | AbstractSchedule) -> None:
        self._relaxation = as_schedule(relaxation, "relaxation of BCSEG+", positive=True)
        highest = self._relaxation.bounds()[1]
        require(highest <= 1, f"The relaxation of BCSEG+ must be at most 1 at every step, found up to {highest}.")
        require(
            0 < step_size < float("inf"), f"The step size of BCSEG+ must be positive and finite, found {step_size}."
        )
        self._step_size = step_size

    @property
    def draws_per_step(self) -> int:
        """Two."""
        return 2

    def init(self, profile: Profile) -> BiasCorrectedState:
        """Nothing to correct with."""
        return _at(start(profile, _SHOWN))

    @property
    def is_separable(self) -> bool:
        """Every particle moves on its own gradients."""
        return True

    def step(
        self, state: BiasCorrectedState, oracle: AbstractOracle, rng: torch.Generator
    ) -> tuple[BiasCorrectedState, Feedback]:
        """One step of the class docstring's equations; the feedback is the one at w."""
        del rng
        players, step_size = state.players, self._step_size
        alpha, base = self._relaxation(players.steps), players.base
        oracle.resample()
        now = field(oracle.feedback(place(players.profile, base), BOTH))
        before = field(oracle.feedback(place(players.profile, state.previous), BOTH))
        correction = add(state.lead, step_size, before)
        lead = add(_scaled(1 - alpha, correction), -step_size, now)
        free = add(base, 1.0, lead)
        ahead = project_near(oracle, free)
        oracle.resample()
        feedback = oracle.feedback(place(players.profile, ahead), BOTH)
        jump = add(subtract(ahead, free), -step_size, field(feedback))
        moved = add(base, alpha, jump)
        numbers = {"step_size": step_size, "relaxation": alpha}
        arrived = arrive(players, moved, project(oracle, moved), numbers)
        return BiasCorrectedState(arrived, base, lead), feedback

    def profile(self, state: BiasCorrectedState) -> Profile:
        """Both players inside their domains, with the weights they started with."""
        return state.players.profile

    def replace_profile(self, state: BiasCorrectedState, profile: Profile) -> BiasCorrectedState:
        """Z at the positions of `profile`, nothing to correct with; the schedule goes on."""
        return _at(state.players._replace(profile=profile, base=position(profile)))

    def diagnostics(self, state: BiasCorrectedState) -> dict[str, float]:
        """Look-ahead step g and alpha of the last step, which are common to both players."""
        return show(state.players)

    def proven_steps(self, lipschitz: float, weak_minty: float) -> StepRange | None:
        """From -2 rho to 1/L, for relaxations that decrease from a small enough start; constant ones may diverge."""
        lowest, highest = self._relaxation.bounds()
        if lowest == highest:
            return None
        return StepRange(max(0.0, -2 * weak_minty), 1 / lipschitz)


def _at(players: FieldState) -> BiasCorrectedState:
    """As if the last step had begun and ended here."""
    nowhere = _scaled(0.0, players.base)
    return BiasCorrectedState(players, players.base, nowhere)


def _scaled(scale: float, point: Point) -> Point:
    return Point(*(map_params(lambda leaf: scale * leaf, own) for own in point))
