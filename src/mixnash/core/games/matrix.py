"""Finite zero-sum games: the players choose a row and a column of a matrix."""

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from mixnash.core.errors import require
from mixnash.core.games.vectors import VECTOR, AbstractVectorGame
from mixnash.core.population import make_population
from mixnash.core.tree import map_params
from mixnash.core.types import Critic, Params, Player, Population


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

    def pure_strategies(self, player: Player, dtype: torch.dtype = torch.float64) -> Population:
        """All pure strategies of a player as one-hot particles of equal weight."""
        count = self._payoff.shape[0 if player is Player.GENERATOR else 1]
        return make_population({VECTOR: torch.eye(count, dtype=dtype)})

    def payoff(self, x: Tensor, critic: Critic) -> Tensor:
        """Phi of the class docstring."""
        return critic(x @ self._payoff.to(x))

    def project(self, player: Player, params: Params) -> Params:
        """The nearest points of the simplex."""
        return map_params(project_simplex, params)


def project_simplex(points: Tensor) -> Tensor:
    """Euclidean projection of the last axis on the probability simplex.

    References:
        Held, Wolfe, Crowder, 1974; as in Duchi et al., 2008, Efficient projections onto the l1-ball, Figure 1.
    """
    points = points - points.amax(-1, keepdim=True)  # same projection, and no cancellation against large entries
    ordered = points.sort(dim=-1, descending=True).values
    ranks = torch.arange(1, points.shape[-1] + 1, device=points.device, dtype=points.dtype)
    thresholds = (ordered.cumsum(-1) - 1) / ranks
    support = (ordered > thresholds).sum(-1, keepdim=True)
    return (points - thresholds.gather(-1, support - 1)).clamp_min(0)
