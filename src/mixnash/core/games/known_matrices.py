"""Finite games whose value and optimal strategies are known."""

from typing import NamedTuple

import torch
from torch import Tensor

from mixnash.core.games.matrices import (
    biased_rock_paper_scissors,
    colonel_blotto,
    matching_pennies,
    nemirovski,
    regret_matching_hard,
    rock_paper_scissors,
    rock_paper_scissors_lizard_spock,
    slow_last_iterate,
)
from mixnash.core.games.matrix import Matrix
from mixnash.core.games.recorded_normals import NUMPY_NORMALS


class KnownMatrix(NamedTuple):
    """A finite game with its answer."""

    name: str
    """As in the reports."""
    game: Matrix
    """The row player minimises."""
    value: float
    row: Tensor | None
    """The row player's optimal strategy, unique where given."""
    column: Tensor | None
    """An optimal strategy of the column player, unique where the row player's is given."""


def _strategy(*weights: float) -> Tensor:
    strategy = torch.tensor(weights, dtype=torch.float64)
    return strategy / strategy.sum()


def _symmetric(name: str, game: Matrix, *weights: float) -> KnownMatrix:
    return KnownMatrix(name, game, 0.0, _strategy(*weights), _strategy(*weights))


def _slow(delta: float) -> KnownMatrix:
    return KnownMatrix(
        f"slow_last_iterate_delta_{delta}",
        slow_last_iterate(delta),
        (1 + 2 * delta) / (2 * (1 + delta)),
        _strategy(1.0, delta),
        _strategy(1.0, 1 + 2 * delta),
    )


def _ends(size: int) -> Tensor:
    ends = torch.zeros(size, dtype=torch.float64)
    ends[0] = ends[-1] = 0.5
    return ends


def _gaussian() -> KnownMatrix:
    """The first 25 recorded draws of seed 0; only rows 2 and 3 and columns 1 and 3 (from 0) are played."""
    game = Matrix(torch.tensor(NUMPY_NORMALS[0][:25], dtype=torch.float64).reshape(5, 5).tolist())
    (a, b), (c, d) = game.matrix[2:4][:, [1, 3]].tolist()
    total = a - b - c + d  # the mixed equilibrium of a 2 x 2 game
    row, column = (d - c) / total, (d - b) / total
    return KnownMatrix(
        "gauss_5x5_seed0",
        game,
        (a * d - b * c) / total,
        _strategy(0.0, 0.0, row, 1 - row, 0.0),
        _strategy(0.0, column, 0.0, 1 - column, 0.0),
    )


KNOWN_MATRICES: tuple[KnownMatrix, ...] = (
    _symmetric("matching_pennies", matching_pennies(), 1.0, 1.0),
    _symmetric("rock_paper_scissors", rock_paper_scissors(), 1.0, 1.0, 1.0),
    _symmetric("biased_rps", biased_rock_paper_scissors(), 1.0, 10.0, 5.0),
    _symmetric("rpsls", rock_paper_scissors_lizard_spock(), 1.0, 1.0, 1.0, 1.0, 1.0),
    KnownMatrix(
        "regret_matching_hard", regret_matching_hard(), 1 / 4, _strategy(1.0, 1.0, 10.0), _strategy(4.0, 5.0, 3.0)
    ),
    _slow(0.1),
    _slow(0.01),
    KnownMatrix("nemirovski2_n50", nemirovski(50), 51 / 198, None, _ends(50)),
    _gaussian(),
    KnownMatrix("colonel_blotto_5_3fields", colonel_blotto(5, 5, 3), 0.0, None, None),
    KnownMatrix("colonel_blotto_6_3fields", colonel_blotto(6, 6, 3), 0.0, None, None),
    KnownMatrix("colonel_blotto_5_against_6", colonel_blotto(5, 6, 3), 4 / 9, None, None),
)
"""Every finite game with a known answer."""
