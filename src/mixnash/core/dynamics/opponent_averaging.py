"""Each player descends against a weighted time-average of the opponent's past mixtures."""

import math
from typing import NamedTuple, final

import torch
from torch import Tensor

from mixnash.core.dynamics.base import (
    AbstractRuleDynamics,
    DynamicsState,
    move_players,
    put_players,
    rule_diagnostics,
)
from mixnash.core.errors import require
from mixnash.core.population import drawn_indices
from mixnash.core.rules.base import PlayerRules
from mixnash.core.schedules import AbstractSchedule, as_schedule
from mixnash.core.tree import map_params, take
from mixnash.core.types import BOTH, CRITICS, GENERATORS, AbstractOracle, Feedback, Params, Population, Profile


class OpponentAveragingState(NamedTuple):
    """Both players, the reservoirs of their past, and the steps made so far."""

    players: DynamicsState
    generator_slots: Params
    """Leaves [R, ...]."""
    critic_slots: Params
    """Leaves [R, ...]."""
    steps: int


@final
class OpponentAveraging(AbstractRuleDynamics):
    r"""Descent-ascent against the average of the opponent's past,

    .. math:: \bar\mu_t = (1 - b_t)\, \bar\mu_{t-1} + b_t\, \mu_t, \quad
              \bar\nu_t = (1 - b_t)\, \bar\nu_{t-1} + b_t\, \nu_t, \quad
              x_{t+1} = U(x_t, V_x(x_t, \bar\nu_t)), \quad y_{t+1} = U(y_t, V_y(\bar\mu_t, y_t)),

    with :math:`b_0 = 1`. As the payoff is bilinear in mixed strategies, this is the average of past gradients at the
    present point. With Langevin rules it is mean-field Langevin averaged gradient (MFL-AG), single loop:
    :math:`b_t = 1 / (t + 1)`, that is `Polynomial(1, 1, 1)`, weighs all steps alike; `Polynomial(1, 1, r + 1)` weighs
    step s like :math:`(s+1) \cdots (s+r) \approx s^r`; a constant b forgets exponentially, like
    :math:`(1 - b)^{t - s}`.

    An average is kept as a reservoir of R equally weighted particles. At every step each slot is replaced, with
    probability :math:`b_t` and independently of the others, by a particle drawn from the player's present mixture
    according to its weights: the law of every slot is then exactly the average, see `refill`. Given the path, a
    gradient against a reservoir has the mean of the exact one and an error of order :math:`R^{-1/2}`.

    Losses, and the payoffs of the feedback, are those against the averages: `values` repeats in all its columns what
    each generator pays. Weight rules work on these losses. The oracle must look at positions: on a finite game play
    `games.matrix.Matrix` on one-hot particles, not a `FiniteOracle`, or use the rule `fictitious_play.FictitiousPlay`.

    References:
        Kim, Yamamoto, Oko, Yang, Suzuki, 2024, arXiv 2312.01127 (MFL-AG); Lu, Monmarche, 2025, arXiv 2505.07642
        (exponential discount).

    Args:
        generators: rules of the generators.
        critics: rules of the critics.
        replacement: b_t in [0, 1] as a function of the step; 1 at the first step whatever is given.
        capacity: R >= 1, slots of each reservoir; networks are copied that many times.

    Raises:
        InvalidInputError: when a probability is outside [0, 1] or the capacity below 1.
    """

    def __init__(
        self, generators: PlayerRules, critics: PlayerRules, replacement: float | AbstractSchedule, capacity: int
    ) -> None:
        super().__init__(generators, critics)
        self._replacement = as_schedule(replacement, "replacement probability", positive=True)
        highest = self._replacement.bounds()[1]
        require(highest <= 1, f"The replacement probability must be at most 1 at every step, found up to {highest}.")
        require(capacity >= 1, f"A reservoir needs at least 1 slot, found a capacity of {capacity}.")
        self._capacity = capacity

    @property
    def draws_per_step(self) -> int:
        """One per player."""
        return 2

    def extra_particles(self, generators: int, critics: int) -> tuple[int, int]:
        """One reservoir per player."""
        del generators, critics
        return self._capacity, self._capacity

    def init(self, profile: Profile) -> OpponentAveragingState:
        """Both players at rest; the first step fills the reservoirs."""
        generator_slots, critic_slots = (take(one.params, self._first_slots(one)) for one in profile)
        return OpponentAveragingState(self.at_rest(profile), generator_slots, critic_slots, 0)

    def _first_slots(self, population: Population) -> Tensor:
        *games, count = population.log_weights.shape
        index = torch.arange(self._capacity, device=population.log_weights.device) % count
        return index.expand(*games, self._capacity)

    def step(
        self, state: OpponentAveragingState, oracle: AbstractOracle, rng: torch.Generator
    ) -> tuple[OpponentAveragingState, Feedback]:
        """One step of the class docstring's equations: averages first, then both players at once."""
        replacement = self._replacement(state.steps) if state.steps > 0 else 1.0
        generators, critics = state.players.profile
        generator_slots = refill(state.generator_slots, generators, replacement, rng)
        critic_slots = refill(state.critic_slots, critics, replacement, rng)

        oracle.resample()
        own = oracle.feedback(Profile(generators, _uniform(critic_slots, critics, self._capacity)), GENERATORS)
        oracle.resample()
        other = oracle.feedback(Profile(_uniform(generator_slots, generators, self._capacity), critics), CRITICS)
        shape = (*own.generator_losses.shape, critics.log_weights.shape[-1])
        seen = Feedback(
            own.generator_losses.unsqueeze(-1).expand(shape),
            own.generator_losses,
            other.critic_losses,
            own.generator_grads,
            other.critic_grads,
        )
        players = move_players(self._rules, state.players, seen, BOTH, oracle, rng)
        return OpponentAveragingState(players, generator_slots, critic_slots, state.steps + 1), seen

    def profile(self, state: OpponentAveragingState) -> Profile:
        """Both mixed strategies as they are now."""
        return state.players.profile

    def averages(self, state: OpponentAveragingState) -> Profile:
        """The reservoirs as mixed strategies of R particles of equal weight."""
        generators, critics = state.players.profile
        return Profile(
            _uniform(state.generator_slots, generators, self._capacity),
            _uniform(state.critic_slots, critics, self._capacity),
        )

    def replace_profile(self, state: OpponentAveragingState, profile: Profile) -> OpponentAveragingState:
        """The players at `profile`; their past stays what it was."""
        return state._replace(players=put_players(state.players, profile))

    def diagnostics(self, state: OpponentAveragingState) -> dict[str, float]:
        """What the position rules of both players want plotted."""
        return rule_diagnostics(self._rules, state.players)


