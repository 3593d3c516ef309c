"""Follow any dynamics, and every so often give the places of particles that are of no use to copies of the heaviest."""

import math
from collections.abc import Callable
from typing import NamedTuple, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mixnash.core.dynamics.base import AbstractDynamics
from mixnash.core.dynamics.births import perturbed
from mixnash.core.dynamics.inheritance import inherit
from mixnash.core.errors import require
from mixnash.core.population import coincident, size
from mixnash.core.tree import map_params
from mixnash.core.types import AbstractOracle, Feedback, Params, Player, Population, Profile, RuleState


class BirthDeathState(NamedTuple):
    """The base's state, and the births so far."""

    base: RuleState
    arrivals: Int[Tensor, " K"]
    """After which step each generator was born; 0 for the first ones."""
    generator_births: int
    critic_births: int
    steps: int


class _Succession(NamedTuple):
    """Who is in which place after a look at one player."""

    population: Population
    parents: Int[Tensor, " K"]
    """Of each place the particle that it descends from; its own number if it lives on."""
    births: int


@final
class BirthDeath(AbstractDynamics):
    r"""Birth and death among the particles of both players, at constant K and L. After every n steps of the base,
    player by player:

    1. *Merging.* Particles within `merge_radius` of a heavier one coincide with it: it takes their weight, and their
       places are free (see `population.merge` for who belongs to whom).
    2. *Death.* Particles of weight less than `smallest_weight` die, and their places are free.
    3. *Birth.* One after the other, each free place k goes to a perturbed copy of the particle m that is then the
       heaviest, which also takes what weight the dead one left and shares half and half,

       .. math:: \theta_k \leftarrow P(\theta_m + s\, \xi), \quad \xi \sim N(0, I), \qquad
                 p_m, p_k \leftarrow \frac{p_m + p_k}{2}.

    So the weights keep their sum, and apart from the noise the mixture changes by the dead particles' weights alone. A
    copy goes on with its parent's rule states, such as Adam's moments, too. Where nothing was merged and nobody died,
    the base does not notice; otherwise it is put at the new profile (`replace_profile`), and memories of past gradients
    start anew.

    Weights must move for anybody to die: with frozen weights there is merging only. The oracle must look at positions
    (not a `FiniteOracle`); one game at a time, no batches of games. Wrap this around a `lookahead.Lookahead`, with
    `every` a multiple of its period, and not the other way round: it would average a newcomer with the particle whose
    place it took. A moving average of positions over time must start anew there, as `MixedGAN`'s does (`newcomers`).

    Args:
        base: the dynamics between births.
        every: n >= 1, in steps of the base.
        smallest_weight: at least 0 (nobody dies) and at most 1/(2K) and 1/(2L), so that neither half of a split
            particle is ever below.
        merge_radius: at least 0; 0 for no merging. A Euclidean distance over all parameters of a particle, the shorter
            way around on a torus.
        jitter: standard deviation s >= 0 of the noise on every parameter of a copy. Where particles are merged it must
            be positive, and s times the root of the number of parameters should be larger than the radius. With s = 0
            only noise of the base can part a copy from its parent.
        generators: whether the generators have births and deaths.
        critics: whether the critics do.

    Raises:
        InvalidInputError: when an argument is outside its range; by `init` when `smallest_weight` is too large for the
            number of particles.
    """

    def __init__(
        self,
        base: AbstractDynamics,
        every: int = 100,
        smallest_weight: float = 1e-3,
        merge_radius: float = 0.0,
        jitter: float = 0.01,
        generators: bool = True,
        critics: bool = True,
    ) -> None:
        require(every >= 1, f"Births must be at least 1 step apart, found {every}.")
        require(
            0 <= smallest_weight <= 0.25,
            f"The weight below which particles die must lie in [0, 0.25], found {smallest_weight}.",
        )
        require(0 <= merge_radius < math.inf, f"The radius of merging must be at least 0, found {merge_radius}.")
        require(0 <= jitter < math.inf, f"The jitter of newborn particles must be at least 0, found {jitter}.")
        require(
            merge_radius == 0 or jitter > 0,
            "Merging needs a positive jitter: without noise a copy coincides with its parent and is merged again.",
        )
        require(
            generators or critics, "Births and deaths need at least one player: switch on generators, critics or both."
        )
        self._base, self._every, self._smallest_weight = base, every, smallest_weight
        self._merge_radius, self._jitter = merge_radius, jitter
        self._players = {Player.GENERATOR: generators, Player.CRITIC: critics}

    @property
    def draws_per_step(self) -> int:
        """Those of the base."""
        return self._base.draws_per_step

    def extra_particles(self, generators: int, critics: int) -> tuple[int, int]:
        """What the base keeps."""
        return self._base.extra_particles(generators, critics)

    def init(self, profile: Profile) -> BirthDeathState:
        """The base at the start, no births.

        Raises:
            InvalidInputError: when `smallest_weight` is above 1/(2K) or 1/(2L) where it matters.
        """
        for player, population in zip(Player, profile, strict=True):
            count, limit = size(population), 1 / (2 * size(population))
            require(
                not self._players[player] or count == 1 or self._smallest_weight <= limit,
                f"The weight below which particles die must be at most half of an equal share: with {count} "
                f"{player.value}s at most {limit:.4g}, found {self._smallest_weight}.",
            )
        return BirthDeathState(
            self._base.init(profile), torch.zeros_like(profile.generators.log_weights, dtype=torch.int64), 0, 0, 0
        )

    def step(
        self, state: BirthDeathState, oracle: AbstractOracle, rng: torch.Generator
    ) -> tuple[BirthDeathState, Feedback]:
        """One step of the base; every n-th is followed by births and deaths."""
        base, feedback = self._base.step(state.base, oracle, rng)
        moved = state._replace(base=base, steps=state.steps + 1)
        if moved.steps % self._every != 0:
            return moved, feedback
        before = self._base.profile(base)
        own = self._renew(Player.GENERATOR, before.generators, oracle, rng)
        other = self._renew(Player.CRITIC, before.critics, oracle, rng)
        if own.births + other.births == 0:
            return moved, feedback
        heirs = inherit(base, own.parents, other.parents)
        places = torch.arange(len(own.parents), device=own.parents.device)
        return BirthDeathState(
            self._base.replace_profile(heirs, Profile(own.population, other.population)),
            torch.where(own.parents == places, state.arrivals, moved.steps),
            state.generator_births + own.births,
            state.critic_births + other.births,
            moved.steps,
        ), feedback

    def _renew(
        self, player: Player, population: Population, oracle: AbstractOracle, rng: torch.Generator
    ) -> _Succession:
        """Steps 1 to 3 of the class docstring for one player."""
        places = torch.arange(size(population), device=population.log_weights.device)
        if not self._players[player] or len(places) == 1:
            return _Succession(population, places, 0)
        centres = places
        if self._merge_radius > 0:
            distances = _distances(player, population.params, oracle)
            centres = coincident(population.log_weights, distances, self._merge_radius)
        log_weights, parents = succeed(population.log_weights, centres, self._smallest_weight)
        free = (parents != places).nonzero().flatten()
        if len(free) == 0:
            return _Succession(population, places, 0)
        deviation = log_weights.new_tensor(self._jitter)
        newborn = oracle.project(player, perturbed(population.params, parents[free], deviation, rng))
        params = map_params(lambda leaf, new: leaf.index_copy(0, free, new), population.params, newborn)
        return _Succession(Population(params, log_weights), parents, len(free))

    def profile(self, state: BirthDeathState) -> Profile:
        """That of the base."""
        return self._base.profile(state.base)

    def replace_profile(self, state: BirthDeathState, profile: Profile) -> BirthDeathState:
        """The base put at `profile`; the counts of steps and births go on."""
        return state._replace(base=self._base.replace_profile(state.base, profile))

    def newcomers(self, before: BirthDeathState, after: BirthDeathState) -> Bool[Tensor, " K"]:
        """The copies of this step, and those of the base."""
        born = after.arrivals != before.arrivals
        of_base = self._base.newcomers(before.base, after.base)
        return born if of_base is None else born | of_base

    def diagnostics(self, state: BirthDeathState) -> dict[str, float]:
        """Those of the base, and the births of either player so far."""
        births = {
            "generators/births": float(state.generator_births),
            "critics/births": float(state.critic_births),
        }
        return self._base.diagnostics(state.base) | births


