"""Finite games by linear programming: known values, certified gaps, hard payoffs, refusals."""

import numpy as np
import pytest
import torch

from mixnash.core.errors import InvalidInputError, NonFiniteError
from mixnash.equilibrium import linear_program
from mixnash.equilibrium.double_oracle import double_oracle
from mixnash.equilibrium.linear_program import LinearProgram, matrix_gap, solve_matrix_game
from problems import DOUBLE, MATRIX_GAMES, normal

SOLVERS = {"linear program": solve_matrix_game, "double oracle": double_oracle}


def tensor(rows):
    return torch.tensor(rows, dtype=DOUBLE)


def gaussian(rows, columns, seed):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((rows, columns)))


def blotto(mine, yours):
    """Payoff to the column player, who has `yours` soldiers, on three fields: the sum of signs."""

    def plans(soldiers):
        return tensor([[a, b, soldiers - a - b] for a in range(soldiers + 1) for b in range(soldiers + 1 - a)])

    return (plans(yours).unsqueeze(0) - plans(mine).unsqueeze(1)).sign().sum(-1)


RPSLS = [[0, 1, -1, -1, 1], [-1, 0, 1, 1, -1], [1, -1, 0, -1, 1], [1, -1, 1, 0, -1], [-1, 1, -1, 1, 0]]
DISTANCES = (torch.arange(50.0, dtype=DOUBLE).unsqueeze(1) - torch.arange(50.0, dtype=DOUBLE)).abs()

KNOWN = {
    **{name: (tensor(game.payoff), game.value) for name, game in MATRIX_GAMES.items()},
    "rock-paper-scissors": (tensor([[0.0, 1.0, -1.0], [-1.0, 0.0, 1.0], [1.0, -1.0, 0.0]]), 0.0),
    "rock-paper-scissors-lizard-spock": (tensor(RPSLS), 0.0),
    "slow last iterate, delta 0.01": (tensor([[0.51, 0.5], [0.0, 1.0]]), 1.02 / 2.02),
    # (|i - j| + 1) / (2 n - 1), from Nemirovski's second family.
    "nemirovski": ((DISTANCES + 1) / 99, 51 / 198),
    "colonel blotto 5": (blotto(5, 5), 0.0),
    "colonel blotto 6": (blotto(6, 6), 0.0),
    "gaussian 5": (gaussian(5, 5, 0), -0.0839372468941),
    "gaussian 100": (gaussian(100, 100, 2), 0.01312384929323),
}


@pytest.mark.parametrize("solve", SOLVERS.values(), ids=SOLVERS.keys())
@pytest.mark.parametrize("name", KNOWN)
def test_values_of_known_games_are_met_to_1e_9_with_a_certified_gap(name, solve):
    payoff, value = KNOWN[name]
    found = solve(payoff)
    assert found.value == pytest.approx(value, abs=1e-9)
    assert found.gap == matrix_gap(payoff, found.row, found.column)
    assert -1e-12 <= found.gap <= 1e-9
    for strategy, size in zip((found.row, found.column), payoff.shape, strict=True):
        assert strategy.shape == (size,)
        assert strategy.dtype == DOUBLE
        assert bool((strategy >= 0).all())
        assert float(strategy.sum()) == pytest.approx(1, abs=1e-14)


@pytest.mark.parametrize("name", MATRIX_GAMES)
def test_unique_strategies_are_found(name):
    game = MATRIX_GAMES[name]
    found = solve_matrix_game(tensor(game.payoff))
    torch.testing.assert_close(found.row, tensor(game.row), rtol=0, atol=1e-12)
    torch.testing.assert_close(found.column, tensor(game.column), rtol=0, atol=1e-12)


def test_the_row_player_minimises():
    found = solve_matrix_game(tensor([[3.0, 2.0], [5.0, 4.0]]))
    assert (found.value, found.row.tolist(), found.column.tolist()) == (3.0, [1.0, 0.0], [1.0, 0.0])


@pytest.mark.parametrize(("scale", "shift"), [(1e-12, 0.0), (1e9, -7e8), (1e300, 0.0), (2.0, 1e6)])
def test_scaled_and_shifted_payoffs_keep_their_strategies(scale, shift):
    game = MATRIX_GAMES["asymmetric pennies"]
    found = solve_matrix_game(scale * tensor(game.payoff) + shift)
    torch.testing.assert_close(found.row, tensor(game.row), rtol=0, atol=1e-9)
    assert (found.value - shift) / scale == pytest.approx(game.value, abs=1e-9)


