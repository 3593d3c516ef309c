"""What the schemes share that remember the feedback of the step before, and so need one gradient per step."""

from typing import NamedTuple

import torch

from mixnash.core.dynamics.base import AbstractRuleDynamics, DynamicsState, put_players, rule_diagnostics
from mixnash.core.tree import zeros_like
from mixnash.core.types import Feedback, Profile


class SingleCallState(NamedTuple):
    """Both players and what they were told last."""

    players: DynamicsState
    seen: Feedback
    """The game's answer in the step before; zeros before the first step."""
    steps: int
    """Steps since the start, or since the players were put elsewhere."""


class AbstractSingleCall(AbstractRuleDynamics):
    """A scheme that remembers its players and the feedback of the step before."""

    @property
    def draws_per_step(self) -> int:
        """One."""
        return 1

    def init(self, profile: Profile) -> SingleCallState:
        """Both players at rest, nothing seen."""
        return SingleCallState(self.at_rest(profile), _nothing(profile), 0)

    def profile(self, state: SingleCallState) -> Profile:
        """Both mixed strategies."""
        return state.players.profile

    def replace_profile(self, state: SingleCallState, profile: Profile) -> SingleCallState:
        """The players at `profile` with their rule states; the next step is a first one, which remembers nothing."""
        return SingleCallState(put_players(state.players, profile), state.seen, 0)

    def diagnostics(self, state: SingleCallState) -> dict[str, float]:
        """What the position rules of both players want plotted, by player."""
        return rule_diagnostics(self._rules, state.players)


def _nothing(profile: Profile) -> Feedback:
    """Zeros in the shape of a feedback."""
    generators, critics = profile
    losses = torch.zeros_like(generators.log_weights), torch.zeros_like(critics.log_weights)
    values = losses[0].unsqueeze(-1) * losses[1].unsqueeze(-2)
    return Feedback(values, *losses, zeros_like(generators.params), zeros_like(critics.params))
