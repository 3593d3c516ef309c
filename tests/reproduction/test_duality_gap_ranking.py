"""The ranking by duality gap: what counts as the right order, what collapses, and games whose gap is known."""

import json

import pytest
import torch

from mixnash.core.errors import InvalidInputError
from mixnash.core.population import weights
from mixnash.core.random import stream
from mixnash.equilibrium.duality_gap import Estimate
from mixnash.equilibrium.linear_program import solve_matrix_game
from mixnash.figures.ranking import ranked_bounds
from mixnash.reproduction import duality_gap_ranking
from mixnash.reproduction.duality_gap_ranking import (
    STAGES,
    DualityGapRanking,
    Look,
    checks,
    collapse,
    least_covered,
    plan,
    ranked,
    right_order,
)
from mixnash.reproduction.experiments import read_experiment
from mixnash.reproduction.noisy_matrices import Effort, solved_game
from training import adam_dynamics, mixed_gan


def look(value, distance, restricted=0.0, radius=0.1):
    bound = Estimate(value, value - radius, value + radius)
    return Look(bound, bound, bound, bound, bound, restricted, {"sliced_wasserstein2": distance})


def case(values, distances, **changes):
    return {name: look(*pair, **changes) for name, *pair in zip(STAGES, values, distances, strict=True)}


def test_the_right_order_is_that_of_the_distance_from_the_data():
    assert right_order(case([0.1, 0.5, 2.0], [0.01, 0.3, 1.0]))
    assert right_order(case([0.1, 2.0, 0.5], [0.01, 1.0, 0.3]))
    assert not right_order(case([0.1, 2.0, 0.5], [0.01, 0.3, 1.0]))
    assert ranked(case([0.7, 2.0, 0.5], [0, 0, 0])) == ["collapsed", "trained", "half-trained"]


def test_checks_count_orders_intervals_and_bounds():
    cases = [case([0.1, 0.25, 2.0], [0.01, 0.3, 1.0]), case([0.1, 2.0, 0.5], [0.01, 0.3, 1.0], restricted=0.21)]
    games = [solved_game(seed, Effort(samples=8, search_batches=1, score_batches=3, marks=(0, 1))) for seed in (0, 1)]
    order, restricted, *_ = checks(cases, games)
    assert order.measured.startswith("1 of 2; trained < half-trained < collapsed in 1; intervals of neighbours apart 3")
    assert not order.agrees
    assert restricted.measured == "5 of 6"
    assert not restricted.agrees


def test_intervals_may_miss_the_truth_as_often_as_the_binomial_law_says():
    assert least_covered(1) == 0
    assert least_covered(40) == 34  # P(X <= 33) = 0.0034, P(X <= 34) = 0.0139
    assert least_covered(100) == 89  # P(X <= 88) = 0.0043


def test_collapsing_moves_all_weight_to_the_heaviest_and_nothing_else():
    module = mixed_gan(adam_dynamics(), generators=4)
    before = module.profile(True)
    given = torch.log_softmax(torch.tensor([0.0, 2.0, -1.0, 1.0]), 0)
    module.generators.assign(module.generators.population()._replace(log_weights=given))
    collapse(module, 2)
    after = module.profile(True)
    assert torch.allclose(weights(after.generators), torch.tensor([0.0, 0.5, 0.0, 0.5]))
    assert bool(torch.isfinite(after.generators.log_weights).all())
    for old, new in ((before.generators, after.generators), (before.critics, after.critics)):
        assert all(torch.equal(leaf, new.params[name]) for name, leaf in old.params.items())


def test_noisy_games_are_searched_well_enough_to_know_zero_from_the_gap_of_uniform_mixtures():
    for seed in (0, 1):
        found, uniform_gap = solved_game(seed, Effort(strategies=3, marks=(0, 20, 60), score_batches=20))
        radius = (found.gap.high - found.gap.low) / 2
        assert abs(found.gap.value) < 2 * radius + 1e-3
        assert radius < 0.2 * uniform_gap


def test_noise_of_a_game_has_mean_zero_and_its_value_is_that_of_the_matrix():
    found, _ = solved_game(3, Effort(strategies=3, samples=512, search_batches=1, marks=(0,)))
    payoff = torch.randn(3, 3, generator=stream(torch.device("cpu"), 3, 0), dtype=torch.float64)
    assert found.value.value == pytest.approx(solve_matrix_game(payoff).value, abs=0.02)


def test_step_sizes_fall_within_the_shortened_training():
    full = plan(0, 1500, duality_gap_ranking.SEARCH)
    resolved = read_experiment(full.experiment, 0, full.overrides).resolved
    assert resolved.count("hold: 500") == 2
    assert resolved.count("steps: 1000") == 2


def test_a_finished_case_is_read_back(tmp_path, monkeypatch):
    place = tmp_path / "short"
    first = DualityGapRanking().run(lambda what: None, True, tmp_path)
    assert [one.name for one in place.iterdir()] == ["seed-10.json"]
    monkeypatch.setattr(duality_gap_ranking, "fit", lambda *_: pytest.fail("trained again"))
    again = DualityGapRanking().run(lambda what: None, True, tmp_path)
    assert json.dumps(again.numbers) == json.dumps(first.numbers)
    (place / "seed-10.json").write_text("torn")
    with pytest.raises(pytest.fail.Exception, match="trained again"):
        DualityGapRanking().run(lambda what: None, True, tmp_path)


def test_a_picture_needs_a_stage():
    with pytest.raises(InvalidInputError, match="at least one stage"):
        ranked_bounds({}, torch.zeros(1, 3).numpy(), "")
