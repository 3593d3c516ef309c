"""Weights against answering critics: known minima, the finite game's bound, and entropic projections."""

import pytest
import torch

from mixnash.core.errors import InvalidInputError
from mixnash.equilibrium.linear_program import solve_matrix_game
from mixnash.equilibrium.reweight import nearest_below, reweight
from problems import DOUBLE, normal

RIGHT = torch.tensor([0.4, 0.05, 0.2, 0.25, 0.1], dtype=DOUBLE)
UNIFORM = torch.full((5,), 0.2, dtype=DOUBLE)


def bounded_critics(weights):
    """The best critic with values in [-1, 1] per mode, generator k being mode k: it wins the distance |right - p|_1."""
    scores = (RIGHT - weights).sign()
    return (RIGHT @ scores - scores).unsqueeze(1)


def nothing_known(count):
    return torch.zeros(count, 0, dtype=DOUBLE)


def test_the_right_weights_are_found_though_they_are_unequal():
    found = reweight(nothing_known(5), UNIFORM, bounded_critics, rounds=200, tolerance=1e-3)
    assert found.rounds < 200
    torch.testing.assert_close(found.weights, RIGHT, rtol=0, atol=2e-3)
    assert found.worst_before == pytest.approx(float((RIGHT - UNIFORM).abs().sum()))
    assert found.bound <= 1e-12
    assert found.worst - found.bound <= 1e-3


def test_worst_payoffs_are_those_of_the_critics_found():
    found = reweight(nothing_known(5), UNIFORM, bounded_critics, rounds=4, tolerance=0.0)
    assert found.payoff.shape == (5, 4)
    assert found.worst == pytest.approx(float((found.weights @ found.payoff).max()))
    assert found.bound == pytest.approx(solve_matrix_game(found.payoff).value)
    assert found.worst_before == pytest.approx(float((UNIFORM @ found.payoff).max()))


def test_few_rounds_keep_every_generator_where_the_finite_game_drops_some():
    found = reweight(nothing_known(5), UNIFORM, bounded_critics, rounds=3, tolerance=0.0)
    assert int((solve_matrix_game(found.payoff).row > 0).sum()) <= 3
    assert float(found.weights.min()) > 0.01
    assert found.worst < found.worst_before


def test_a_finite_game_with_a_known_answer_is_solved():
    # Rows (1, 0) and (0, 3): p = (3/4, 1/4), value 3/4.
    matrix = torch.tensor([[1.0, 0.0], [0.0, 3.0]], dtype=DOUBLE)

    def best_column(weights):
        return matrix[:, int((weights @ matrix).argmax())].unsqueeze(1)

    found = reweight(nothing_known(2), torch.tensor([0.2, 0.8], dtype=DOUBLE), best_column, 100, 1e-6)
    assert found.weights.tolist() == pytest.approx([0.75, 0.25], abs=1e-5)
    assert found.worst == pytest.approx(0.75, abs=1e-5)


def test_weights_that_nothing_beats_stay():
    found = reweight(nothing_known(5), RIGHT, bounded_critics, rounds=5, tolerance=1e-9)
    assert found.rounds == 1
    torch.testing.assert_close(found.weights, RIGHT)


def test_projection_on_one_constraint_is_the_tilted_centre():
    # Centre (1/2, 1/2), payoffs (0, 1), at most 1/4: p = (3/4, 1/4); a constraint that holds already changes nothing.
    centre, payoff = torch.tensor([0.5, 0.5], dtype=DOUBLE), torch.tensor([[0.0], [1.0]], dtype=DOUBLE)
    assert nearest_below(payoff, centre, 0.25).tolist() == pytest.approx([0.75, 0.25], abs=1e-6)
    assert nearest_below(payoff, centre, 0.6).tolist() == pytest.approx([0.5, 0.5], abs=1e-9)


def test_projection_is_nearer_than_other_weights_that_satisfy_the_constraints():
    payoff, centre = normal(4, 3), torch.softmax(normal(4, key=1), 0)
    game = solve_matrix_game(payoff)
    aim = game.value + 0.3
    got = nearest_below(payoff, centre, aim)
    assert float((got @ payoff).max()) <= aim + 1e-6

    def distance(one):
        return float((one * (one / centre).log()).sum())

    for share in (0.01, 0.1, 0.5):  # towards a point inside the set, so still inside
        moved = (1 - share) * got + share * game.row.clamp_min(1e-9)
        assert distance(moved) > distance(got) - 1e-9


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rounds": 0}, "at least 1 round, found 0"),
        ({"level": 1.0}, "level must lie between 0 and 1, found 1.0"),
        ({"tolerance": -0.1}, "tolerance must be at least 0, found -0.1"),
    ],
)
def test_impossible_arguments_are_refused(changes, message):
    arguments = {"start": UNIFORM, "rounds": 3, "tolerance": 0.1} | changes
    with pytest.raises(InvalidInputError, match=message):
        reweight(nothing_known(5), respond=bounded_critics, **arguments)


def test_one_generator_has_no_weights_to_solve_for():
    with pytest.raises(InvalidInputError, match="at least 2 generators, found 1"):
        reweight(nothing_known(1), torch.ones(1, dtype=DOUBLE), bounded_critics, 3, 0.1)
