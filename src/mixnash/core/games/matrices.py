"""Well-known finite games; the row player, who minimises, pays the entry to the column player."""

import torch

from mixnash.core.compositions import compositions
from mixnash.core.errors import require
from mixnash.core.games.matrix import Matrix
from mixnash.core.random import stream


def matching_pennies() -> Matrix:
    """Value 0; both mix evenly."""
    return Matrix([[1.0, -1.0], [-1.0, 1.0]])


def rock_paper_scissors() -> Matrix:
    """Value 0; both mix evenly."""
    return Matrix([[0.0, 1.0, -1.0], [-1.0, 0.0, 1.0], [1.0, -1.0, 0.0]])


def biased_rock_paper_scissors() -> Matrix:
    """Value 0; both play (1, 10, 5) / 16."""
    return Matrix([[0.0, 25.0, -50.0], [-25.0, 0.0, 5.0], [50.0, -5.0, 0.0]])


def rock_paper_scissors_lizard_spock() -> Matrix:
    """Value 0; both mix evenly."""
    return Matrix(
        [
            [0.0, 1.0, -1.0, -1.0, 1.0],
            [-1.0, 0.0, 1.0, 1.0, -1.0],
            [1.0, -1.0, 0.0, -1.0, 1.0],
            [1.0, -1.0, 1.0, 0.0, -1.0],
            [-1.0, 1.0, -1.0, 1.0, 0.0],
        ]
    )


def regret_matching_hard() -> Matrix:
    """Value 1/4; the row player plays (1, 1, 10) / 12, the column player (4, 5, 3) / 12. Hard for regret matching."""
    return Matrix([[3.0, 0.0, -3.0], [0.0, 3.0, -4.0], [0.0, 0.0, 1.0]])


def slow_last_iterate(delta: float) -> Matrix:
    r"""A family on which the last iterate of optimistic multiplicative weights is slow.

    With d = delta the value is (1 + 2d) / (2 (1 + d)), for the strategies (1, d) / (1 + d) and
    (1, 1 + 2d) / (2 (1 + d)).

    Args:
        delta: in (0, 1/2).

    Raises:
        InvalidInputError: when delta is outside its range.
    """
    require(0 < delta < 0.5, f"The slow game needs a delta between 0 and 1/2, found {delta}.")
    return Matrix([[0.5 + delta, 0.5], [0.0, 1.0]])


def nemirovski(size: int) -> Matrix:
    r""":math:`A_{ij} = (|i - j| + 1) / (2 n - 1)`: the row player guesses where the column player is.

    The value is (n + 1) / (2 (2 n - 1)), 51/198 for n = 50; the column player plays the two ends equally often.

    Args:
        size: n, at least 2.

    Raises:
        InvalidInputError: when there are fewer than 2 strategies.
    """
    require(size >= 2, f"Nemirovski's game needs at least 2 strategies, found {size}.")
    index = torch.arange(size, dtype=torch.float64)
    distance = (index.unsqueeze(1) - index).abs()
    return Matrix(((distance + 1) / (2 * size - 1)).tolist())


def colonel_blotto(minimiser_soldiers: int, maximiser_soldiers: int, fields: int) -> Matrix:
    """Both send soldiers to fields; the column player wins the fields with more of its own, and loses those with fewer.

    Strategies are all ways to distribute whole soldiers, in lexicographic order. The value is 0 for equal armies; 6
    soldiers against 5 on 3 fields win 4/9.

    Args:
        minimiser_soldiers: of the row player, at least 0.
        maximiser_soldiers: of the column player, at least 0.
        fields: at least 1.

    Raises:
        InvalidInputError: when an army is negative or there is no field.
    """
    require(
        min(minimiser_soldiers, maximiser_soldiers) >= 0 and fields >= 1,
        "Colonel Blotto needs at least one field and armies of at least 0 soldiers, found "
        f"{fields} fields, {minimiser_soldiers} and {maximiser_soldiers} soldiers.",
    )
    rows, columns = (compositions(army, fields) for army in (minimiser_soldiers, maximiser_soldiers))
    return Matrix((columns.unsqueeze(0) - rows.unsqueeze(1)).sign().sum(-1).tolist())


def random_matrix(rows: int, columns: int, seed: int) -> Matrix:
    """Independent standard normal entries, from the project's own stream of random numbers.

    Args:
        rows: at least 1.
        columns: at least 1.
        seed: of the draws.

    Raises:
        InvalidInputError: when a player has no strategy.
    """
    require(min(rows, columns) >= 1, f"Each player needs at least one strategy, found {rows} and {columns}.")
    rng = stream(torch.device("cpu"), seed)
    return Matrix(torch.randn(rows, columns, generator=rng, dtype=torch.float64).tolist())