def succeed(
    log_weights: Float[Tensor, " K"], centres: Int[Tensor, " K"], smallest_weight: float
) -> tuple[Float[Tensor, " K"], Int[Tensor, " K"]]:
    """Who has which place, with what weight.

    Args:
        log_weights: before.
        centres: of each particle's group of coincident ones.
        smallest_weight: particles lighter than this die; at most 1/(2K).

    Returns:
        New log-weights [K], and of each place the particle [K] that it descends from, its own number if it lives on.
    """
    places = torch.arange(len(log_weights), device=log_weights.device)
    members = centres == places.unsqueeze(1)
    new = log_weights.expand(len(places), -1).masked_fill(~members, -math.inf).logsumexp(1)
    free = (centres != places) | (new.exp() < smallest_weight)
    parents = places.clone()
    for place in free.nonzero().flatten().tolist():
        heaviest = int(new.masked_fill(free, -math.inf).argmax())
        half = torch.logaddexp(new[heaviest], new[place]) - math.log(2)
        new[heaviest], new[place] = half, half
        parents[place], free[place] = parents[heaviest], False
    return torch.log_softmax(new, 0), parents


def _distances(player: Player, params: Params, oracle: AbstractOracle) -> Callable[[int], Tensor]:
    """Distances [K] from the particle of a given index."""

    def distances(centre: int) -> Tensor:
        there = map_params(lambda leaf: leaf[centre : centre + 1].expand_as(leaf), params)
        near = oracle.unwrap(player, params, there)
        squares = [(leaf - there[name]).square().reshape(len(leaf), -1).sum(1) for name, leaf in near.items()]
        return torch.stack(squares).sum(0).sqrt()

    return distances
