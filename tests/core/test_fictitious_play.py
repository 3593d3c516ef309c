"""Fictitious play by hand on a game of two rows and three columns, and its convergence on games with known values."""

import pytest
import torch

from mixnash.core.dynamics.alternating import Alternating
from mixnash.core.dynamics.simultaneous import Simultaneous
from mixnash.core.errors import InvalidInputError
from mixnash.core.population import make_population
from mixnash.core.rules.base import PlayerRules
from mixnash.core.rules.fictitious_play import FictitiousPlay, FictitiousPlayState
from mixnash.core.rules.still import Still
from mixnash.core.types import Profile
from mixnash.core.vector_oracle import FiniteOracle
from problems import DOUBLE, MATRIX_GAMES, matrix_gap, run


def finite(*sizes, weights=(None, None)):
    """Particles that stand for the rows and the columns."""
    return Profile(
        *(
            make_population(
                {"index": torch.arange(count, dtype=DOUBLE).unsqueeze(-1)},
                None if one is None else torch.tensor(one, dtype=DOUBLE).log(),
            )
            for count, one in zip(sizes, weights, strict=True)
        )
    )


def play(payoff, steps, kind=Simultaneous, prior=1.0, weights=(None, None)):
    matrix = torch.tensor(payoff, dtype=DOUBLE)
    player = PlayerRules(Still(), FictitiousPlay(prior))
    states, _ = run(kind(player, player), FiniteOracle(matrix), finite(*matrix.shape, weights=weights), steps)
    return matrix, [
        (state.profile.generators.log_weights.exp(), state.profile.critics.log_weights.exp()) for state in states
    ]


GAME = [[3.0, 0.0, 2.0], [1.0, 4.0, 2.6]]


def test_three_rounds_by_hand_with_a_prior_of_two_rounds():
    # p0 = (1/2, 1/2), q0 = (1/4, 1/4, 1/2). Rows pay (1.75, 2.55): row 0. Columns get (2, 2, 2.3): column 2.
    # p1 = (2 p0 + e0) / 3 = (2/3, 1/3), q1 = (1/6, 1/6, 2/3). Rows (1.83, 2.57): row 0. Columns (2.33, 1.33, 2.2): 0.
    # p2 = (3 p1 + e0) / 4 = (3/4, 1/4), q2 = (3/8, 1/8, 1/2). Rows (2.125, 2.175): row 0. Columns (2.5, 1, 2.15): 0.
    # p3 = (4 p2 + e0) / 5 = (4/5, 1/5), q3 = (1/2, 1/10, 2/5).
    _, path = play(GAME, 3, prior=2.0, weights=(None, [0.25, 0.25, 0.5]))
    expected = [
        ([1 / 2, 1 / 2], [1 / 4, 1 / 4, 1 / 2]),
        ([2 / 3, 1 / 3], [1 / 6, 1 / 6, 2 / 3]),
        ([3 / 4, 1 / 4], [3 / 8, 1 / 8, 1 / 2]),
        ([4 / 5, 1 / 5], [1 / 2, 1 / 10, 2 / 5]),
    ]
    for got, (p, q) in zip(path, expected, strict=True):
        assert got[0].tolist() == pytest.approx(p, abs=1e-12)
        assert got[1].tolist() == pytest.approx(q, abs=1e-12)


def test_the_first_of_equal_losses_wins_exactly():
    rule, log_weights = FictitiousPlay(1.0), torch.log(torch.tensor([0.2, 0.3, 0.5], dtype=DOUBLE))
    new, state = rule.update(log_weights, torch.tensor([1.0, 0.5, 0.5], dtype=DOUBLE), FictitiousPlayState(3))
    assert new.exp().tolist() == pytest.approx([0.2 * 4 / 5, (0.3 * 4 + 1) / 5, 0.5 * 4 / 5], abs=1e-15)
    assert state == FictitiousPlayState(4)


def test_alternating_players_answer_the_newest_history():
    matrix, path = play(GAME, 2, kind=Alternating)
    p, q = (torch.full((n,), 1 / n, dtype=DOUBLE) for n in matrix.shape)
    for t in range(2):
        q = ((t + 1) * q + torch.eye(3, dtype=DOUBLE)[(p @ matrix).argmax()]) / (t + 2)
        p = ((t + 1) * p + torch.eye(2, dtype=DOUBLE)[(matrix @ q).argmin()]) / (t + 2)
    torch.testing.assert_close(path[-1], (p, q), rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", ["biased rock-paper-scissors", "slow last iterate"])
def test_histories_converge_to_the_equilibrium(name):
    known = MATRIX_GAMES[name]
    matrix, path = play(known.payoff, 1500)
    range_of_payoff = float(matrix.max() - matrix.min())
    gaps = [matrix_gap(matrix @ q, -(p @ matrix)) / range_of_payoff for p, q in (path[20], path[200], path[1500])]
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[2] < 0.03
    assert path[-1][0].tolist() == pytest.approx(known.row, abs=0.05)


def test_frequencies_of_many_rounds_are_kept_in_single_precision():
    rule, count, state = FictitiousPlay(0.5), [0.5 / 3] * 3, FictitiousPlayState(0)
    log_weights = torch.full((3,), 1 / 3).log()
    for t in range(5_000):
        best = (t * t) % 3 % 2  # never the last; 0 and 1 in the ratio 1 to 2
        losses = torch.ones(3).scatter(0, torch.tensor(best), 0.0)
        log_weights, state = rule.update(log_weights, losses, state)
        count[best] += 1
    assert log_weights.dtype == torch.float32
    assert log_weights.exp().tolist() == pytest.approx([one / 5_000.5 for one in count], rel=2e-4)
    assert bool(torch.isfinite(log_weights).all())


def test_every_game_of_a_batch_counts_for_itself():
    rule, losses = FictitiousPlay(1.5), torch.tensor([[[0.3, 0.1]], [[-1.0, 2.0]]], dtype=DOUBLE)
    log_weights = torch.log(torch.tensor([[[0.3, 0.7]], [[0.6, 0.4]]], dtype=DOUBLE))
    together, _ = rule.update(log_weights, losses, FictitiousPlayState(2))
    for game in range(2):
        alone, _ = rule.update(log_weights[game, 0], losses[game, 0], FictitiousPlayState(2))
        assert torch.equal(together[game, 0], alone)


@pytest.mark.parametrize("prior", [0.0, -1.0, float("inf"), float("nan")])
def test_a_prior_count_that_is_not_positive_and_finite_is_refused(prior):
    with pytest.raises(InvalidInputError, match="prior count of fictitious play must be positive and finite"):
        FictitiousPlay(prior)
