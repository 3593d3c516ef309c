"""Fourier games against their sum of waves, batches against single games; the well-known matrices."""

import cmath
import itertools
import math

import pytest
import torch

from mixnash.core.games.fourier import FourierGame
from mixnash.core.games.matrices import colonel_blotto, nemirovski, random_matrix, slow_last_iterate
from problems import DOUBLE, normal


def at(game, x, y):
    return float(game.payoff(torch.tensor([x], dtype=DOUBLE), torch.tensor([y], dtype=DOUBLE)))


# ---------------------------------------------------------------------- Fourier games


def fourier_sum(real, imaginary, x, y):
    n = len(real) // 2
    return sum(
        (complex(real[k + n][m + n], imaginary[k + n][m + n]) * cmath.exp(2j * math.pi * (k * x + m * y))).real
        for k, m in itertools.product(range(-n, n + 1), repeat=2)
    )


@pytest.mark.parametrize("order", [0, 1, 3])
def test_a_fourier_game_is_its_sum_of_waves(order):
    real, imaginary = normal(2, 2 * order + 1, 2 * order + 1).tolist()
    game = FourierGame(real, imaginary)
    for x, y in normal(5, 2).tolist():
        assert at(game, x, y) == pytest.approx(fourier_sum(real, imaginary, x, y), abs=1e-12)


def test_a_batch_of_fourier_games_equals_its_games_one_by_one_for_any_leading_axes():
    real, imaginary = normal(2, 3, 2, 5, 5)
    batch = FourierGame(real, imaginary)
    assert batch.games == (3, 2)
    x, y = normal(3, 2, 4, 1, 1, key=1), normal(3, 2, 1, 6, 1, key=2)
    expanded = batch.payoff(x.expand(3, 2, 4, 6, 1), y.expand(3, 2, 4, 6, 1))
    one_each = batch.payoff(x[:, :, 0, 0], y[:, :, 0, 0])
    shared = batch.payoff(x[0, 0], y)  # the same points for every game
    for i, j in itertools.product(range(3), range(2)):
        game = FourierGame(real[i, j], imaginary[i, j])
        torch.testing.assert_close(batch.payoff(x, y)[i, j], game.payoff(x[i, j], y[i, j]))
        torch.testing.assert_close(expanded[i, j], game.payoff(x[i, j], y[i, j]))
        torch.testing.assert_close(one_each[i, j], game.payoff(x[i, j, 0, 0], y[i, j, 0, 0]))
        torch.testing.assert_close(shared[i, j], game.payoff(x[0, 0], y[i, j]))


def test_random_fourier_games_depend_on_the_seed_alone_and_have_the_announced_law():
    x, y = normal(5, 1), normal(5, 1, key=1)
    one, again, other = (FourierGame.random(2, seed).payoff(x, y) for seed in (3, 3, 4))
    assert torch.equal(one, again)
    assert not torch.allclose(one, other)
    # Phi at a point is a sum of 49 terms Re(C w) with |w| = 1, so Gaussian of variance 49 / 2.
    many = FourierGame.random(3, 5, games=[4000])
    values = many.payoff(torch.full((4000, 1), 0.3, dtype=DOUBLE), torch.full((4000, 1), 0.7, dtype=DOUBLE))
    assert float(values.var()) == pytest.approx(49 / 2, rel=0.1)


# ---------------------------------------------------------------------- finite games


def test_nemirovskis_game_is_the_scaled_distance():
    torch.testing.assert_close(
        nemirovski(3).matrix, torch.tensor([[1.0, 2.0, 3.0], [2.0, 1.0, 2.0], [3.0, 2.0, 1.0]], dtype=DOUBLE) / 5
    )


def test_blottos_game_lists_distributions_in_order_and_counts_fields():
    # Rows 01, 10; columns 02, 11, 20.
    assert colonel_blotto(1, 2, 2).matrix.tolist() == [[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]]
    assert colonel_blotto(5, 6, 3).matrix.shape == (21, 28)
    assert torch.equal(colonel_blotto(4, 4, 3).matrix, -colonel_blotto(4, 4, 3).matrix.T)


def test_a_random_matrix_depends_on_its_seed_alone():
    assert torch.equal(random_matrix(3, 4, 1).matrix, random_matrix(3, 4, 1).matrix)
    assert not torch.equal(random_matrix(3, 4, 1).matrix, random_matrix(3, 4, 2).matrix)
    assert random_matrix(3, 4, 1).matrix.shape == (3, 4)


def test_the_slow_game_has_its_matrix():
    assert slow_last_iterate(0.1).matrix.tolist() == [[0.6, 0.5], [0.0, 1.0]]
