"""Follow any dynamics for a while, then go part of the way."""

from typing import NamedTuple, final

import torch
from jaxtyping import Bool
from torch import Tensor

from mixnash.core.dynamics.base import AbstractDynamics
from mixnash.core.dynamics.interpolation import interpolate
from mixnash.core.errors import require
from mixnash.core.joint import place, position, project, unwrap
from mixnash.core.types import AbstractOracle, Feedback, Profile, RuleState


class LookaheadState(NamedTuple):
    """The base's state, with the fast players, and the slow ones."""

    base: RuleState
    slow: Profile
    steps: int
    """Steps of the base so far."""


@final
class Lookahead(AbstractDynamics):
    r"""Lookahead for both players at once: after every k steps of a base dynamics,

    .. math:: s \leftarrow s + a\, (z - s), \qquad z \leftarrow s.

    Positions are averaged and projected, log-weights averaged as logarithms and normalised; rule states of the base,
    such as Adam's moments, go on. The snapshot s is taken at the start. `profile` gives the slow players, which move
    every k steps only; feedbacks are the base's, at the fast ones. On the bilinear game xy, gradient descent-ascent
    inside has the multiplier :math:`|1 - a + a (1 - i\eta)^k|` per k steps: for small steps it converges if and only if
    k > 1/(1 - a).

    The base can itself be a Lookahead (a second, slower level); the period then counts steps of the innermost dynamics
    and should be a multiple of the inner one. On a torus the fast players are averaged
    under their names nearest to the slow ones.

    Args:
        base: the dynamics of the fast players.
        period: k >= 1, in steps of the base.
        relaxation: a, in (0, 1]; 1 is the base itself.

    Raises:
        InvalidInputError: when an argument is outside its range.

    References:
        Zhang, Lucas, Hinton, Ba, 2019, Lookahead optimizer, arXiv 1907.08610; Chavdarova et al., 2021, Taming GANs with
        Lookahead-minmax, arXiv 2006.14567 (k = 5, a = 1/2).
    """

    def __init__(self, base: AbstractDynamics, period: int = 5, relaxation: float = 0.5) -> None:
        require(period >= 1, f"The period of Lookahead must be at least 1 step, found {period}.")
        require(0 < relaxation <= 1, f"The relaxation of Lookahead must lie in (0, 1], found {relaxation}.")
        self._base, self._period, self._relaxation = base, period, relaxation

    @property
    def draws_per_step(self) -> int:
        """Those of the base."""
        return self._base.draws_per_step

    def extra_particles(self, generators: int, critics: int) -> tuple[int, int]:
        """The slow players, and what the base keeps."""
        of_generators, of_critics = self._base.extra_particles(generators, critics)
        return of_generators + generators, of_critics + critics

    def init(self, profile: Profile) -> LookaheadState:
        """Fast and slow players at the same place."""
        return LookaheadState(self._base.replace_profile(self._base.init(profile), profile), profile, 0)

    @property
    def is_separable(self) -> bool:
        """As far as its base is: averages are of each particle with itself."""
        return self._base.is_separable

    def step(
        self, state: LookaheadState, oracle: AbstractOracle, rng: torch.Generator
    ) -> tuple[LookaheadState, Feedback]:
        """One step of the base; every k-th is followed by the class docstring's average."""
        base, feedback = self._base.step(state.base, oracle, rng)
        steps = state.steps + 1
        if steps % self._period != 0:
            return LookaheadState(base, state.slow, steps), feedback
        fast = self._base.profile(base)
        fast = place(fast, unwrap(oracle, position(fast), position(state.slow)))
        mean = interpolate(state.slow, fast, self._relaxation)
        slow = place(mean, project(oracle, position(mean)))
        return LookaheadState(self._base.replace_profile(base, slow), slow, steps), feedback

    def profile(self, state: LookaheadState) -> Profile:
        """The slow players."""
        return state.slow

    def replace_profile(self, state: LookaheadState, profile: Profile) -> LookaheadState:
        """Fast and slow players at `profile`; the count of steps goes on."""
        return LookaheadState(self._base.replace_profile(state.base, profile), profile, state.steps)

    def newcomers(self, before: LookaheadState, after: LookaheadState) -> Bool[Tensor, "*games K"] | None:
        """Those of the base; the slow player of the place goes on towards the newcomer."""
        return self._base.newcomers(before.base, after.base)

    def diagnostics(self, state: LookaheadState) -> dict[str, float]:
        """Those of the base."""
        return self._base.diagnostics(state.base)
