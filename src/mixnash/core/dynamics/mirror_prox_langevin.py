"""Mirror-prox-Langevin dynamics: the inner chain is run twice, the second time against the means of the first."""

import math
from typing import NamedTuple, final

import torch

from mixnash.core.dynamics.base import AbstractDynamics, DynamicsState, put_players, rule_diagnostics
from mixnash.core.dynamics.inner_chain import as_length, finish, require_damping, run_chain
from mixnash.core.rules.base import PlayerRules
from mixnash.core.schedules import AbstractSchedule
from mixnash.core.types import AbstractOracle, Feedback, Profile


class MirrorProxLangevinState(NamedTuple):
    """The outer point with the rule states, and the outer steps made so far."""

    players: DynamicsState
    steps: int


@final
class MirrorProxLangevin(AbstractDynamics):
    r"""The loop of Mirror-Prox-GAN. Write :math:`C(z; w)` for the running mean of a chain of :math:`K_t` position
    updates that begins at z and plays against w throughout (see `mirror_langevin.MirrorLangevin`); then

    .. math:: w_t = C(z_t; z_t), \qquad z_{t+1} = (1 - \gamma)\, z_t + \gamma\, C(z_t; w_t).

    The look-ahead w also carries weights moved by their rules. Its rule states are dropped, so states advance along the
    second chain only. With :math:`K_t = \beta = \gamma = 1` on a payoff that is linear in each player's position this
    is `extragradient.Extragradient`; in general it differs, as a chain's own player starts at :math:`z_t` again.

    References:
        Hsieh, Liu, Cevher, 2019, arXiv 1811.02002 (Mirror-Prox-GAN).

    Args:
        generators: rules of the generators.
        critics: rules of the critics.
        inner_steps: K_t >= 1, a number or a schedule of the outer steps, rounded down.
        inner_damping: beta in (0, 1].
        outer_damping: gamma in (0, 1]; the paper uses beta.

    Raises:
        InvalidInputError: when a chain can have no step or a damping is outside (0, 1].
    """

    def __init__(
        self,
        generators: PlayerRules,
        critics: PlayerRules,
        inner_steps: int | AbstractSchedule = 1,
        inner_damping: float = 0.5,
        outer_damping: float = 0.5,
    ) -> None:
        self._rules = (generators, critics)
        self._inner_steps = as_length(inner_steps)
        self._inner_damping = require_damping(inner_damping, "inner")
        self._outer_damping = require_damping(outer_damping, "outer")

    @property
    def draws_per_step(self) -> int:
        """Two of the longest chains."""
        return 2 * math.floor(self._inner_steps.bounds()[1])

    def init(self, profile: Profile) -> MirrorProxLangevinState:
        """Both players at rest."""
        generators, critics = self._rules
        return MirrorProxLangevinState(
            DynamicsState(generators.init(profile.generators), critics.init(profile.critics)), 0
        )

    def step(
        self, state: MirrorProxLangevinState, oracle: AbstractOracle, rng: torch.Generator
    ) -> tuple[MirrorProxLangevinState, Feedback]:
        """One outer step of the class docstring's equations; the feedback is the second chain's last."""
        length, outer = math.floor(self._inner_steps(state.steps)), state.players
        first = run_chain(self._rules, outer, length, self._inner_damping, outer.profile, oracle, rng)
        ahead = finish(self._rules, outer, first, 1.0, oracle).profile
        second = run_chain(self._rules, outer, length, self._inner_damping, ahead, oracle, rng)
        players = finish(self._rules, outer, second, self._outer_damping, oracle)
        return MirrorProxLangevinState(players, state.steps + 1), second.feedback

    def profile(self, state: MirrorProxLangevinState) -> Profile:
        """Both mixed strategies at the outer point."""
        return state.players.profile

    def replace_profile(self, state: MirrorProxLangevinState, profile: Profile) -> MirrorProxLangevinState:
        """The outer point at `profile`."""
        return state._replace(players=put_players(state.players, profile))

    def diagnostics(self, state: MirrorProxLangevinState) -> dict[str, float]:
        """What the position rules want plotted, and the length K_t of each player's next chains."""
        length = float(math.floor(self._inner_steps(state.steps)))
        lengths = {"generators/inner_steps": length, "critics/inner_steps": length}
        return rule_diagnostics(self._rules, state.players) | lengths
