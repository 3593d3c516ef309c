"""The critics move several times and the generators once, each seeing where the others went."""

from typing import final

import torch

from mixnash.core.dynamics.base import AbstractMemorylessDynamics, DynamicsState, move_players
from mixnash.core.errors import require
from mixnash.core.rules.base import PlayerRules
from mixnash.core.types import CRITICS, GENERATORS, AbstractOracle, Feedback, Players


@final
class Alternating(AbstractMemorylessDynamics):
    r"""Alternating descent-ascent: n critic updates on fresh draws, then one generator update that sees the result,

    .. math:: y \leftarrow U(y, V_y(x_t, y)) \;\; (n \text{ times, from } y_t), \qquad
              x_{t+1} = U(x_t, V_x(x_t, y_{t+1})).

    With `generators_first` the generators move on :math:`V_x(x_t, y_t)`, and then the critics n times, seeing
    :math:`x_{t+1}`: the same sequence of updates, cut into steps half a step later.

    References:
        Gulrajani et al., 2017, arXiv 1704.00028, Algorithm 1 (n = 5).

    Args:
        generators: rules of the generators.
        critics: rules of the critics; their schedules count n updates per step.
        critic_steps: n >= 1.
        generators_first: whether a step begins with the generators' update.

    Raises:
        InvalidInputError: when `critic_steps` is below 1.
    """

    def __init__(
        self,
        generators: PlayerRules,
        critics: PlayerRules,
        critic_steps: int = 1,
        generators_first: bool = False,
    ) -> None:
        require(critic_steps >= 1, f"Alternating dynamics need at least 1 critic step, found {critic_steps}.")
        super().__init__(generators, critics)
        self._critic_steps, self._generators_first = critic_steps, generators_first

    @property
    def draws_per_step(self) -> int:
        """One per critic update and one for the generators."""
        return self._critic_steps + 1

    @property
    def is_separable(self) -> bool:
        """Every particle moves on its own gradients."""
        return True

    def step(
        self, state: DynamicsState, oracle: AbstractOracle, rng: torch.Generator
    ) -> tuple[DynamicsState, Feedback]:
        """One step of the class docstring's equations; the feedback carries the last critics' losses."""
        if self._generators_first:
            state, feedback = self._move(state, GENERATORS, oracle, rng)
        for _ in range(self._critic_steps):
            state, seen = self._move(state, CRITICS, oracle, rng)
        if not self._generators_first:
            state, feedback = self._move(state, GENERATORS, oracle, rng)
        return state, feedback._replace(critic_losses=seen.critic_losses, critic_grads=seen.critic_grads)

    def _move(
        self, state: DynamicsState, players: Players, oracle: AbstractOracle, rng: torch.Generator
    ) -> tuple[DynamicsState, Feedback]:
        """One update of one side on draws of its own."""
        oracle.resample()
        feedback = oracle.feedback(state.profile, players)
        return move_players(self._rules, state, feedback, players, oracle, rng), feedback
