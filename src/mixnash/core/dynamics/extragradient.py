"""Look ahead, then move on what was seen there."""

from typing import final

import torch

from mixnash.core.dynamics.base import AbstractMemorylessDynamics, DynamicsState, StepRange, move_players, put_players
from mixnash.core.rules.base import PlayerRules
from mixnash.core.types import BOTH, AbstractOracle, Feedback


@final
class Extragradient(AbstractMemorylessDynamics):
    r"""Extragradient, or mirror prox when the weights move too,

    .. math:: w_t = U(z_t, V(z_t; \xi)), \qquad z_{t+1} = U(z_t, V(w_t; \xi')).

    Unless told otherwise only the positions and weights of the look-ahead are used: its rule states (Adam's moments)
    are dropped, so states advance once per step. Langevin rules add noise in both updates, drawn independently. On the
    bilinear game xy gradient descent shrinks by :math:`\sqrt{1 - \eta^2 + \eta^4}` per step.

    References:
        Korpelevich, 1976; Nemirovski, 2004, Prox-method; Juditsky, Nemirovski, Tauvel, 2011, arXiv 0809.0815 for
        independent samples; Gidel et al., 2019, arXiv 1802.10551, for ExtraAdam.

    Args:
        generators: rules of the generators.
        critics: rules of the critics.
        same_sample: whether both evaluations use one set of draws (:math:`\xi' = \xi`: converges on bilinear games with
            noise that vanishes at the equilibrium) or two (unbiased, as the theory of mirror prox asks).
        carry_state: whether the second update goes on from the rule states of the look-ahead, which then advance twice
            per step: with Adam this is ExtraAdam. Schedules count two updates per step.
    """

    def __init__(
        self,
        generators: PlayerRules,
        critics: PlayerRules,
        same_sample: bool = False,
        carry_state: bool = False,
    ) -> None:
        super().__init__(generators, critics)
        self._same_sample, self._carry_state = same_sample, carry_state

    @property
    def draws_per_step(self) -> int:
        """One or two, by `same_sample`."""
        return 1 if self._same_sample else 2

    @property
    def is_separable(self) -> bool:
        """Every particle moves on its own gradients."""
        return True

    def step(
        self, state: DynamicsState, oracle: AbstractOracle, rng: torch.Generator
    ) -> tuple[DynamicsState, Feedback]:
        """One step of the class docstring's equations."""
        oracle.resample()
        here = oracle.feedback(state.profile, BOTH)
        ahead = move_players(self._rules, state, here, BOTH, oracle, rng)
        if not self._same_sample:
            oracle.resample()
        feedback = oracle.feedback(ahead.profile, BOTH)
        start = put_players(ahead, state.profile) if self._carry_state else state
        return move_players(self._rules, start, feedback, BOTH, oracle, rng), feedback

    def proven_steps(self, lipschitz: float, weak_minty: float) -> StepRange | None:
        """Below 1/L on monotone fields, with or without projections: Korpelevich's bound."""
        return StepRange(0.0, 1 / lipschitz) if weak_minty >= 0 else None
