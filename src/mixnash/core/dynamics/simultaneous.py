"""Both players move at once."""

from typing import final

import torch

from mixnash.core.dynamics.base import AbstractMemorylessDynamics, DynamicsState, move_players
from mixnash.core.types import BOTH, AbstractOracle, Feedback


@final
class Simultaneous(AbstractMemorylessDynamics):
    r"""Simultaneous descent-ascent, :math:`z_{t+1} = U(z_t, V(z_t))`: both players move by their rules U on the
    feedback V at the same profile and the same draws.

    With gradient descent it spirals away from the equilibrium of the bilinear game xy by the factor
    :math:`\sqrt{1 + \eta^2}` per step.

    Args:
        generators: rules of the generators.
        critics: rules of the critics.
    """

    @property
    def draws_per_step(self) -> int:
        """One."""
        return 1

    @property
    def is_separable(self) -> bool:
        """Every particle moves on its own gradients."""
        return True

    def step(
        self, state: DynamicsState, oracle: AbstractOracle, rng: torch.Generator
    ) -> tuple[DynamicsState, Feedback]:
        """One step of the class docstring's equation."""
        oracle.resample()
        feedback = oracle.feedback(state.profile, BOTH)
        return move_players(self._rules, state, feedback, BOTH, oracle, rng), feedback
