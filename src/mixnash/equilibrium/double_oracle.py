r"""Double oracle: an equilibrium of the strategies seen so far, then each player's best responses to it, and again.

The reference solver of the project: its value comes with the gap that certifies it.
"""

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from mixnash.core.domains import AbstractDomain
from mixnash.core.errors import require
from mixnash.core.games.vectors import VECTOR, AbstractVectorGame
from mixnash.core.population import make_population, merge, prune, size
from mixnash.core.types import Population, Profile
from mixnash.equilibrium.linear_program import MatrixSolution, matrix_gap, solve_matrix_game
from mixnash.equilibrium.nikaido_isoda import (
    maximiser_loss,
    minimiser_loss,
    nikaido_isoda,
    payoff_table,
    require_searchable,
)
from mixnash.equilibrium.polish import polish
from mixnash.equilibrium.search import Effort, Minima, difference, minimise

_SAME = 1e-7
"""Best responses closer than this to a known strategy are not added: the linear program fails on near copies."""

_ANSWERS = 4
"""At most so many of the local best responses of a round become strategies."""

_UNUSED = 1e-9
"""Strategies of less probability are not in the support of a solution."""


_NEGLIGIBLE = 1e-3
"""A gap of this part of the tolerance counts as none."""


class ContinuousSolution(NamedTuple):
    """A mixed equilibrium of a continuous game, up to a gap."""

    profile: Profile
    """Finitely many strategies of each player with their probabilities, in double precision."""
    value: float
    """The payoff of the profile; the value of the game lies within the true gap of it."""
    gap: float
    """A lower bound of the profile's Nikaido-Isoda gap: what the search for better replies found."""


def double_oracle(payoff: Tensor) -> MatrixSolution:
    r"""An exact equilibrium of a large matrix game by solving small ones.

    Starts from one row and one column; in each round the restricted game is solved by linear programming and the
    pure best responses of the whole game are added, until they bring nothing. The supports of the result are small
    where few strategies matter.

    Args:
        payoff: A [K, L]; the row player pays it.

    Returns:
        Probabilities of full length, zero off the strategies that were added.

    Raises:
        InvalidInputError: when the payoff is not a finite matrix.

    References:
        McMahan, Gordon, Blum, 2003, Planning in the presence of cost functions controlled by an adversary, ICML.
    """
    require(payoff.dim() == 2, f"The payoff of a matrix game needs two axes, found shape {tuple(payoff.shape)}.")
    require(payoff.numel() > 0, f"A matrix game needs a row and a column at least, found {tuple(payoff.shape)}.")
    matrix = payoff.detach().to(device="cpu", dtype=torch.float64)
    rows, columns = [0], [0]
    while True:
        row, column = torch.zeros(len(matrix)).double(), torch.zeros(matrix.shape[1]).double()
        small = solve_matrix_game(matrix[rows][:, columns])
        row[rows], column[columns] = small.row, small.column
        reply, answer = int((matrix @ column).argmin()), int((row @ matrix).argmax())
        if reply in rows and answer in columns:
            return MatrixSolution(small.value, row, column, matrix_gap(matrix, row, column))
        rows += [reply] * (reply not in rows)
        columns += [answer] * (answer not in columns)


