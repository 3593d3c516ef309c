r"""The duality gap of a mixture of networks, bounded from below by searching for best responses of both players.

With the payoff that penalties are taken from, :math:`F(g, d) = \Phi(g, d) - \text{penalty}(g, d)`, the same for players
and for those who deviate,

.. math:: \mathrm{gap}(\mu, \nu) = \max_{d'} E_{g \sim \mu} F(g, d') - \min_{g'} E_{d \sim \nu} F(g', d),

zero exactly at the equilibria of F. A search by gradients misses the best deviations, so what it finds is a LOWER BOUND
of the gap, up to sampling noise: it grows with the budget of the search. Three sets of draws that share no real sample
keep it honest: deviators are trained on the first, the best of them are chosen on the second and scored on the third.
The score is signed: noise may bring it below zero, and is not hidden.
"""

import math
from collections.abc import Callable, Sequence
from itertools import islice, pairwise
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from scipy.special import stdtrit
from torch import Tensor

from mixnash.core.errors import InvalidInputError, require
from mixnash.core.feedback import regularised_payoffs
from mixnash.core.games.base import AbstractGame
from mixnash.core.population import size, weights
from mixnash.core.rules.adam import Adam
from mixnash.core.rules.base import AbstractPositionRule
from mixnash.core.tree import map_params
from mixnash.core.types import Batch, Networks, Params, Player, Players, Point, Population, Profile
from mixnash.equilibrium.best_response import deviating, response_path
from mixnash.equilibrium.linear_program import MatrixSolution, matrix_gap, solve_matrix_game
from mixnash.equilibrium.starts import joined

SEARCH_RULE: AbstractPositionRule = Adam(1e-3, 0.5, 0.9)
"""How deviators move unless told otherwise."""
_CONFIDENCE = 0.95


class Estimate(NamedTuple):
    """A mean over score draws with its confidence interval of 95 % (Student's t over batches)."""

    value: float
    low: float
    high: float


class GapDraws(NamedTuple):
    """The draws of three roles, which must not share real samples."""

    train: Callable[[Players], Batch]
    """Fresh draws for each update of the deviators, made for the profile's K generators."""
    search: Sequence[Batch]
    """Chooses the best deviator; made for one generator, as all see the same latents. At least one."""
    score: Sequence[Batch]
    """Scores it; made for one generator. At least two."""


class Course(NamedTuple):
    """What the best deviations found so far are worth on the score draws, over the updates of the search."""

    steps: tuple[int, ...]
    """Updates made, from 0."""
    critics: tuple[Estimate, ...]
    """E_mu F(., d') of the best critic found."""
    generators: tuple[Estimate, ...]
    """E_nu F(g', .) of the best generator found."""
    gap: tuple[Estimate, ...]
    """The former minus the latter, paired by batch."""


class DualityGap(NamedTuple):
    """What a search for deviations says of a profile. All numbers are taken on the score draws."""

    course: Course
    """The lower bound of the gap over the updates of the search."""
    value: Estimate
    """F(mu, nu)."""
    critics: Estimate
    """What the critics gain by the best deviation found, max_d' E_mu F(., d') - F(mu, nu)."""
    generators: Estimate
    """What the generators gain, F(mu, nu) - min_g' E_nu F(g', .); both gains add up to the gap."""
    table: Float[Tensor, "K L"]
    """F of all pairs of atoms, in double precision."""
    restricted: float
    """The gap if players may deviate to atoms only, max_l (p'F)_l - min_k (Fq)_k: exact on `table`, and for that very
    reason above its expectation where atoms differ by less than the noise."""
    solution: MatrixSolution
    """The equilibrium of the game on `table`: its value, and the weights that linear programming would give."""

    @property
    def gap(self) -> Estimate:
        """The lower bound of the duality gap that the whole search has found."""
        return self.course.gap[-1]

    def at(self, steps: int) -> Estimate:
        """The lower bound after so many updates, which must be one of the course's."""
        return self.course.gap[self.course.steps.index(steps)]


