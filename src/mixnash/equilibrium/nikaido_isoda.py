r"""The Nikaido-Isoda gap of mixed strategies in a continuous game: what the best deviations gain together.

.. math:: \mathrm{NI}(\mu, \nu) = \max_y \int \Phi(x, y) \, d\mu(x) - \min_x \int \Phi(x, y) \, d\nu(y),

zero exactly at the equilibria. Searching for the two deviations bounds it from below.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from mixnash.core.errors import InvalidInputError, require
from mixnash.core.games.vectors import VECTOR, AbstractVectorGame
from mixnash.core.population import weights
from mixnash.core.types import Population, Profile
from mixnash.equilibrium.search import Effort, Loss, minimise, require_positive

_PAIRS = 1 << 18
"""Payoffs evaluated at a time."""


class NikaidoIsoda(NamedTuple):
    """The best deviations found from a profile, in double precision."""

    gap: float
    """highest - lowest: a lower bound of the Nikaido-Isoda gap, at least 0 up to rounding."""
    value: float
    """The payoff of the profile."""
    lowest: float
    """The least payoff found of a pure strategy against nu: an upper bound of min_x."""
    highest: float
    """The largest payoff found of a pure strategy against mu: a lower bound of max_y."""
    best_minimiser: Tensor
    """Where `lowest` is attained [dim of x]."""
    best_maximiser: Tensor
    """Where `highest` is attained [dim of y]."""


def atoms(population: Population) -> tuple[Tensor, Tensor]:
    """Positions [K, dim] and probabilities [K] in double precision."""
    points, mass = population.params[VECTOR], weights(population)
    require(
        points.dim() == 2,
        f"A mixed strategy to be examined needs positions [particles, axes], found shape {tuple(points.shape)}: "
        "take the games of a batch one by one.",
    )
    return points.detach().double().cpu(), mass.detach().double().cpu()


def payoff_table(game: AbstractVectorGame, x: Tensor, y: Tensor) -> Tensor:
    """Phi [n, m] at all pairs of points x [n, dim] and y [m, dim].

    Raises:
        InvalidInputError: when the game's payoff has the wrong shape.
    """
    rows = max(1, _PAIRS // len(y))
    return torch.cat([_pairs(game, one, y) for one in torch.split(x, rows)])


def _pairs(game: AbstractVectorGame, x: Tensor, y: Tensor) -> Tensor:
    table = game.payoff(x.unsqueeze(1), y.unsqueeze(0))
    if table.shape != (len(x), len(y)):
        raise InvalidInputError(
            f"The payoff of {type(game).__name__} must give one number per pair, of shape {(len(x), len(y))}, found "
            f"{tuple(table.shape)}: reduce over the last axis only.",
        )
    return table


def minimiser_loss(game: AbstractVectorGame, y: Tensor, q: Tensor) -> Loss:
    """What a pure strategy of the minimiser pays to the mixture of y [m, dim] with probabilities q [m]."""
    return lambda points: payoff_table(game, points, y) @ q


def maximiser_loss(game: AbstractVectorGame, x: Tensor, p: Tensor) -> Loss:
    """Minus what a pure strategy of the maximiser wins from the mixture of x [n, dim] with probabilities p [n]."""
    rows = max(1, _PAIRS // len(x))
    return lambda points: torch.cat([-(p @ _pairs(game, x, one)) for one in torch.split(points, rows)])


def nikaido_isoda(
    game: AbstractVectorGame,
    profile: Profile,
    per_axis: int = 2001,
    starts: int = 4096,
    refinements: int = 40,
    rng: torch.Generator | None = None,
) -> NikaidoIsoda:
    """A lower bound of the Nikaido-Isoda gap, by global search and local refinement (`search`).

    On an interval or a circle with smooth payoffs it is exact to rounding as soon as the grid resolves the wells; on
    simplices it is exact for payoffs linear in each player's point. Besides the candidates, every particle of the
    profile is refined, so the bound is never below the best move of a particle.

    Args:
        game: zero-sum, with bounded domains.
        profile: the mixed strategies: positions [K, dim of x] and [L, dim of y].
        per_axis: grid points of one-dimensional domains.
        starts: candidates in two dimensions (a grid) and more (uniform draws).
        refinements: most steps of the local refinement.
        rng: of the draws; needed in more than two dimensions.

    Raises:
        InvalidInputError: when a domain is unbounded, the game is not zero-sum, a draw is needed without a generator,
            or the payoff has the wrong shape.
        NonFiniteError: when a payoff is not finite.

    References:
        Nikaido, Isoda, 1955, Note on non-cooperative convex games, Pacific Journal of Mathematics 5.
    """
    effort = Effort(per_axis, starts, refinements)
    require_searchable(game, effort, rng)
    rng = torch.Generator() if rng is None else rng
    (x, p), (y, q) = (atoms(one) for one in profile)
    low = minimise(minimiser_loss(game, y, q), game.minimiser, effort, rng, x)
    high = minimise(maximiser_loss(game, x, p), game.maximiser, effort, rng, y)
    lowest, highest = float(low.values[0]), -float(high.values[0])
    value = float(p @ payoff_table(game, x, y).detach() @ q)
    return NikaidoIsoda(highest - lowest, value, lowest, highest, low.points[0], high.points[0])


def require_searchable(game: AbstractVectorGame, effort: Effort, rng: torch.Generator | None) -> None:
    """Raise `InvalidInputError` unless best responses in the game can be searched for."""
    require_positive(effort)
    require(
        game.zero_sum,
        f"{type(game).__name__} is not zero-sum: its payoff alone does not tell what the players gain by deviating.",
    )
    require(
        rng is not None or max(game.minimiser.dim, game.maximiser.dim) <= 2,
        "A search in more than two dimensions draws candidates: give it a generator of random numbers.",
    )