def solve_by_double_oracle(
    game: AbstractVectorGame,
    tolerance: float = 1e-6,
    max_rounds: int = 100,
    rng: torch.Generator | None = None,
    effort: Effort | None = None,
) -> ContinuousSolution:
    """An equilibrium of a continuous game with bounded domains.

    Every round solves the finite game between all strategies so far exactly, and adds each player's few best local
    replies, found by the search of `nikaido_isoda`. Solutions with few atoms are then sharpened by Newton's method
    on the conditions that weights and positions fulfil together (`polish`), which is kept where it lowers the gap.
    Ends at `tolerance`, after `max_rounds`, or when the replies are known already, whichever is first: read `gap`.

    Args:
        game: zero-sum, with bounded domains and a continuous payoff.
        tolerance: the gap to reach, positive; in the units of the payoff.
        max_rounds: at least 1.
        rng: of the draws of the search; needed in more than two dimensions.
        effort: of the searches; the defaults of `Effort` if omitted.

    Raises:
        InvalidInputError: when a domain is unbounded, the game is not zero-sum or an argument is out of range.
        NonFiniteError: when a payoff is not finite.

    References:
        Adam, Horcik, Kasl, Kroupa, 2021, Double oracle algorithm for computing equilibria in continuous games, AAAI.
    """
    effort = Effort() if effort is None else effort
    require_searchable(game, effort, rng)
    require(tolerance > 0, f"The tolerance of double oracle must be positive, found {tolerance}.")
    require(max_rounds >= 1, f"Double oracle needs at least one round, found {max_rounds}.")
    rng = torch.Generator() if rng is None else rng
    x = game.minimiser.project(torch.zeros(1, game.minimiser.dim).double())
    y = game.maximiser.project(torch.zeros(1, game.maximiser.dim).double())
    best: ContinuousSolution | None = None
    for _ in range(max_rounds):
        small = solve_matrix_game(payoff_table(game, x, y).detach())
        low = minimise(minimiser_loss(game, y, small.column), game.minimiser, effort, rng, x[small.row > _UNUSED])
        high = minimise(maximiser_loss(game, x, small.row), game.maximiser, effort, rng, y[small.column > _UNUSED])
        gap = float(-high.values[0] - low.values[0])
        if best is None or gap < best.gap:
            best = ContinuousSolution(_profile(x, small.row, y, small.column), small.value, gap)
            best = _sharper(game, best, tolerance, effort, rng)
        if best.gap <= tolerance:
            break
        grown = _extend(game.minimiser, x, low), _extend(game.maximiser, y, high)
        if grown[0] is x and grown[1] is y:
            break
        x, y = grown
    assert best is not None
    return best


def _profile(x: Tensor, p: Tensor, y: Tensor, q: Tensor) -> Profile:
    def used(points: Tensor, mass: Tensor) -> Population:
        return make_population({VECTOR: points[mass > _UNUSED]}, mass[mass > _UNUSED].log())

    return Profile(used(x, p), used(y, q))


def _extend(domain: AbstractDomain, points: Tensor, replies: Minima) -> Tensor:
    """The strategies with the best replies that are new; the same tensor if there are none."""
    new = 0
    for reply in replies.points:
        apart = difference(domain, reply, points).norm(dim=-1).min()
        if float(apart) > _SAME:
            points = torch.cat([points, reply.unsqueeze(0)])
            new += 1
        if new == _ANSWERS:
            break
    return points


def _sharper(
    game: AbstractVectorGame, solution: ContinuousSolution, tolerance: float, effort: Effort, rng: torch.Generator
) -> ContinuousSolution:
    """The solution with its clusters of atoms merged and sharpened, if that lowers the gap or costs next to none."""
    tried = set()
    for radius in (1e-1, 1e-2, 1e-3):
        merged = _merged(game, solution.profile, radius)
        counts = size(merged.generators), size(merged.critics)
        if counts in tried:
            continue
        tried.add(counts)
        sharp = polish(game, merged)
        if sharp is not None:
            sharp = _merged(game, sharp, _SAME)  # atoms may have met
            seen = nikaido_isoda(game, sharp, effort.per_axis, effort.starts, effort.refinements, rng)
            simpler = _atoms(sharp) < _atoms(solution.profile) and seen.gap <= _NEGLIGIBLE * tolerance
            if seen.gap < solution.gap or simpler:
                return ContinuousSolution(sharp, seen.value, seen.gap)
    return solution


def _atoms(profile: Profile) -> int:
    return sum(size(one) for one in profile)


def _merged(game: AbstractVectorGame, profile: Profile, radius: float) -> Profile:
    """The profile with atoms within `radius` of each other merged."""
    generators, critics = (
        prune(merge(population, radius, partial(difference, domain)), _UNUSED)
        for population, domain in zip(profile, (game.minimiser, game.maximiser), strict=True)
    )
    return Profile(generators, critics)
