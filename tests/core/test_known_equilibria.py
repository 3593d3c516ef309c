"""The recorded answers are answers: values, and no deviation on a fine grid that pays."""

import numpy
import pytest
import torch

from mixnash.core.games.known import KNOWN_GAMES, recorded_fourier
from mixnash.core.games.known_matrices import KNOWN_MATRICES
from mixnash.core.games.recorded_normals import NUMPY_NORMALS
from mixnash.core.games.vectors import VECTOR
from mixnash.core.population import weights
from problems import DOUBLE

VALUES = {
    "guess_location": 1.0,
    "guess_location_unit": 0.25,
    "guess_location_disc2d": 1.0,
    "abs_distance": 1.0,
    "bilinear_box": 0.0,
    "parrilo_mixed": -0.48,
    "weird_saddle": 0.0,
    "monkey_saddle_box": -0.25,
    "almost_bilinear_x": -0.2,
    "almost_bilinear_y": 0.025,
    "forsaken_hsieh": 0.0,
    "forsaken_swapped": 0.0,
    "global_forsaken": 0.0,
    "letcher": 0.0,
    "quadratic_weak_minty_box": 0.0,
    "wells_2d": 0.0,
    "bell_gauss_0p5": 0.6065306597126334,
    "bell_gauss_1": 0.5031893104839429,
    "bell_gauss_2": 0.4056124012539084,
    "fourier_cp_counterexample": 0.0,
    "chase_cosine": 0.0,
    "random_fourier_o2_s0": -1.770552008087482,
    "random_fourier_o2_s1": -0.6979278827288221,
    "random_fourier_o3_s0": 0.4300637899839192,
    "gross_rational": 1.2732395447351628,
    "exp_cosine_1": 1.2660658777520084,
    "exp_cosine_4": 11.30192195213633,
    "silent_duel": 0.0,
    "ratio_game_exotic": -0.605823048033,
}
MATRIX_VALUES = {
    "matching_pennies": 0.0,
    "rock_paper_scissors": 0.0,
    "biased_rps": 0.0,
    "rpsls": 0.0,
    "regret_matching_hard": 0.25,
    "slow_last_iterate_delta_0.1": 0.54545454545455,
    "slow_last_iterate_delta_0.01": 0.5049504950495,
    "nemirovski2_n50": 0.25757575757576,
    "gauss_5x5_seed0": -0.0839372468941,
    "colonel_blotto_5_3fields": 0.0,
    "colonel_blotto_6_3fields": 0.0,
    "colonel_blotto_5_against_6": 4 / 9,
}
ATOMIC = [one for one in KNOWN_GAMES if one.minimiser is not None]
DIFFUSE = {one.name: one for one in KNOWN_GAMES if one.quantile is not None}


def over(known):
    return pytest.mark.parametrize("known", known, ids=lambda one: one.name)


def against(game, x, p, y, q):
    """What every x and every y of a grid earn against the mixtures (y, q) and (x, p)."""
    fine = 2001 if game.minimiser.dim == 1 else 201
    xs, ys = (domain.grid(fine) for domain in (game.minimiser, game.maximiser))
    return game.payoff(xs.unsqueeze(1), y) @ q, p @ game.payoff(x.unsqueeze(1), ys)


def test_every_answer_of_the_card_is_there_with_its_value():
    assert {one.name: one.value for one in KNOWN_GAMES} == pytest.approx(VALUES, rel=1e-12, abs=1e-13)
    assert {one.name: one.value for one in KNOWN_MATRICES} == pytest.approx(MATRIX_VALUES, rel=1e-12, abs=1e-13)
    assert all((one.minimiser is None) == (one.quantile is not None) for one in KNOWN_GAMES)


@over(ATOMIC)
def test_the_atoms_lie_in_their_domains_and_earn_the_value_against_each_other(known):
    x, y = known.minimiser.params[VECTOR], known.maximiser.params[VECTOR]
    assert bool(known.game.minimiser.contains(x).all())
    assert bool(known.game.maximiser.contains(y).all())
    earned = weights(known.minimiser) @ known.game.payoff(x.unsqueeze(1), y) @ weights(known.maximiser)
    assert float(earned) == pytest.approx(known.value, abs=1e-12)