def marks_of(budget: int) -> tuple[int, ...]:
    """When to look at a search of 4 k updates: at the start, around k, at k and up to 4 k.

    Raises:
        InvalidInputError: when the budget is below 1.
    """
    require(budget >= 1, f"The budget of a search must be at least 1 update, found {budget}.")
    return tuple(sorted({0, budget // 4, budget // 2, budget, 2 * budget, 3 * budget, 4 * budget}))


def require_bounded(game: AbstractGame) -> None:
    """Refuse a game whose duality gap may be infinite.

    Raises:
        InvalidInputError: when critics can win without bound.
    """
    require(
        game.bounded_above,
        f"The critics of this {type(game).__name__} game can win without bound, so its duality gap is infinite: "
        "train with a constraint (weight clipping, a gradient penalty, spectral normalisation), or do not ask for the "
        "distance from equilibrium.",
    )


def duality_gap(
    game: AbstractGame,
    networks: Networks,
    profile: Profile,
    starts: Point,
    draws: GapDraws,
    marks: Sequence[int],
    rng: torch.Generator,
    rule: AbstractPositionRule = SEARCH_RULE,
) -> DualityGap:
    """A lower bound of the duality gap of a profile, by a search from many starts for each player.

    All atoms as they are, and every start at every mark, are candidates; the best so far on the search draws is scored.
    So what is said of a mark is what a search that ends there would have found.

    Args:
        game: what is played; its critics must not win without bound.
        networks: both architectures.
        profile: both mixtures.
        starts: of both players' searches, leaves [R, ...], such as `starts.make_starts`.
        draws: of the three roles.
        marks: numbers of updates after which candidates are looked at, increasing from 0, such as `marks_of`.
        rng: of the rule's noise.
        rule: moves the deviators.

    Raises:
        InvalidInputError: when the game is unbounded, or draws or marks are missing.

    References:
        Grnarova et al., 2019, A domain agnostic measure for monitoring and evaluating GANs, arXiv 1811.05512 (of pure
        strategies).
    """
    require_bounded(game)
    require(len(draws.search) >= 1, "The choice of the best deviation needs a batch of draws at least, found none.")
    require(len(draws.score) >= 2, f"A confidence interval needs 2 score batches at least, found {len(draws.score)}.")
    if len(marks) == 0 or marks[0] != 0 or any(left >= right for left, right in pairwise(marks)):
        raise InvalidInputError(f"The marks of a search must increase from 0, found {list(marks)}.")
    found = Point(
        *(
            _search(game, networks, profile, player, own, rule, draws, marks, rng)
            for player, own in zip(Player, starts, strict=True)
        )
    )
    return _scored(game, networks, profile, found, draws.score, marks)


def _search(
    game: AbstractGame,
    networks: Networks,
    profile: Profile,
    player: Player,
    starts: Params,
    rule: AbstractPositionRule,
    draws: GapDraws,
    marks: Sequence[int],
    rng: torch.Generator,
) -> Params:
    """The best deviation of a player found up to each mark, leaves [marks, ...]."""

    def best_of(candidates: Params) -> tuple[float, Params]:
        gains = _gains(game, networks, profile, player, candidates, draws.search)
        # What has diverged is no candidate, even if all have.
        gains = torch.where(torch.isfinite(gains), gains, -torch.inf)
        winner = int(gains.argmax())  # a number, for candidates may be on another device than gains
        return float(gains[winner]), map_params(lambda leaf: leaf[winner : winner + 1], candidates)

    # Fresh and perturbed networks may be outside the player's domain, where no deviation is allowed.
    starts = game.project(player, starts)
    own = profile.generators if player is Player.GENERATOR else profile.critics
    best = [best_of(joined(own.params, starts))]
    path = response_path(game, networks, profile, player, starts, rule, draws.train, rng)
    for done, mark in pairwise(marks):
        *_, candidates = islice(path, mark - done)
        best.append(max(best[-1], best_of(candidates), key=lambda one: one[0]))
    return joined(*(params for _, params in best))


def promising_atoms(
    game: AbstractGame, networks: Networks, profile: Profile, player: Player, batches: Sequence[Batch]
) -> Int[Tensor, " K"]:
    """A player's own atoms from the best to the worst against the opponent's mixture, whatever their weights."""
    own = profile.generators if player is Player.GENERATOR else profile.critics
    gains = _gains(game, networks, profile, player, own.params, batches)
    return gains.argsort(descending=True, stable=True).to(own.log_weights.device)


def _gains(
    game: AbstractGame,
    networks: Networks,
    profile: Profile,
    player: Player,
    candidates: Params,
    batches: Sequence[Batch],
) -> Float[Tensor, " R"]:
    """What each candidate earns against the opponent's mixture."""
    deviants = deviating(profile, player, candidates)
    table = torch.stack([_payoffs(game, networks, deviants, batch) for batch in batches]).mean(0)
    if player is Player.GENERATOR:
        return -(table @ _mass(profile.critics))
    return _mass(profile.generators) @ table


def _scored(
    game: AbstractGame,
    networks: Networks,
    profile: Profile,
    found: Point,
    batches: Sequence[Batch],
    marks: Sequence[int],
) -> DualityGap:
    """The numbers about given deviations [marks, ...] of both players."""
    p, q = _mass(profile.generators), _mass(profile.critics)
    low_rows = deviating(profile, Player.GENERATOR, joined(profile.generators.params, found.generators))
    high_columns = deviating(profile, Player.CRITIC, found.critics)
    tables = torch.stack([_payoffs(game, networks, low_rows, batch) for batch in batches])  # [n, K + m, L]
    atoms = tables[:, : len(p)]
    lowest = tables[:, len(p) :] @ q  # [n, m]
    highest = p @ torch.stack([_payoffs(game, networks, high_columns, batch) for batch in batches])
    values = p @ atoms @ q
    table = atoms.mean(0)
    return DualityGap(
        Course(tuple(marks), _each(highest), _each(lowest), _each(highest - lowest)),
        value=_estimate(values),
        critics=_estimate(highest[:, -1] - values),
        generators=_estimate(values - lowest[:, -1]),
        table=table,
        restricted=matrix_gap(table, p, q),
        solution=solve_matrix_game(table),
    )


def _payoffs(game: AbstractGame, networks: Networks, profile: Profile, batch: Batch) -> Float[Tensor, "K L"]:
    """F of all pairs, every generator on the same latents: differences between generators carry less noise then."""
    own = batch.for_generators(size(profile.generators))
    return regularised_payoffs(game, networks, profile, own).double().cpu()


def _mass(population: Population) -> Float[Tensor, " K"]:
    return weights(population).detach().double().cpu()


def _each(columns: Float[Tensor, "n m"]) -> tuple[Estimate, ...]:
    return tuple(_estimate(column) for column in columns.unbind(1))


def _estimate(values: Float[Tensor, " n"]) -> Estimate:
    mean, count = float(values.mean()), len(values)
    radius = float(stdtrit(count - 1, (1 + _CONFIDENCE) / 2)) * float(values.std()) / math.sqrt(count)
    return Estimate(mean, mean - radius, mean + radius)
