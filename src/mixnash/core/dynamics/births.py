"""Births: where a fresh pure strategy beats every atom of a mixture, it takes the place of the lightest one."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mixnash.core.population import weights
from mixnash.core.tree import map_params, normal_like, over_leaf, take
from mixnash.core.types import NOBODY, AbstractOracle, Feedback, Params, Player, Population, Profile


class BirthRule(NamedTuple):
    """Who is born."""

    candidates: int
    """Fresh strategies that are tried per player."""
    jitter: float
    """Standard deviation of the noise on copies of atoms, in units of the atoms' root-mean-square spread per axis."""
    largest_weight: float
    """Of a new atom, in (0, 1)."""
    smallest_gain: float
    """In units of the range of payoffs."""
    smallest_weight: float
    """Atoms lighter than this need not be beaten."""


class Birth(NamedTuple):
    """What became of one player."""

    population: Population
    born: Bool[Tensor, "*games"]
    """Whether an atom was replaced."""
    gain: Float[Tensor, "*games"]
    """By how much the best candidate beats the best atom; negative if it does not."""


def bear(
    rule: BirthRule,
    profile: Profile,
    seen: Feedback,
    deviations: tuple[Float[Tensor, "*games"], Float[Tensor, "*games"]],
    oracle: AbstractOracle,
    rng: torch.Generator,
) -> tuple[Birth, Birth]:
    """Give each player the best of its candidates, if it gains enough.

    Half of the candidates, rounded up, are proposed by the oracle. The others are copies of atoms, each equally likely,
    plus Gaussian noise; where the oracle proposes nothing, all of them are copies. Candidates and atoms are compared by
    their payoffs against the opponent's mixture, without penalties, on the oracle's current draws. With a gain g in
    units of the range of payoffs, the newcomer gets the weight min(g, `rule.largest_weight`); the other atoms keep
    their proportions. Both players answer the same profile. The only atom of a player is never replaced.

    Args:
        rule: limits.
        profile: both players.
        seen: the oracle's answer at the profile, of which the payoffs are used.
        deviations: standard deviation of the noise per axis, for either player.
        oracle: is asked for payoffs twice, without gradients.
        rng: draws proposals first, then parents and noise, generators before critics.

    Raises:
        InvalidInputError: when the oracle has no other strategies than those it began with.
    """
    generators, critics = profile
    fresh = tuple(
        _candidates(rule, player, one, deviation, oracle, rng)
        for player, one, deviation in zip(Player, profile, deviations, strict=True)
    )
    own = oracle.feedback(Profile(fresh[0], critics), NOBODY).generator_losses
    other = oracle.feedback(Profile(generators, fresh[1]), NOBODY).critic_losses
    p, q = weights(generators), weights(critics)
    payoff_range = range_of(seen.values)
    row, column = (seen.values @ q.unsqueeze(-1)).squeeze(-1), -(p.unsqueeze(-2) @ seen.values).squeeze(-2)
    return (
        _replace_lightest(rule, generators, row, fresh[0], own, payoff_range),
        _replace_lightest(rule, critics, column, fresh[1], other, payoff_range),
    )


def range_of(values: Float[Tensor, "*games K L"]) -> Float[Tensor, "*games"]:
    """The largest payoff less the smallest; 1 where all are equal."""
    extent = values.amax((-2, -1)) - values.amin((-2, -1))
    return torch.where(extent > 0, extent, torch.ones_like(extent))


def perturbed(
    params: Params, parents: Int[Tensor, "*games n"], deviation: Float[Tensor, "*games"], rng: torch.Generator
) -> Params:
    """Copies of the particles `parents` plus Gaussian noise of a standard deviation: leaves [*games, n, ...]."""
    chosen = take(params, parents)
    noise = normal_like(chosen, rng)
    return map_params(lambda leaf, draw: leaf + over_leaf(deviation, leaf) * draw, chosen, noise)


def _candidates(
    rule: BirthRule,
    player: Player,
    population: Population,
    deviation: Tensor,
    oracle: AbstractOracle,
    rng: torch.Generator,
) -> Population:
    """Equally weighted, [*games, candidates]."""
    *games, count = population.log_weights.shape
    half = (rule.candidates + 1) // 2
    proposed = oracle.propose(player, (*games, half), rng)
    copies = rule.candidates - (half if proposed is not None else 0)
    parents = torch.randint(count, (*games, copies), generator=rng, device=rng.device)
    moved = perturbed(population.params, parents.to(population.log_weights.device), deviation, rng)
    params = oracle.project(player, moved)
    if proposed is not None:
        axis = len(games)
        params = map_params(lambda leaf, draw: torch.cat([draw.to(leaf), leaf], axis), params, proposed)
    uniform = population.log_weights.new_full((*games, rule.candidates), -math.log(rule.candidates))
    return Population(params, uniform)


def _replace_lightest(
    rule: BirthRule,
    population: Population,
    losses: Tensor,
    fresh: Population,
    fresh_losses: Tensor,
    payoff_range: Tensor,
) -> Birth:
    log_weights = population.log_weights
    alive = log_weights.exp() > rule.smallest_weight
    best = losses.masked_fill(~alive, math.inf).amin(-1)
    found, index = fresh_losses.min(-1)
    gain = best - found
    share = gain / payoff_range
    born = share > rule.smallest_gain
    if log_weights.shape[-1] == 1 or not bool(born.any()):
        return Birth(population, torch.zeros_like(born), gain)
    new = torch.where(born, share, torch.ones_like(share)).clamp_max(rule.largest_weight).unsqueeze(-1)
    leaving = torch.zeros_like(alive).scatter(-1, log_weights.argmin(-1, keepdim=True), True) & born.unsqueeze(-1)
    others = torch.log_softmax(log_weights.masked_fill(leaving, -math.inf), -1) + torch.log1p(-new)
    weighted = torch.where(leaving, new.log(), torch.where(born.unsqueeze(-1), others, log_weights))

    def put(leaf: Tensor, newcomer: Tensor) -> Tensor:
        return torch.where(over_leaf(leaving, leaf), newcomer, leaf)

    params = map_params(put, population.params, take(fresh.params, index.unsqueeze(-1)))
    return Birth(Population(params, weighted), born, gain)