def refill(slots: Params, population: Population, probability: float, rng: torch.Generator) -> Params:
    r"""Replace each slot with a probability by a draw from a mixture.

    Let a slot have the law :math:`\bar\mu_{t-1}` given the path of the players. It keeps its particle with probability
    :math:`1 - b` and otherwise holds a draw from :math:`\mu_t`, both independent of what it held: its new law is
    :math:`(1 - b)\, \bar\mu_{t-1} + b\, \mu_t = \bar\mu_t`, and by induction from :math:`b_0 = 1` this holds at every
    step. Slots are independent given the path, as each has its own draws.

    Args:
        slots: leaves [*games, R, ...].
        population: the mixture, [*games, K].
        probability: b.
        rng: two uniform draws per slot, or one where the mixture has one particle.

    Returns:
        New slots, leaves [*games, R, ...].
    """
    log_weights = population.log_weights
    *games, count = log_weights.shape
    shape = (*games, next(iter(slots.values())).shape[len(games)])

    def uniform() -> Tensor:
        return torch.rand(shape, generator=rng, device=log_weights.device, dtype=log_weights.dtype)

    replaced = uniform() < probability
    drawn = population.params
    if count > 1:
        drawn = take(population.params, drawn_indices(log_weights, uniform()))

    def choose(old: Tensor, new: Tensor) -> Tensor:
        return torch.where(replaced.reshape(replaced.shape + (1,) * (old.dim() - replaced.dim())), new, old)

    return map_params(choose, slots, drawn)


def _uniform(slots: Params, like: Population, capacity: int) -> Population:
    """A reservoir as a mixed strategy."""
    shape = (*like.log_weights.shape[:-1], capacity)
    return Population(slots, like.log_weights.new_full(shape, -math.log(capacity)))
