"""What a dynamics is, and the state that schemes without memory share."""

import abc
from typing import NamedTuple

import torch
from jaxtyping import Bool
from torch import Tensor

from mixnash.core.random import noise_of
from mixnash.core.rules.base import PlayerRules, PlayerState
from mixnash.core.types import AbstractOracle, Feedback, Player, Players, Profile, RuleState


class DynamicsState(NamedTuple):
    """Both players, for schemes that remember nothing else."""

    generators: PlayerState
    critics: PlayerState

    @property
    def profile(self) -> Profile:
        """Both mixed strategies."""
        return Profile(self.generators.population, self.critics.population)


def put_players(state: DynamicsState, profile: Profile) -> DynamicsState:
    """The same rule states with the players at `profile`."""
    return DynamicsState(
        state.generators._replace(population=profile.generators), state.critics._replace(population=profile.critics)
    )


class StepRange(NamedTuple):
    """Step sizes strictly between `low` and `high` are proven to converge; none if `low` >= `high`."""

    low: float
    high: float


class AbstractDynamics(abc.ABC):
    """A scheme that moves both players by one step; pure: all memory is in the state it returns.

    A step is one update of the generators. Rules count their own updates.
    """

    @property
    @abc.abstractmethod
    def draws_per_step(self) -> int:
        """How many fresh batches of real samples one step consumes at most."""

    @property
    def is_separable(self) -> bool:
        """Whether positions move particle by particle, on nothing but their own past and the oracle's answers.

        Then a process can move a share of the particles. Norms over all parameters, products with the field's
        derivative and particles that replace others are what makes a dynamics not separable.
        """
        return False

    def extra_particles(self, generators: int, critics: int) -> tuple[int, int]:
        """How many copies of networks the state holds beside the players and their rules' states.

        Queues and reservoirs are as long as somebody asks for; what they take is checked against the memory there is
        before a run begins.

        Args:
            generators: K.
            critics: L.

        Returns:
            Copies of one generator, and of one critic.
        """
        del generators, critics
        return 0, 0

    @abc.abstractmethod
    def init(self, profile: Profile) -> RuleState:
        """The state before the first step."""

    @abc.abstractmethod
    def step(self, state: RuleState, oracle: AbstractOracle, rng: torch.Generator) -> tuple[RuleState, Feedback]:
        """One step: the new state, and the last feedback the generators moved on (for monitoring)."""

    @abc.abstractmethod
    def profile(self, state: RuleState) -> Profile:
        """Both mixed strategies at a state."""

    @abc.abstractmethod
    def replace_profile(self, state: RuleState, profile: Profile) -> RuleState:
        """The same state with both players put at `profile`, where the next step starts.

        Rule states stay as they are; memories of earlier points or gradients, which predict nothing across a jump,
        start anew. Wrappers such as `lookahead.Lookahead` need this.

        Args:
            state: any state of this dynamics.
            profile: positions and log-weights of the shapes in `state`.
        """

    def newcomers(self, before: RuleState, after: RuleState) -> Bool[Tensor, "*games K"] | None:
        """Which generators of `profile(after)` took the place of another one in the step from `before`.

        Who remembers positions across steps, such as a moving average, must start anew in those places.

        Args:
            before: a state.
            after: what a step made of it.

        Returns:
            A mask, or None where this dynamics never replaces generators.
        """
        del before, after
        return None

    @abc.abstractmethod
    def diagnostics(self, state: RuleState) -> dict[str, float]:
        """The numbers worth plotting, such as `generators/step_size`."""

    def proven_steps(self, lipschitz: float, weak_minty: float) -> StepRange | None:
        """Constant step sizes, with plain gradient steps, for which convergence of the last or best iterate is proven.

        Args:
            lipschitz: Lipschitz constant L > 0 of the field V.
            weak_minty: the largest rho <= 0 with <V(z), z - z*> >= rho |V(z)|^2 for all z; 0 on monotone fields.

        Returns:
            The range, or None where nothing is known in these terms.
        """
        del lipschitz, weak_minty
        return None


class AbstractRuleDynamics(AbstractDynamics):
    """A scheme that moves both players by rules.

    Args:
        generators: rules of the generators.
        critics: rules of the critics.
    """

    def __init__(self, generators: PlayerRules, critics: PlayerRules) -> None:
        self._rules = (generators, critics)

    @property
    def rules(self) -> tuple[PlayerRules, PlayerRules]:
        """Those of the generators and those of the critics."""
        return self._rules

    def at_rest(self, profile: Profile) -> DynamicsState:
        """Both players at `profile`, before their rules' first updates."""
        generators, critics = self._rules
        return DynamicsState(generators.init(profile.generators), critics.init(profile.critics))


class AbstractMemorylessDynamics(AbstractRuleDynamics):
    """A scheme that moves by rules and remembers nothing but its players."""

    def init(self, profile: Profile) -> DynamicsState:
        """Both players at rest."""
        return self.at_rest(profile)

    def profile(self, state: DynamicsState) -> Profile:
        """Both mixed strategies."""
        return state.profile

    def replace_profile(self, state: DynamicsState, profile: Profile) -> DynamicsState:
        """The players at `profile` with their rule states."""
        return put_players(state, profile)

    def diagnostics(self, state: DynamicsState) -> dict[str, float]:
        """What the position rules of both players want plotted, by player."""
        return rule_diagnostics(self._rules, state)


def rule_diagnostics(rules: tuple[PlayerRules, PlayerRules], state: DynamicsState) -> dict[str, float]:
    """What the position rules of both players want plotted, such as `generators/step_size`."""
    return {
        f"{player}/{name}": value
        for player, rule, player_state in zip(("generators", "critics"), rules, state, strict=True)
        for name, value in rule.position.diagnostics(player_state.position).items()
    }


def move_players(
    rules: tuple[PlayerRules, PlayerRules],
    state: DynamicsState,
    feedback: Feedback,
    players: Players,
    oracle: AbstractOracle,
    rng: torch.Generator,
) -> DynamicsState:
    """Move some of the players by their rules on one feedback: generators first, so the draws have an order.

    Args:
        rules: those of the generators and those of the critics.
        state: where the players are.
        feedback: must hold the gradients of `players`.
        players: who moves.
        oracle: projects the new positions.
        rng: noise of the position rules.
    """
    generators, critics = state
    if Player.GENERATOR in players:
        assert feedback.generator_grads is not None
        generators = rules[0].move(
            generators,
            feedback.generator_grads,
            feedback.generator_losses,
            noise_of(rng, Player.GENERATOR),
            lambda params: oracle.project(Player.GENERATOR, params),
        )
    if Player.CRITIC in players:
        assert feedback.critic_grads is not None
        critics = rules[1].move(
            critics,
            feedback.critic_grads,
            feedback.critic_losses,
            noise_of(rng, Player.CRITIC),
            lambda params: oracle.project(Player.CRITIC, params),
        )
    return DynamicsState(generators, critics)
