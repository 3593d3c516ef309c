"""Evenly spread particles."""

from typing import final

import torch

from mixnash.core.errors import require
from mixnash.core.games.vectors import AbstractVectorGame
from mixnash.core.types import AbstractOracle, Player, Profile
from mixnash.core.vector_oracle import FiniteOracle, VectorOracle
from mixnash.solving.starts.base import AbstractStart, particles


@final
class Grid(AbstractStart):
    """Particles of equal weight on grids that fill the domains, which must be bounded.

    Args:
        minimiser: points per axis of x's domain, at least 2.
        maximiser: points per axis of y's domain, at least 2.
        still: whether particles stay there and weights alone move: the game is then a matrix, and every position rule
            must be `Still`.

    Raises:
        InvalidInputError: when a number of points is below 2.
    """

    def __init__(self, minimiser: int, maximiser: int, still: bool = False) -> None:
        fewest = min(minimiser, maximiser)
        require(fewest >= 2, f"A grid needs at least 2 points per axis, found {fewest}.")
        self._per_axis, self._still = (minimiser, maximiser), still

    @property
    def finite(self) -> bool:
        """Whether particles stay."""
        return self._still

    def profile(self, game: AbstractVectorGame, rng: torch.Generator) -> Profile:
        """Both grids."""
        del rng
        x, y = game.minimiser.grid(self._per_axis[0]), game.maximiser.grid(self._per_axis[1])
        return Profile(particles(game, Player.GENERATOR, x), particles(game, Player.CRITIC, y))

    def oracle(self, game: AbstractVectorGame, profile: Profile, noise: float, rng: torch.Generator) -> AbstractOracle:
        """The payoff matrix of the grids if particles stay, the game otherwise."""
        if not self._still:
            return VectorOracle(game, noise, rng)
        return FiniteOracle.on(game, profile)
