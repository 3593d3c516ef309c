r"""Finite zero-sum games solved exactly, by linear programming.

The row player chooses probabilities p and minimises, the column player chooses q and maximises :math:`p^\top A q`.
"""

from collections.abc import Iterator
from typing import NamedTuple, final

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import linprog
from torch import Tensor

from mixnash.core.errors import NonFiniteError, require
from mixnash.core.matrix_solver import AbstractMatrixSolver

_ACCEPTED = 1e-11
"""A gap, relative to the range of the payoff, at which no further attempt is made."""

_NEAR = 1e-7
"""Rows or columns that differ by less, relative to the range of the payoff, make simplex bases singular."""


class MatrixSolution(NamedTuple):
    """An equilibrium of a finite game, in double precision."""

    value: float
    """p'Aq, within `gap` of the value of the game."""
    row: Tensor
    """Probabilities p [K] of the row player, who minimises."""
    column: Tensor
    """Probabilities q [L] of the column player, who maximises."""
    gap: float
    """max_j (p'A)_j - min_i (Aq)_i: what both players together could still gain, exact up to rounding."""


def matrix_gap(payoff: Tensor, row: Tensor, column: Tensor) -> float:
    r"""The Nikaido-Isoda gap :math:`\max_j (p^\top A)_j - \min_i (A q)_i` of two mixed strategies, zero at equilibrium.

    Args:
        payoff: A [K, L].
        row: p [K].
        column: q [L].
    """
    return float((row @ payoff).max() - (payoff @ column).min())


def solve_matrix_game(payoff: Tensor) -> MatrixSolution:
    r"""Optimal strategies of both players and the value.

    .. math:: \min_{p, v} v \quad \text{subject to} \quad A^\top p \le v, \quad p \ge 0, \quad \sum_i p_i = 1,

    whose multipliers are the column player's q. Tried in turn until the gap is at rounding level: the dual simplex
    method, the same without rows and columns that nearly repeat another, the interior-point method with crossover; the
    best of these is returned, so `gap` is to be read where the payoff is extreme. Where optima are not unique, some
    vertex of the optimal set is returned.

    Args:
        payoff: A [K, L], of any type; what the row player pays. Shifted and scaled here.

    Raises:
        InvalidInputError: when the payoff is not a matrix, is empty or has entries that are not finite.
        NonFiniteError: when every method fails for reasons of rounding.
    """
    require(payoff.dim() == 2, f"The payoff of a matrix game needs two axes, found shape {tuple(payoff.shape)}.")
    require(payoff.numel() > 0, f"A matrix game needs a row and a column at least, found {tuple(payoff.shape)}.")
    require(
        bool(torch.isfinite(payoff).all()),
        "The payoff of a matrix game must be finite: an infinite or undefined entry would make its linear program "
        "infeasible or unbounded, which no finite game's is. Replace it by a large number.",
    )
    matrix = payoff.detach().to(device="cpu", dtype=torch.float64)
    largest = max(float(matrix.abs().max()), float(np.finfo(np.float64).tiny))
    unit = matrix / largest  # first, so that the range cannot overflow
    low, high = float(unit.min()), float(unit.max())
    middle, radius = (low + high) / 2, (high - low) / 2
    if radius <= 4 * np.finfo(np.float64).eps:
        rows, columns = matrix.shape
        return _solution(matrix, _uniform(rows), _uniform(columns))
    scaled = (unit - middle) / radius
    row, column = min(_attempts(scaled), key=lambda one: matrix_gap(scaled, *one), default=(None, None))
    if row is None or column is None:
        raise NonFiniteError(
            f"The linear program of a {len(matrix)} x {len(matrix[0])} game could not be solved in double precision, "
            "though it has a solution: its entries span too many orders of magnitude.",
        )
    return _solution(matrix, row, column)


def _uniform(count: int) -> Tensor:
    return torch.full((count,), 1 / count, dtype=torch.float64)


def _solution(matrix: Tensor, row: Tensor, column: Tensor) -> MatrixSolution:
    return MatrixSolution(float(row @ matrix @ column), row, column, matrix_gap(matrix, row, column))


def _attempts(matrix: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Strategies from one method after the other, until one is exact."""
    everything = torch.arange(len(matrix)), torch.arange(matrix.shape[1])
    for method, rows, columns in (
        ("highs-ds", *everything),
        ("highs-ds", _distinct(matrix), _distinct(matrix.T)),
        ("highs-ipm", _distinct(matrix), _distinct(matrix.T)),
    ):
        found = _solve(matrix[rows][:, columns], method)
        if found is not None:
            row, column = torch.zeros(len(matrix)).double(), torch.zeros(matrix.shape[1]).double()
            row[rows], column[columns] = found
            yield row, column
            if matrix_gap(matrix, row, column) <= _ACCEPTED:
                return


def _distinct(matrix: Tensor) -> Tensor:
    """Indices of rows of which no earlier one that was kept is nearly a copy, entries being of size one."""
    kept: list[int] = []
    for index, row in enumerate(matrix):
        if not kept or float((matrix[kept] - row).abs().amax(1).min()) > 2 * _NEAR:
            kept.append(index)
    return torch.tensor(kept)


def _solve(matrix: Tensor, method: str) -> tuple[Tensor, Tensor] | None:
    rows, columns = matrix.shape
    result = linprog(
        np.append(np.zeros(rows), 1.0),
        A_ub=np.hstack([matrix.numpy().T, -np.ones((columns, 1))]),
        b_ub=np.zeros(columns),
        A_eq=np.append(np.ones(rows), 0.0)[None],
        b_eq=np.ones(1),
        bounds=[(0, None)] * rows + [(None, None)],
        method=method,
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    if result.x is None or result.ineqlin.marginals is None:
        return None
    row, column = _probabilities(result.x[:-1]), _probabilities(-result.ineqlin.marginals)
    return None if row is None or column is None else (row, column)


def _probabilities(numbers: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> Tensor | None:
    """Non-negative numbers of sum one, if the numbers are worth it."""
    positive = torch.from_numpy(np.array(numbers, dtype=np.float64)).clamp_min(0)
    total = float(positive.sum())
    return positive / total if 0 < total < np.inf else None


@final
class LinearProgram(AbstractMatrixSolver):
    """`solve_matrix_game` as the exact solver that dynamics call, for example double oracle."""

    def solve(self, payoff: Float[Tensor, "K L"]) -> tuple[Float[Tensor, " K"], Float[Tensor, " L"]]:
        """Optimal probabilities of both players, of the payoff's type and on its device."""
        solution = solve_matrix_game(payoff)
        return solution.row.to(payoff), solution.column.to(payoff)
