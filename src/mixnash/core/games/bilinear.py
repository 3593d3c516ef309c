"""The bilinear game on vectors: the smallest game on which gradient methods cycle."""

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from mixnash.core.domains import AbstractDomain, Euclidean
from mixnash.core.errors import require
from mixnash.core.games.vectors import AbstractVectorGame


@final
class Bilinear(AbstractVectorGame):
    r""":math:`\Phi(x, y) = \langle x - a, M y \rangle - \langle x, M b \rangle`, played with `vectors.VECTOR_NETWORKS`.

    Up to a constant :math:`\langle x - a, M (y - b) \rangle`, so (a, b) is the equilibrium, of value
    :math:`-\langle a, M b \rangle`, unique where M is invertible.

    Args:
        matrix: M, one row per coordinate of x, one column per coordinate of y.
        minimiser: a; zero if omitted.
        maximiser: b; zero if omitted.
        minimiser_domain: where x lives; the whole space if omitted.
        maximiser_domain: where y lives; the whole space if omitted.

    Raises:
        InvalidInputError: when the shapes do not fit or a number is not finite.
    """

    def __init__(
        self,
        matrix: Sequence[Sequence[float]],
        minimiser: Sequence[float] | None = None,
        maximiser: Sequence[float] | None = None,
        minimiser_domain: AbstractDomain | None = None,
        maximiser_domain: AbstractDomain | None = None,
    ) -> None:
        rows, columns = len(matrix), len(matrix[0]) if matrix else 0
        require(
            rows > 0 and columns > 0 and all(len(row) == columns for row in matrix),
            "The matrix of a bilinear game needs rows of one positive length.",
        )
        self._matrix = torch.tensor(matrix, dtype=torch.float64)
        self._minimiser = torch.tensor(minimiser or [0.0] * rows, dtype=torch.float64)
        self._maximiser = torch.tensor(maximiser or [0.0] * columns, dtype=torch.float64)
        require(
            self._minimiser.shape == (rows,) and self._maximiser.shape == (columns,),
            f"The equilibrium of a {rows} x {columns} bilinear game needs vectors of these lengths, found "
            f"{len(self._minimiser)} and {len(self._maximiser)}.",
        )

        require(
            all(bool(torch.isfinite(one).all()) for one in (self._matrix, self._minimiser, self._maximiser)),
            "The matrix and the equilibrium of a bilinear game must be finite.",
        )
        domains = minimiser_domain or Euclidean(rows), maximiser_domain or Euclidean(columns)
        require(
            [one.dim for one in domains] == [rows, columns],
            f"The domains of a {rows} x {columns} bilinear game need {rows} and {columns} axes, found "
            f"{domains[0].dim} and {domains[1].dim}.",
        )
        super().__init__(*domains)

    def payoff(self, x: Tensor, y: Tensor) -> Tensor:
        """Phi of the class docstring."""
        matrix = self._matrix.to(x)
        left = (x - self._minimiser.to(x)) @ matrix
        return (left * y).sum(-1) - x @ (matrix @ self._maximiser.to(x))
