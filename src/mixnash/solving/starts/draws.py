"""Random particles."""

from typing import final

import torch

from mixnash.core.errors import require
from mixnash.core.games.vectors import AbstractVectorGame
from mixnash.core.types import Player, Profile
from mixnash.solving.starts.base import AbstractStart, particles


@final
class UniformDraws(AbstractStart):
    """Particles of equal weight drawn uniformly from the domains, which must be bounded; the problem's seed decides.

    Args:
        minimiser: number of particles of x, at least 1.
        maximiser: number of particles of y, at least 1.

    Raises:
        InvalidInputError: when a number is below 1.
    """

    def __init__(self, minimiser: int, maximiser: int) -> None:
        fewest = min(minimiser, maximiser)
        require(fewest >= 1, f"Each player needs at least 1 particle, found {fewest}.")
        self._counts = minimiser, maximiser

    def profile(self, game: AbstractVectorGame, rng: torch.Generator) -> Profile:
        """Fresh draws, those of x first."""
        x, y = game.minimiser.sample(self._counts[0], rng), game.maximiser.sample(self._counts[1], rng)
        return Profile(particles(game, Player.GENERATOR, x), particles(game, Player.CRITIC, y))
