"""Look ahead on the gradient remembered from the last look-ahead."""

from typing import final

import torch

from mixnash.core.dynamics.base import StepRange, move_players
from mixnash.core.dynamics.single_call import AbstractSingleCall, SingleCallState
from mixnash.core.types import BOTH, AbstractOracle, Feedback


@final
class PastExtragradient(AbstractSingleCall):
    r"""Past extragradient (Popov): extragradient whose look-ahead reuses the gradient of the step before,

    .. math:: w_t = U(z_t, V(w_{t-1})), \qquad z_{t+1} = U(z_t, V(w_t)), \qquad V(w_{-1}) := V(z_0).

    One evaluation per step, except for the first, which also evaluates at z_0, on the same draws. `profile` gives z;
    gradients, and the feedback of a step, are taken at w. With gradient descent and without projections w moves exactly
    as z in `optimistic.Optimistic`. As in extragradient, the rule states of the look-ahead are dropped, so they advance
    once per step, and Langevin rules draw noise for both updates.

    Args:
        generators: rules of the generators.
        critics: rules of the critics.

    References:
        Popov, 1980, A modification of the Arrow-Hurwicz method for search of saddle points; Gidel et al., 2019,
        A variational inequality perspective on generative adversarial networks, arXiv 1802.10551, for GANs.
    """

    @property
    def is_separable(self) -> bool:
        """Every particle moves on its own gradients."""
        return True

    def step(
        self, state: SingleCallState, oracle: AbstractOracle, rng: torch.Generator
    ) -> tuple[SingleCallState, Feedback]:
        """One step of the class docstring's equations; the feedback is the one at w_t."""
        oracle.resample()
        here = state.players
        remembered = oracle.feedback(here.profile, BOTH) if state.steps == 0 else state.seen
        ahead = move_players(self._rules, here, remembered, BOTH, oracle, rng)
        feedback = oracle.feedback(ahead.profile, BOTH)
        players = move_players(self._rules, here, feedback, BOTH, oracle, rng)
        return SingleCallState(players, feedback, state.steps + 1), feedback

    def proven_steps(self, lipschitz: float, weak_minty: float) -> StepRange | None:
        """Below 1/(2L) on monotone fields, with or without projections.

        Without projections 1/(sqrt(3) L) is enough on the bilinear game.
        """
        return StepRange(0.0, 1 / (2 * lipschitz)) if weak_minty >= 0 else None