def test_near_copies_of_rows_and_columns_do_not_hurt():
    base = gaussian(6, 7, 1)
    rows = torch.cat([base, base + 1e-9 * normal(6, 7), base])
    payoff = torch.cat([rows, rows + 1e-10 * normal(18, 7, key=1), rows], dim=1)
    found = solve_matrix_game(payoff)
    assert found.gap <= 1e-9
    assert found.value == pytest.approx(solve_matrix_game(base).value, abs=1e-8)


@pytest.mark.parametrize("value", [0.0, -3.25])
def test_a_constant_payoff_has_its_value(value):
    found = solve_matrix_game(torch.full((2, 3), value, dtype=DOUBLE))
    assert (found.value, found.gap) == (pytest.approx(value), pytest.approx(0))


def test_single_rows_and_columns_are_games():
    assert solve_matrix_game(tensor([[1.0, 4.0, 2.0]])).value == 4
    assert solve_matrix_game(tensor([[1.0], [4.0], [-2.0]])).value == -2


def test_the_interior_point_method_steps_in_where_the_simplex_method_fails(monkeypatch):
    original = linear_program.linprog
    methods = []

    def flaky(*arguments, method, **options):
        methods.append(method)
        result = original(*arguments, method=method, **options)
        if method == "highs-ds":
            result.x = None
        return result

    monkeypatch.setattr(linear_program, "linprog", flaky)
    base = gaussian(5, 5, 0)
    found = solve_matrix_game(torch.cat([base, base + 1e-9]))
    assert methods == ["highs-ds", "highs-ds", "highs-ipm"]
    assert found.value == pytest.approx(-0.0839372468941, abs=1e-8)
    assert found.row.shape == (10,)


def test_a_game_that_no_method_solves_is_reported(monkeypatch):
    monkeypatch.setattr(linear_program, "_solve", lambda matrix, method: None)
    with pytest.raises(NonFiniteError, match="5 x 5 game could not be solved"):
        solve_matrix_game(gaussian(5, 5, 0))


def test_the_gap_of_given_strategies_is_exact():
    payoff, row, column = tensor([[1.0, -1.0], [-2.0, 3.0]]), tensor([0.25, 0.75]), tensor([0.5, 0.5])
    # p'A = (-5/4, 2), Aq = (0, 1/2).
    assert matrix_gap(payoff, row, column) == 2.0


def test_the_solver_of_dynamics_answers_in_the_payoffs_type():
    row, column = LinearProgram().solve(torch.tensor(MATRIX_GAMES["asymmetric pennies"].payoff))
    assert (row.dtype, column.dtype) == (torch.float32, torch.float32)
    torch.testing.assert_close(row, torch.tensor([0.6, 0.4]))
    torch.testing.assert_close(column, torch.tensor([0.4, 0.6]))


def test_double_oracle_uses_few_strategies_of_a_large_game():
    grid = torch.linspace(-1, 1, 301, dtype=DOUBLE)
    payoff = (grid.unsqueeze(1) - grid).square()
    found = double_oracle(payoff)
    assert found.value == pytest.approx(1.0, abs=1e-12)
    assert int((found.row > 0).sum()) == 1
    assert int((found.column > 0).sum()) == 2


@pytest.mark.parametrize("solve", SOLVERS.values(), ids=SOLVERS.keys())
@pytest.mark.parametrize(
    ("payoff", "message"),
    [
        (torch.zeros(3, dtype=DOUBLE), r"needs two axes, found shape \(3,\)"),
        (torch.zeros(3, 0, dtype=DOUBLE), r"a row and a column at least, found \(3, 0\)"),
        (torch.tensor([[1.0, torch.nan]]), "must be finite.*infeasible or unbounded"),
        (torch.tensor([[torch.inf, 1.0], [2.0, 3.0]]), "must be finite"),
    ],
)
def test_what_is_no_finite_matrix_is_refused(payoff, message, solve):
    with pytest.raises(InvalidInputError, match=message):
        solve(payoff)
