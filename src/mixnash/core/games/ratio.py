"""Ratio games: neither convex nor concave, and still solved exactly."""

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from mixnash.core.domains import Simplex
from mixnash.core.errors import require
from mixnash.core.games.vectors import AbstractVectorGame


@final
class Ratio(AbstractVectorGame):
    r""":math:`\Phi(x, y) = \frac{x^\top R y}{x^\top S y}` on two simplices; x minimises, y maximises.

    The value v is the number for which the matrix game :math:`R - v S` has value 0; its optimal strategies are a pure
    equilibrium (x, y) of Phi. Phi is not bilinear: populations of one-hot vectors play another game.

    Args:
        numerator: R.
        denominator: S, of the same shape, positive.

    Raises:
        InvalidInputError: when the shapes differ or are empty, an entry is not finite, or one of S is not positive.
    """

    def __init__(self, numerator: Sequence[Sequence[float]], denominator: Sequence[Sequence[float]]) -> None:
        rows, columns = len(numerator), len(numerator[0]) if numerator else 0
        require(
            columns > 0 and len(denominator) == rows and all(len(row) == columns for row in (*numerator, *denominator)),
            "The two matrices of a ratio game need one shape and rows of one positive length.",
        )
        self._numerator = torch.tensor(numerator, dtype=torch.float64)
        self._denominator = torch.tensor(denominator, dtype=torch.float64)
        require(
            bool(torch.isfinite(self._numerator).all() and torch.isfinite(self._denominator).all()),
            "The two matrices of a ratio game must be finite.",
        )
        require(bool((self._denominator > 0).all()), "The denominator of a ratio game must be positive.")
        super().__init__(Simplex(rows), Simplex(columns))

    @property
    def numerator(self) -> Tensor:
        """R in double precision."""
        return self._numerator

    @property
    def denominator(self) -> Tensor:
        """S in double precision."""
        return self._denominator

    def payoff(self, x: Tensor, y: Tensor) -> Tensor:
        """Phi of the class docstring."""
        return ((x @ self._numerator.to(x)) * y).sum(-1) / ((x @ self._denominator.to(x)) * y).sum(-1)
