"""Move as if the gradient went on changing as it just did."""

from typing import final

import torch

from mixnash.core.dynamics.base import StepRange, move_players
from mixnash.core.dynamics.single_call import AbstractSingleCall, SingleCallState
from mixnash.core.errors import require
from mixnash.core.joint import field
from mixnash.core.rules.base import PlayerRules
from mixnash.core.tree import map_params
from mixnash.core.types import BOTH, AbstractOracle, Feedback, Params


@final
class Optimistic(AbstractSingleCall):
    r"""Optimistic descent-ascent (OGDA, forward-reflected-backward): rules move on an extrapolated feedback,

    .. math:: z_{t+1} = U\big(z_t, V(z_t) + o\, (V(z_t) - V(z_{t-1}))\big), \qquad V(z_{-1}) := V(z_0),

    with optimism o = 1 unless changed. Gradients and the losses that move the weights are extrapolated alike; with
    gradient descent and o = 1 it reads :math:`z_{t+1} = P(z_t - 2 \eta V(z_t) + \eta V(z_{t-1}))`. One evaluation per
    step, each on draws of its own. On the bilinear game xy the multipliers solve
    :math:`\mu^2 - (1 - 2i\eta)\mu - i\eta = 0`: it converges for :math:`\eta < 1/\sqrt 3`, fastest at 1/2.

    The first step is a plain one. With Adam this extrapolates the gradient that enters Adam;
    `rules.optimistic_adam.OptimisticAdam` extrapolates the direction that leaves it.

    Args:
        generators: rules of the generators.
        critics: rules of the critics.
        optimism: o, at least 0; 0 is simultaneous descent-ascent.

    Raises:
        InvalidInputError: when the optimism is negative.

    References:
        Daskalakis, Ilyas, Syrgkanis, Zeng, 2018, Training GANs with optimism, arXiv 1711.00141; Malitsky, Tam, 2020,
        arXiv 1808.04162, for the projected form.
    """

    def __init__(self, generators: PlayerRules, critics: PlayerRules, optimism: float = 1.0) -> None:
        require(optimism >= 0, f"The optimism must be at least 0, found {optimism}.")
        super().__init__(generators, critics)
        self._optimism = optimism

    @property
    def is_separable(self) -> bool:
        """Every particle moves on its own gradients."""
        return True

    def step(
        self, state: SingleCallState, oracle: AbstractOracle, rng: torch.Generator
    ) -> tuple[SingleCallState, Feedback]:
        """One step of the class docstring's equation; the feedback is the one at z_t, not extrapolated."""
        oracle.resample()
        feedback = oracle.feedback(state.players.profile, BOTH)
        signal = feedback if state.steps == 0 else self._extrapolate(state.seen, feedback)
        players = move_players(self._rules, state.players, signal, BOTH, oracle, rng)
        return SingleCallState(players, feedback, state.steps + 1), feedback

    def _extrapolate(self, before: Feedback, now: Feedback) -> Feedback:
        reach = 1 + self._optimism

        def ahead(old: Params, new: Params) -> Params:
            return map_params(lambda a, b: torch.lerp(a, b, reach), old, new)

        generators, critics = map(ahead, field(before), field(now))
        return now._replace(
            generator_losses=torch.lerp(before.generator_losses, now.generator_losses, reach),
            critic_losses=torch.lerp(before.critic_losses, now.critic_losses, reach),
            generator_grads=generators,
            critic_grads=critics,
        )

    def proven_steps(self, lipschitz: float, weak_minty: float) -> StepRange | None:
        """Below 1/(2L) on monotone fields, with optimism 1: the bound of forward-reflected-backward splitting.

        It holds with projections; without them 1/(sqrt(3) L) is enough on the bilinear game.
        """
        if weak_minty < 0 or self._optimism != 1:
            return None
        return StepRange(0.0, 1 / (2 * lipschitz))
