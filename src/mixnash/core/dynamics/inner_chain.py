r"""The inner loop of mirror-Langevin schemes: a chain of position updates from an outer point z, and its running mean

.. math:: \zeta_0 = \bar\zeta_0 = z, \qquad \zeta_k = U(\zeta_{k-1}, V_k), \qquad
          \bar\zeta_k = (1 - \beta)\, \bar\zeta_{k-1} + \beta\, \zeta_k, \qquad k = 1, \dots, K.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from mixnash.core.dynamics.base import AbstractRuleDynamics, DynamicsState, put_players, rule_diagnostics
from mixnash.core.errors import require
from mixnash.core.joint import field, place, position, project
from mixnash.core.random import noise_of
from mixnash.core.rules.base import PlayerRules, PlayerState
from mixnash.core.schedules import AbstractSchedule, Constant
from mixnash.core.tree import map_params
from mixnash.core.types import BOTH, CRITICS, GENERATORS, AbstractOracle, Feedback, Player, Point, Profile, RuleState


class InnerChainState(NamedTuple):
    """The outer point with the rule states, and the outer steps made so far."""

    players: DynamicsState
    steps: int


class ChainEnd(NamedTuple):
    """What is left of a chain."""

    mean: Point
    """The running mean of the positions."""
    states: tuple[RuleState, RuleState]
    """The position rules' states there, of the generators and of the critics."""
    losses: tuple[Tensor, Tensor]
    """Losses [K] of the generators and [L] of the critics, averaged over the chain."""
    feedback: Feedback
    """The last one."""


def run_chain(
    rules: tuple[PlayerRules, PlayerRules],
    start: DynamicsState,
    steps: int,
    damping: float,
    opponents: Profile | None,
    oracle: AbstractOracle,
    rng: torch.Generator,
) -> ChainEnd:
    """Move the positions of both players `steps` times by their rules; weights stay.

    Args:
        rules: those of the generators and those of the critics.
        start: the outer point.
        steps: K >= 1; each asks for fresh draws.
        damping: beta.
        opponents: whom each player plays against throughout, both on the draws that the generators' updates ask for;
            None: the other's current point of the chain.
        oracle: evaluates and projects.
        rng: noise of the position rules.
    """
    generator_state, critic_state = start.generators.position, start.critics.position
    inner = start.profile
    mean, losses = position(inner), []
    for _ in range(steps):
        oracle.resample()
        seen = _against(opponents, inner, oracle)
        here = field(seen)
        x, generator_state = rules[0].position.update(
            inner.generators.params, here.generators, generator_state, noise_of(rng, Player.GENERATOR)
        )
        y, critic_state = rules[1].position.update(
            inner.critics.params, here.critics, critic_state, noise_of(rng, Player.CRITIC)
        )
        point = Point(oracle.project(Player.GENERATOR, x), oracle.project(Player.CRITIC, y))
        inner = place(inner, point)
        mean = blend(mean, point, damping)
        losses.append((seen.generator_losses, seen.critic_losses))
    own, other = zip(*losses, strict=True)
    return ChainEnd(mean, (generator_state, critic_state), (torch.stack(own).mean(0), torch.stack(other).mean(0)), seen)


def _against(opponents: Profile | None, inner: Profile, oracle: AbstractOracle) -> Feedback:
    if opponents is None:
        return oracle.feedback(inner, BOTH)
    seen = oracle.feedback(Profile(inner.generators, opponents.critics), GENERATORS)
    other = oracle.feedback(Profile(opponents.generators, inner.critics), CRITICS)
    return seen._replace(critic_losses=other.critic_losses, critic_grads=other.critic_grads)


def blend(old: Point, new: Point, share: float) -> Point:
    """(1 - share) old + share new, leaf by leaf."""
    if share == 1:
        return new

    def mix(one: Tensor, other: Tensor) -> Tensor:
        return torch.lerp(one, other, share)

    return Point(map_params(mix, old.generators, new.generators), map_params(mix, old.critics, new.critics))


def finish(
    rules: tuple[PlayerRules, PlayerRules],
    outer: DynamicsState,
    end: ChainEnd,
    damping: float,
    oracle: AbstractOracle,
) -> DynamicsState:
    """The next outer point: positions damped towards the chain's mean, weights moved once on the chain's mean losses.

    Args:
        rules: those of the generators and those of the critics.
        outer: where the chain began.
        end: its end, whose position rule states are kept.
        damping: share of the chain's mean.
        oracle: brings the blended positions back into their domains.
    """
    positions = project(oracle, blend(position(outer.profile), end.mean, damping))
    new: list[PlayerState] = []
    for rule, player, state, params, losses in zip(rules, outer, end.states, positions, end.losses, strict=True):
        log_weights, weights = rule.weights.update(player.population.log_weights, losses, player.weights)
        population = player.population._replace(params=params, log_weights=log_weights)
        new.append(PlayerState(population, state, weights))
    return DynamicsState(*new)


class AbstractInnerChain(AbstractRuleDynamics):
    """A scheme whose outer points are damped towards the means of inner chains.

    Args:
        generators: rules of the generators.
        critics: rules of the critics.
        inner_steps: K_t >= 1, a number or a schedule of the outer steps, rounded down.
        inner_damping: beta in (0, 1].
        outer_damping: gamma in (0, 1].

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
        super().__init__(generators, critics)
        self._inner_steps = _as_length(inner_steps)
        self._inner_damping = _require_damping(inner_damping, "inner")
        self._outer_damping = _require_damping(outer_damping, "outer")

    @property
    def longest(self) -> int:
        """The largest length of a chain."""
        return math.floor(self._inner_steps.bounds()[1])

    def length(self, state: InnerChainState) -> int:
        """K_t of the next step."""
        return math.floor(self._inner_steps(state.steps))

    def init(self, profile: Profile) -> InnerChainState:
        """Both players at rest."""
        return InnerChainState(self.at_rest(profile), 0)

    def profile(self, state: InnerChainState) -> Profile:
        """Both mixed strategies at the outer point."""
        return state.players.profile

    def replace_profile(self, state: InnerChainState, profile: Profile) -> InnerChainState:
        """The outer point at `profile`."""
        return state._replace(players=put_players(state.players, profile))

    def diagnostics(self, state: InnerChainState) -> dict[str, float]:
        """What the position rules want plotted, and the length K_t of each player's next chain."""
        length = float(self.length(state))
        lengths = {"generators/inner_steps": length, "critics/inner_steps": length}
        return rule_diagnostics(self._rules, state.players) | lengths


def _as_length(steps: int | AbstractSchedule) -> AbstractSchedule:
    """The length of a chain as a schedule of the outer steps; rounded down when used.

    Raises:
        InvalidInputError: when it is ever below 1 or unbounded.
    """
    schedule = steps if isinstance(steps, AbstractSchedule) else Constant(float(steps))
    lowest, highest = schedule.bounds()
    require(
        lowest >= 1 and math.isfinite(highest),
        f"An inner chain needs at least 1 step at every time, found lengths from {lowest} to {highest}.",
    )
    return schedule


def _require_damping(damping: float, name: str) -> float:
    """The damping itself.

    Raises:
        InvalidInputError: when it is outside (0, 1].
    """
    require(0 < damping <= 1, f"The {name} damping must lie in (0, 1], found {damping}.")
    return damping
