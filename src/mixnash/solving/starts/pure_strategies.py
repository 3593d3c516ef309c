"""All rows and columns of a matrix."""

from typing import final

import torch

from mixnash.core.errors import require
from mixnash.core.games.matrix import Matrix
from mixnash.core.games.vectors import AbstractVectorGame
from mixnash.core.types import AbstractOracle, Player, Profile
from mixnash.core.vector_oracle import FiniteOracle
from mixnash.solving.starts.base import AbstractStart


@final
class PureStrategies(AbstractStart):
    """All pure strategies of a matrix game with equal weights, of which the weights alone move.

    Every position rule must be `Still`. To start elsewhere, give the points of the simplex to `Points` and let them
    move.
    """

    @property
    def finite(self) -> bool:
        """Yes."""
        return True

    def profile(self, game: AbstractVectorGame, rng: torch.Generator) -> Profile:
        """One-hot particles."""
        del rng
        return Profile(*(_matrix(game).pure_strategies(player) for player in (Player.GENERATOR, Player.CRITIC)))

    def oracle(self, game: AbstractVectorGame, profile: Profile, noise: float, rng: torch.Generator) -> AbstractOracle:
        """The matrix itself."""
        del profile, noise, rng
        return FiniteOracle(_matrix(game).matrix)


def _matrix(game: AbstractVectorGame) -> Matrix:
    require(
        isinstance(game, Matrix),
        f"Pure strategies can be listed for matrix games only, found {type(game).__name__}: start from Points, Grid or "
        "UniformDraws instead.",
    )
    assert isinstance(game, Matrix)
    return game
