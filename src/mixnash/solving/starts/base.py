"""What a start is."""

import abc

import torch
from torch import Tensor

from mixnash.core.errors import require
from mixnash.core.games.vectors import VECTOR, AbstractVectorGame
from mixnash.core.population import make_population
from mixnash.core.types import AbstractOracle, Player, Population, Profile
from mixnash.core.vector_oracle import VectorOracle

ROLES = {Player.GENERATOR: "minimiser", Player.CRITIC: "maximiser"}
"""What the players of a game on vectors are called."""

LARGEST = 1e100
"""Size of coordinates whose squares and differences are numbers, with room to move."""


class AbstractStart(abc.ABC):
    """The profile that all dynamics of a problem start from, and the oracle that they ask."""

    @abc.abstractmethod
    def profile(self, game: AbstractVectorGame, rng: torch.Generator) -> Profile:
        """Both players' particles and weights, in double precision.

        Raises:
            InvalidInputError: when the game has no such start.
        """

    def oracle(self, game: AbstractVectorGame, profile: Profile, noise: float, rng: torch.Generator) -> AbstractOracle:
        """What answers from `profile` on."""
        del profile
        return VectorOracle(game, noise, rng)

    @property
    def finite(self) -> bool:
        """Whether particles stay where they are and weights alone move."""
        return False


def particles(game: AbstractVectorGame, player: Player, points: Tensor, weights: Tensor | None = None) -> Population:
    """A player's particles [K, dim], if they lie in the domain.

    Raises:
        InvalidInputError: when a point has the wrong length, lies outside, is not finite or beyond `LARGEST`, or a
            weight is not positive.
    """
    domain, name = game.domain(player), ROLES[player]
    found = points.shape[-1]
    require(found == domain.dim, f"Points of the {name} need {domain.dim} coordinates in this game, found {found}.")
    require(bool(torch.isfinite(points).all()), f"The start of the {name} has a coordinate that is not finite.")
    require(float(points.abs().max()) <= LARGEST, f"The start of the {name} has a coordinate beyond {LARGEST:g}.")
    outside = ~domain.contains(points)
    where = points[int(outside.int().argmax())].tolist()
    require(
        not bool(outside.any()),
        f"The start {where} of the {name} lies outside the game's domain ({type(domain).__name__}): move it inside, or "
        "give the game a larger domain.",
    )
    if weights is None:
        return make_population({VECTOR: points})
    require(bool((weights > 0).all()), f"The weights of the {name} must be positive, found {weights.tolist()}.")
    return make_population({VECTOR: points}, weights.log())
