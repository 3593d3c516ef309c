"""Fictitious play between networks: each player answers a queue of snapshots of the opponent's past."""

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
from mixnash.core.rules.base import PlayerRules
from mixnash.core.tree import map_params
from mixnash.core.types import (
    CRITICS,
    GENERATORS,
    AbstractOracle,
    Feedback,
    Params,
    Players,
    Population,
    Profile,
)


class Snapshots(NamedTuple):
    """A ring of copies of one player's mixed strategy; rows that hold none yet repeat the first strategy."""

    params: Params
    """Leaves [capacity, *games, K, ...]."""
    log_weights: Tensor
    """[capacity, *games, K]."""


class SnapshotPlayState(NamedTuple):
    """Both players, the snapshots of their past, and the steps made so far."""

    players: DynamicsState
    generator_snapshots: Snapshots
    critic_snapshots: Snapshots
    steps: int


@final
class SnapshotPlay(AbstractRuleDynamics):
    r"""Fictitious play with a queue of snapshots. Every s steps the players' mixtures of that step enter a queue of C
    places, where the oldest makes room. With the queue and the present mixture in equal shares,

    .. math:: \bar\mu_t = \frac{1}{|Q_t| + 1} \Big( \mu_t + \sum_{s \in Q_t} \mu_s \Big), \qquad
              \bar\nu_t = \frac{1}{|Q_t| + 1} \Big( \nu_t + \sum_{s \in Q_t} \nu_s \Big),

    both players answer the other's average, which stands still for the time of the step:

    .. math:: x \leftarrow U(x, V_x(x, \bar\nu_t)) \;\; (n_x \text{ times, from } x_t), \qquad
              y \leftarrow U(y, V_y(\bar\mu_t, y)) \;\; (n_y \text{ times, from } y_t).

    While the queue is not full, with s = 1 and as n grows, this is fictitious play, whose *averages* approach the
    equilibrium of a zero-sum game; the players themselves need not. `profile` gives the players, K and L particles as
    everywhere, and so that is what a run trains, saves and scores; `averages` gives the averages, mixtures of up to
    (C + 1) K and (C + 1) L particles. The two come close where step sizes fall.

    With `sampled` = m an update sees m snapshots only, drawn anew for each without replacement, and the present
    mixture. Its share stays 1 / (|Q| + 1) and the drawn ones divide the rest, so gradients have the mean of those
    against all. The cost of an update then grows with m + 1 instead of C + 1. `opponent_averaging.OpponentAveraging`
    remembers all of the past, in a random reservoir.

    Losses, and the payoffs of the feedback, are those against the averages: `values` repeats in all its columns what
    each generator pays. Weight rules work on these losses. The oracle must look at positions: on a finite game play
    `games.matrix.Matrix` on one-hot particles, not a `FiniteOracle`.

    References:
        Ge, Xia, Chen, Berry, Wu, 2018, Fictitious GAN: training GANs with historical models, arXiv 1803.08647; Brown,
        1951, Iterative solution of games by fictitious play.

    Args:
        generators: rules of the generators; their schedules count n_x updates per step.
        critics: rules of the critics; their schedules count n_y updates per step.
        capacity: C >= 1, snapshots kept of each player; networks are copied that many times.
        snapshot_every: s >= 1, in steps; the first snapshot is that of the start.
        generator_steps: n_x >= 1.
        critic_steps: n_y >= 1.
        sampled: m, from 1 to C; None for the whole queue.

    Raises:
        InvalidInputError: when an argument is outside its range.
    """

    def __init__(
        self,
        generators: PlayerRules,
        critics: PlayerRules,
        capacity: int,
        snapshot_every: int = 1,
        generator_steps: int = 1,
        critic_steps: int = 1,
        sampled: int | None = None,
    ) -> None:
        require(capacity >= 1, f"A queue of snapshots needs at least 1 place, found a capacity of {capacity}.")
        require(snapshot_every >= 1, f"Snapshots must be at least 1 step apart, found {snapshot_every}.")
        for name, steps in (("generator", generator_steps), ("critic", critic_steps)):
            require(steps >= 1, f"Snapshot play needs at least 1 {name} step, found {steps}.")
        require(
            sampled is None or 1 <= sampled <= capacity,
            f"From 1 to {capacity} snapshots, the capacity of the queue, can be sampled, found {sampled}.",
        )
        super().__init__(generators, critics)
        self._capacity, self._snapshot_every = capacity, snapshot_every
        self._generator_steps, self._critic_steps = generator_steps, critic_steps
        self._sampled = capacity if sampled is None else sampled

    @property
    def draws_per_step(self) -> int:
        """One per update of either player."""
        return self._generator_steps + self._critic_steps

    def extra_particles(self, generators: int, critics: int) -> tuple[int, int]:
        """C copies of every particle."""
        return self._capacity * generators, self._capacity * critics

    def init(self, profile: Profile) -> SnapshotPlayState:
        """Both players at rest, and empty queues."""
        generators, critics = (self._empty(one) for one in profile)
        return SnapshotPlayState(self.at_rest(profile), generators, critics, 0)

    def _empty(self, population: Population) -> Snapshots:
        def repeat(leaf: Tensor) -> Tensor:
            return leaf.unsqueeze(0).repeat_interleave(self._capacity, 0)

        return Snapshots(map_params(repeat, population.params), repeat(population.log_weights))

    def step(
        self, state: SnapshotPlayState, oracle: AbstractOracle, rng: torch.Generator
    ) -> tuple[SnapshotPlayState, Feedback]:
        """One step of the class docstring's equations; the feedback is that of both players' last updates."""
        held, old = self._held(state.steps), state.players.profile
        players = state.players
        for _ in range(self._critic_steps):
            past = self._average(state.generator_snapshots, old.generators, held, rng)
            seen = _see(oracle, Profile(past, players.critics.population), CRITICS)
            players = move_players(self._rules, players, seen, CRITICS, oracle, rng)
        critic_losses, critic_grads = seen.critic_losses, seen.critic_grads
        for _ in range(self._generator_steps):
            past = self._average(state.critic_snapshots, old.critics, held, rng)
            seen = _see(oracle, Profile(players.generators.population, past), GENERATORS)
            players = move_players(self._rules, players, seen, GENERATORS, oracle, rng)

        losses = seen.generator_losses
        values = losses.unsqueeze(-1).expand(*losses.shape, critic_losses.shape[-1])
        generators, critics = state.generator_snapshots, state.critic_snapshots
        if state.steps % self._snapshot_every == 0:
            place = state.steps // self._snapshot_every % self._capacity
            generators, critics = _write(generators, place, old.generators), _write(critics, place, old.critics)
        new = SnapshotPlayState(players, generators, critics, state.steps + 1)
        return new, Feedback(values, losses, critic_losses, seen.generator_grads, critic_grads)

    def _held(self, steps: int) -> int:
        """How many snapshots the queue holds after some steps."""
        return min(-(-steps // self._snapshot_every), self._capacity)

    def _average(self, snapshots: Snapshots, present: Population, held: int, rng: torch.Generator) -> Population:
        """The present mixture and m snapshots, or all there are."""
        if held <= self._sampled:
            return _mixture(snapshots, list(range(held)), present, held)
        chosen = torch.randperm(held, generator=rng, device=rng.device)[: self._sampled]
        return _mixture(snapshots, chosen.tolist(), present, held)

    def profile(self, state: SnapshotPlayState) -> Profile:
        """Both players as they are now."""
        return state.players.profile

    def averages(self, state: SnapshotPlayState) -> Profile:
        """What the next step's players would answer: mixtures of (held + 1) K and (held + 1) L particles.

        The snapshots come in the order of their places in the ring, the present particles last.
        """
        held, present = self._held(state.steps), state.players.profile
        places = list(range(held))
        return Profile(
            _mixture(state.generator_snapshots, places, present.generators, held),
            _mixture(state.critic_snapshots, places, present.critics, held),
        )

    def replace_profile(self, state: SnapshotPlayState, profile: Profile) -> SnapshotPlayState:
        """The players at `profile`; their past stays what it was."""
        return state._replace(players=put_players(state.players, profile))

    def diagnostics(self, state: SnapshotPlayState) -> dict[str, float]:
        """What the position rules of both players want plotted."""
        return rule_diagnostics(self._rules, state.players)


def _see(oracle: AbstractOracle, profile: Profile, players: Players) -> Feedback:
    """The game's answer on fresh draws."""
    oracle.resample()
    return oracle.feedback(profile, players)


def _mixture(snapshots: Snapshots, places: list[int], present: Population, held: int) -> Population:
    """The snapshots at some places with a share of `held` in all, and the present mixture with a share of 1."""
    if not places:
        return present
    axis = present.log_weights.dim() - 1
    share = math.log(held / len(places)) - math.log(held + 1)

    def join(past: Tensor, now: Tensor) -> Tensor:
        return torch.cat([past[places].movedim(0, axis).flatten(axis, axis + 1), now], axis)

    log_weights = join(snapshots.log_weights + share, present.log_weights - math.log(held + 1))
    return Population(map_params(join, snapshots.params, present.params), log_weights)


def _write(snapshots: Snapshots, place: int, population: Population) -> Snapshots:
    """The ring with a mixture at one place; the old ring stays as it was."""

    def put(past: Tensor, now: Tensor) -> Tensor:
        written = past.clone()
        written[place] = now
        return written

    return Snapshots(
        map_params(put, snapshots.params, population.params), put(snapshots.log_weights, population.log_weights)
    )
