"""Take the gradient where the last move, repeated, would lead."""

import math
from typing import NamedTuple, final

import torch

from mixnash.core.dynamics.base import (
    AbstractRuleDynamics,
    DynamicsState,
    StepRange,
    move_players,
    put_players,
    rule_diagnostics,
)
from mixnash.core.dynamics.interpolation import interpolate
from mixnash.core.types import BOTH, AbstractOracle, Feedback, Profile


class ReflectedState(NamedTuple):
    """Both players and where they were before the last step."""

    players: DynamicsState
    previous: Profile


@final
class Reflected(AbstractRuleDynamics):
    r"""Reflected gradient (reflected forward-backward splitting): one evaluation and one projection per step,

    .. math:: z_{t+1} = U\big(z_t, V(2 z_t - z_{t-1})\big), \qquad z_{-1} := z_0.

    Log-weights are reflected as logarithms and normalised, :math:`2 a_t - a_{t-1} - \operatorname{logsumexp}`. The
    reflected positions may lie outside the players' domains: the game must be defined there. On linear fields without
    projections it moves as `optimistic.Optimistic`; on others it does not.

    Args:
        generators: rules of the generators.
        critics: rules of the critics.

    References:
        Malitsky, 2015, Projected reflected gradient methods for monotone variational inequalities, arXiv 1502.04968;
        Cevher, Vu, 2021, A reflected forward-backward splitting method for monotone inclusions.
    """

    @property
    def draws_per_step(self) -> int:
        """One."""
        return 1

    def init(self, profile: Profile) -> ReflectedState:
        """Both players at rest."""
        return ReflectedState(self.at_rest(profile), profile)

    @property
    def is_separable(self) -> bool:
        """Every particle moves on its own gradients."""
        return True

    def step(
        self, state: ReflectedState, oracle: AbstractOracle, rng: torch.Generator
    ) -> tuple[ReflectedState, Feedback]:
        """One step of the class docstring's equation; the feedback is the one at the reflected point."""
        oracle.resample()
        here = state.players.profile
        reflected = interpolate(state.previous, here, 2.0)
        feedback = oracle.feedback(reflected, BOTH)
        return ReflectedState(move_players(self._rules, state.players, feedback, BOTH, oracle, rng), here), feedback

    def profile(self, state: ReflectedState) -> Profile:
        """Both mixed strategies."""
        return state.players.profile

    def replace_profile(self, state: ReflectedState, profile: Profile) -> ReflectedState:
        """The players at `profile` with their rule states; there is nothing to reflect before the next step."""
        return ReflectedState(put_players(state.players, profile), profile)

    def diagnostics(self, state: ReflectedState) -> dict[str, float]:
        """What the position rules of both players want plotted, by player."""
        return rule_diagnostics(self._rules, state.players)

    def proven_steps(self, lipschitz: float, weak_minty: float) -> StepRange | None:
        """Below (sqrt(2) - 1)/L on monotone fields, with or without projections: Malitsky's bound."""
        return StepRange(0.0, (math.sqrt(2) - 1) / lipschitz) if weak_minty >= 0 else None
