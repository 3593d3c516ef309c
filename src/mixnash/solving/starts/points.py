"""Points written out."""

from collections.abc import Sequence
from typing import final

import torch

from mixnash.core.errors import require
from mixnash.core.games.vectors import AbstractVectorGame
from mixnash.core.types import Player, Population, Profile
from mixnash.solving.starts.base import ROLES, AbstractStart, particles

Vectors = Sequence[Sequence[float]]


@final
class Points(AbstractStart):
    """Given particles; one each for pure strategies.

    Args:
        minimiser: x_1, ..., x_K, each a list of coordinates.
        maximiser: y_1, ..., y_L.
        minimiser_weights: one positive number for each x, normalised; equal if omitted.
        maximiser_weights: one positive number for each y, normalised; equal if omitted.

    Raises:
        InvalidInputError: when a list is empty or ragged, or the numbers of points and weights differ.
    """

    def __init__(
        self,
        minimiser: Vectors,
        maximiser: Vectors,
        minimiser_weights: Sequence[float] | None = None,
        maximiser_weights: Sequence[float] | None = None,
    ) -> None:
        self._points = {Player.GENERATOR: minimiser, Player.CRITIC: maximiser}
        self._weights = {Player.GENERATOR: minimiser_weights, Player.CRITIC: maximiser_weights}
        for player, name in ROLES.items():
            points, weights = self._points[player], self._weights[player]
            require(
                len(points) > 0 and len({len(one) for one in points}) == 1,
                f"The {name} needs at least one point, and all of one length, found {points}.",
            )
            require(
                weights is None or len(weights) == len(points),
                f"The {name} needs one weight per point: found {len(points)} points and {len(weights or [])} weights.",
            )

    def profile(self, game: AbstractVectorGame, rng: torch.Generator) -> Profile:
        """The points, if they lie in the game's domains."""
        del rng
        return Profile(self._player(game, Player.GENERATOR), self._player(game, Player.CRITIC))

    def _player(self, game: AbstractVectorGame, player: Player) -> Population:
        points, weights = self._points[player], self._weights[player]
        given = None if weights is None else torch.tensor(weights, dtype=torch.float64)
        return particles(game, player, torch.tensor(points, dtype=torch.float64), given)
