"""Finite zero-sum games: the players choose a row and a column of a matrix."""

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from mixnash.core.domains import Simplex
from mixnash.core.errors import require
from mixnash.core.games.vectors import VECTOR, AbstractVectorGame
from mixnash.core.population import make_population
from mixnash.core.types import Player, Population


@final
class Matrix(AbstractVectorGame):
    r""":math:`\Phi(x, y) = x^\top A y` on two simplices, played with `vectors.VECTOR_NETWORKS`.

    A mixed strategy is either one vector of the simplex, or, as everywhere else in the project, a weighted
    population of pure strategies (`pure_strategies`); then only weights are to move.

    Args:
        payoff: A, what the row player (the minimiser) pays to the column player (the maximiser).

    Raises:
        InvalidInputError: when the rows have no common positive length.
    """

    def __init__(self, payoff: Sequence[Sequence[float]]) -> None:
        columns = len(payoff[0]) if payoff else 0
        require(
            columns > 0 and all(len(row) == columns for row in payoff),
            "The payoff of a matrix game needs rows of one positive length.",
        )
        self._payoff = torch.tensor(payoff, dtype=torch.float64)
        require(bool(torch.isfinite(self._payoff).all()), "The payoff of a matrix game must be finite.")
        super().__init__(*map(Simplex, self._payoff.shape))

    @property
    def matrix(self) -> Tensor:
        """A in double precision."""
        return self._payoff

    def pure_strategies(self, player: Player, dtype: torch.dtype = torch.float64) -> Population:
        """All pure strategies of a player as one-hot particles of equal weight."""
        count = self._payoff.shape[0 if player is Player.GENERATOR else 1]
        return make_population({VECTOR: torch.eye(count, dtype=dtype)})

    def payoff(self, x: Tensor, y: Tensor) -> Tensor:
        """Phi of the class docstring."""
        return ((x @ self._payoff.to(x)) * y).sum(-1)
