import math

import pytest
import torch

from mixnash.core.errors import InvalidInputError
from mixnash.metrics.functional.memorisation import (
    authentic_share,
    memorisation_scores,
    memorised_share,
    nearest_other,
)
from mixnash.metrics.memorisation import Memorisation


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(count: int, axes: int = 6, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, axes, generator=rng(seed))


def test_share_of_four_held_out_samples_by_hand():
    held_out = torch.tensor([4.0, 1.0, 3.0, 2.0])
    # 0.2 (4 + 1) = 1: at most as far as the nearest, with 1 itself. 0.3 (4 + 1) = 1.5: half way to the second.
    assert float(memorised_share(torch.tensor([0.5, 1.0, 1.5, 2.5]), held_out, 0.2)) == pytest.approx(2 / 4)
    assert float(memorised_share(torch.tensor([0.5, 1.0, 1.5, 2.5]), held_out, 0.3)) == pytest.approx((2 + 3) / 8)


@pytest.mark.parametrize("level", [0.25, 0.4, 0.5])
def test_mean_over_all_places_of_one_sample_among_three_is_the_level(level):
    places = torch.tensor([1.0, 2.0, 3.0, 4.0])
    shares = [
        float(memorised_share(places[i : i + 1], torch.cat([places[:i], places[i + 1 :]]), level)) for i in range(4)
    ]
    assert sum(shares) / 4 == pytest.approx(level)


def test_copies_of_training_samples_are_all_memorised_and_none_authentic():
    training = normal(80)
    scores = memorisation_scores(training[torch.arange(50) % 7], normal(120, seed=1), training)
    assert float(scores["memorised_share"]) == 1.0
    assert float(scores["authentic_share"]) == 0.0
    assert float(scores["held_out_authentic_share"]) > 0.2


def test_nearly_copied_samples_among_fresh_ones_are_found():
    training = normal(100)
    fakes = torch.cat([training[:30] + 1e-4 * normal(30, seed=1), normal(90, seed=2)])
    share = float(memorisation_scores(fakes, normal(400, seed=3), training, 0.01)["memorised_share"])
    assert 0.25 <= share < 0.3


def test_far_samples_are_neither_memorised_nor_less_than_authentic():
    scores = memorisation_scores(100 + normal(20), normal(120, seed=1), normal(50, seed=2))
    assert float(scores["memorised_share"]) == 0.0
    assert float(scores["authentic_share"]) == 1.0


@pytest.mark.parametrize("level", [0.02, 0.07])
def test_independent_draws_of_the_same_law_score_the_level_in_the_mean(level):
    # Five standard errors of the mean.
    shares = torch.stack(
        [
            memorisation_scores(points[:60], points[60:150], points[150:], level)["memorised_share"]
            for seed in range(150)
            for points in [normal(200, 3, seed)]
        ]
    )
    error = float(shares.std()) / math.sqrt(150)
    assert error < 0.004
    assert float(shares.mean()) == pytest.approx(level, abs=5 * error)


def test_authentic_shares_of_generated_and_held_out_samples_of_one_law_agree():
    scores = memorisation_scores(normal(500), normal(500, seed=1), normal(400, seed=2))
    assert float(scores["authentic_share"]) == pytest.approx(float(scores["held_out_authentic_share"]), abs=0.15)


def test_authentic_share_by_hand():
    distances = torch.tensor([1.0, 2.0, 3.0, math.inf])
    assert float(authentic_share(distances, torch.tensor([0.5, 2.0, 1.0, 1.0]))) == 2 / 4


def test_nearest_other_leaves_out_the_row_but_not_its_copies():
    training = torch.tensor([[0.0], [3.0], [3.0], [8.0]])
    assert nearest_other(training, torch.tensor([3, 0, 3, 1]), 2).tolist() == [5, 3, 5, 0]


def test_broken_samples_are_neither_memorised_nor_authentic():
    training, fakes = normal(30), normal(40, seed=1)
    whole = memorisation_scores(fakes[20:], normal(99, seed=2), training)
    fakes[:20] = math.nan
    broken = memorisation_scores(fakes, normal(99, seed=2), training)
    for name in ("memorised_share", "authentic_share"):
        assert float(broken[name]) == pytest.approx(float(whole[name]) / 2)


def test_training_neighbours_are_measured_once_for_each_training_sample(monkeypatch):
    asked: list[int] = []

    def spy(training, rows, chunk):
        asked.extend(rows.tolist())
        return nearest_other(training, rows, chunk)

    monkeypatch.setattr("mixnash.metrics.memorisation.nearest_other", spy)
    metric, training = Memorisation(), normal(20)
    metric.set_training(training)
    for seed in range(3):
        metric.update(normal(40, seed=seed), normal(40, seed=9 + seed))
    assert len(asked) == len(set(asked)) > 10


def test_other_training_samples_take_the_place_of_the_first():
    metric, fakes, reals = Memorisation(), normal(30), normal(100, seed=1)
    for training in (normal(20, seed=2), normal(25, seed=3)):
        metric.reset()
        metric.set_training(training)
        metric.update(fakes, reals)
        assert metric.compute() == memorisation_scores(fakes, reals, training)


def test_reset_keeps_the_training_samples():
    metric, training = Memorisation(), normal(20)
    metric.set_training(training)
    metric.update(normal(30), normal(100, seed=1))
    metric.reset()
    metric.update(training[:9], normal(100, seed=1))
    assert float(metric.compute()["memorised_share"]) == 1.0


def test_too_few_held_out_samples_are_refused_with_the_number_needed():
    with pytest.raises(InvalidInputError, match=r"level 0\.01 needs at least 99 held-out samples, found 98"):
        memorisation_scores(normal(5), normal(98), normal(9))
    assert float(memorisation_scores(normal(5), normal(99), normal(9, seed=1))["memorised_share"]) <= 1


def test_impossible_arguments_are_refused(no_shape_checks):
    with pytest.raises(InvalidInputError, match="call set_training"):
        Memorisation().update(normal(5), normal(5))
    with pytest.raises(InvalidInputError, match=r"at most 0\.5, found 0\.7"):
        Memorisation(level=0.7)
    with pytest.raises(InvalidInputError, match="found 0"):
        Memorisation(chunk=0)
    with pytest.raises(InvalidInputError, match=r"at least 2 training samples.*shape \[1, 6\]"):
        Memorisation().set_training(normal(1))
    with pytest.raises(InvalidInputError, match="values that are not finite"):
        memorisation_scores(normal(5), normal(99), normal(9) / 0)
    with pytest.raises(InvalidInputError, match="equally many features"):
        memorisation_scores(normal(5, 4), normal(99), normal(9))
    with pytest.raises(InvalidInputError, match="finite features of the held-out samples"):
        memorisation_scores(normal(5), normal(99) / 0, normal(9))
    with pytest.raises(InvalidInputError, match="at least 1 generated sample"):
        memorisation_scores(normal(0), normal(99), normal(9))