@over(ATOMIC)
def test_no_deviation_on_a_grid_improves_on_the_atoms(known):
    p, q = weights(known.minimiser), weights(known.maximiser)
    of_x, of_y = against(known.game, known.minimiser.params[VECTOR], p, known.maximiser.params[VECTOR], q)
    # The atoms of the random game of seed 1 are rounded to fractions from numbers known to 1e-8.
    assert float(of_x.min()) >= known.value - 1e-7
    assert float(of_y.max()) <= known.value + 1e-7
    assert float(of_y.max()) >= known.value - 1e-4, "the value is reached near an atom"


def midpoints(known, count):
    levels = (torch.arange(count, dtype=DOUBLE) + 0.5) / count
    return known.quantile(levels).unsqueeze(-1), torch.full((count,), 1 / count, dtype=DOUBLE)


def gap(known, count):
    x, p = midpoints(known, count)
    of_x, of_y = against(known.game, x, p, x, p)
    return float(of_y.max() - of_x.min())


@pytest.mark.parametrize(("count", "expected"), [(5, 1.0e-2), (20, 6.5e-4), (100, 2.6e-5)])
def test_quantiles_of_the_rational_game_have_the_gap_of_the_card(count, expected):
    assert gap(DIFFUSE["gross_rational"], count) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(("name", "count", "bound"), [("exp_cosine_1", 12, 1e-9), ("exp_cosine_4", 24, 1e-9)])
def test_evenly_spread_atoms_solve_the_exponential_cosine(name, count, bound):
    known = DIFFUSE[name]
    assert gap(known, count) < bound
    x, p = midpoints(known, count)
    assert float(p @ known.game.payoff(x.unsqueeze(1), x) @ p) == pytest.approx(known.value, rel=bound)


def test_quantiles_of_the_silent_duel_have_its_moments_and_a_gap_that_falls_with_their_number():
    known = DIFFUSE["silent_duel"]
    times, _ = midpoints(known, 4000)
    assert float(times.mean()) == pytest.approx(1 / 2, abs=1e-5)
    assert float((times < 1 / 2).double().mean()) == pytest.approx(5 / 8, abs=1e-3)
    assert float(known.quantile(torch.tensor(0.0))) == pytest.approx(1 / 3)
    assert float(known.quantile(torch.tensor(1.0))) == 1
    coarse, fine = gap(known, 50), gap(known, 500)
    assert fine < 0.01
    assert coarse / fine == pytest.approx(10, rel=0.2), "each jump weighs 1 / N"


@over([one for one in KNOWN_MATRICES if one.column is not None])
def test_no_row_and_no_column_improves_on_the_strategies_of_a_known_matrix(known):
    matrix = known.game.matrix
    assert float((matrix @ known.column).min()) == pytest.approx(known.value, abs=1e-12)
    if known.row is not None:
        assert float(known.row.sum()) == pytest.approx(1)
        assert float((known.row @ matrix).max()) == pytest.approx(known.value, abs=1e-12)


@pytest.mark.parametrize("seed", NUMPY_NORMALS)
def test_the_recorded_normal_draws_are_those_of_numpy(seed):
    recorded = NUMPY_NORMALS[seed]
    assert numpy.random.default_rng(seed).standard_normal(len(recorded)).tolist() == list(recorded)


def test_recorded_fourier_games_have_the_coefficients_of_the_generator():
    rng = numpy.random.default_rng(0)
    c = (rng.standard_normal((7, 7)) + 1j * rng.standard_normal((7, 7))) / numpy.sqrt(2)
    k = numpy.arange(-3, 4)
    expected = (numpy.exp(2j * numpy.pi * 0.3 * k) @ c @ numpy.exp(2j * numpy.pi * 0.45 * k)).real
    x, y = torch.tensor([0.3], dtype=DOUBLE), torch.tensor([0.45], dtype=DOUBLE)
    assert float(recorded_fourier(3, 0).payoff(x, y)) == pytest.approx(expected, abs=1e-12)
