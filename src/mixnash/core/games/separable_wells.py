"""A recipe for games with any number of wells in any dimension, and an exactly known mixed equilibrium."""

import functools
from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from mixnash.core.domains import AbstractDomain, Euclidean
from mixnash.core.errors import require
from mixnash.core.games.vectors import VECTOR, AbstractVectorGame, fitting
from mixnash.core.population import make_population
from mixnash.core.types import Profile


@final
class SeparableWells(AbstractVectorGame):
    r""":math:`\Phi(x, y) = \langle x - a, M (y - b) \rangle + \prod_i \|x - c_i\|^2 - \prod_j \|y - e_j\|^2`.

    x minimises, y maximises. With :math:`a = \sum_i p_i c_i` and :math:`b = \sum_j q_j e_j` the value is 0 and
    playing the wells c with probabilities p and e with q is an equilibrium: the mean of either player makes the
    coupling vanish, and the products are least in the wells. It is unique if M is invertible and the wells of each
    player are affinely independent (at most one more than coordinates).

    Args:
        matrix: M, one row per coordinate of x, one column per coordinate of y.
        minimiser_wells: c, one point per row.
        minimiser_weights: p, positive, normalised here.
        maximiser_wells: e, one point per row.
        maximiser_weights: q, positive, normalised here.
        minimiser_domain: where x lives, containing c; the whole space if omitted.
        maximiser_domain: where y lives, containing e; the whole space if omitted.

    Raises:
        InvalidInputError: when shapes do not fit, a number is not finite, a weight is not positive, or a well lies
            outside its domain.
    """

    def __init__(
        self,
        matrix: Sequence[Sequence[float]],
        minimiser_wells: Sequence[Sequence[float]],
        minimiser_weights: Sequence[float],
        maximiser_wells: Sequence[Sequence[float]],
        maximiser_weights: Sequence[float],
        minimiser_domain: AbstractDomain | None = None,
        maximiser_domain: AbstractDomain | None = None,
    ) -> None:
        self._matrix = _table(matrix, "matrix")
        self._c, self._a, self._p = _wells(minimiser_wells, minimiser_weights, "minimiser", self._matrix.shape[0])
        self._e, self._b, self._q = _wells(maximiser_wells, maximiser_weights, "maximiser", self._matrix.shape[1])
        super().__init__(
            fitting(minimiser_domain, Euclidean(self._matrix.shape[0]), "minimiser"),
            fitting(maximiser_domain, Euclidean(self._matrix.shape[1]), "maximiser"),
        )
        for name, domain, wells in (("minimiser", self.minimiser, self._c), ("maximiser", self.maximiser, self._e)):
            require(bool(domain.contains(wells).all()), f"A well of the {name} lies outside its domain.")

    @property
    def equilibrium(self) -> Profile:
        """The wells with their probabilities."""
        return Profile(
            make_population({VECTOR: self._c}, self._p.log()), make_population({VECTOR: self._e}, self._q.log())
        )

    def payoff(self, x: Tensor, y: Tensor) -> Tensor:
        """Phi of the class docstring."""
        coupling = (((x - self._a.to(x)) @ self._matrix.to(x)) * (y - self._b.to(y))).sum(-1)
        return coupling + _product(x, self._c) - _product(y, self._e)


def _product(points: Tensor, wells: Tensor) -> Tensor:
    distances = (points.unsqueeze(-2) - wells.to(points)).square().sum(-1)
    # Not torch.prod, whose derivative takes a slow path where a factor is 0: in the wells.
    return functools.reduce(torch.mul, distances.unbind(-1))


def _table(rows: Sequence[Sequence[float]], name: str) -> Tensor:
    columns = len(rows[0]) if rows else 0
    require(
        columns > 0 and all(len(row) == columns for row in rows),
        f"The {name} of a game of wells needs rows of one positive length.",
    )
    table = torch.tensor(rows, dtype=torch.float64)
    require(bool(torch.isfinite(table).all()), f"The {name} of a game of wells must be finite.")
    return table


def _wells(
    points: Sequence[Sequence[float]], weights: Sequence[float], player: str, dim: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Wells [n, dim], their mean [dim] and their probabilities [n]."""
    table, p = _table(points, f"{player}'s table of wells"), torch.tensor(weights, dtype=torch.float64)
    require(
        table.shape[1] == dim,
        f"The wells of the {player} need {dim} coordinates as the matrix, found {table.shape[1]}.",
    )
    require(
        p.shape == (len(table),), f"The {player} needs one weight per well: {len(table)} wells, {len(p)} weights found."
    )
    require(bool((p > 0).all() and torch.isfinite(p).all()), f"The weights of the {player}'s wells must be positive.")
    p = p / p.sum()
    return table, p @ table, p
