import itertools
import math

import pytest
import torch
from scipy.special import rel_entr
from scipy.stats import binom
from torch import Tensor

from mixnash.core.errors import InvalidInputError
from mixnash.metrics.functional.stacked_modes import (
    PROTOCOL_COUNT,
    StackedStatistics,
    mode_index,
    perfect_stacked,
    product_law,
    stacked_scores,
    stacked_statistics,
)
from mixnash.metrics.stacked_modes import StackedModes

MNIST = torch.tensor([5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949], dtype=torch.float64)
"""How often each digit is in the 60,000 training images."""


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def logits_of(classes: list[list[int]], height: float = 9.0, count: int = 10) -> Tensor:
    """Logits that are `height` for the given classes and 0 for the others."""
    return height * torch.nn.functional.one_hot(torch.tensor(classes), count).float()


def scores_of(counts: list[int], reference: Tensor | None = None) -> dict[str, float]:
    histogram = torch.tensor(counts)
    statistics = StackedStatistics(histogram, torch.zeros_like(histogram), histogram.sum())
    return {name: float(value) for name, value in stacked_scores(statistics, reference).items()}


def test_first_channel_is_the_hundreds():
    assert mode_index(torch.tensor([[1, 2, 3], [0, 0, 7], [9, 9, 9]])).tolist() == [123, 7, 999]


def test_other_numbers_of_classes_count_in_their_base():
    assert mode_index(torch.tensor([[2, 1], [0, 3]]), classes=4).tolist() == [9, 3]


def test_samples_are_counted_by_mode_and_those_that_are_not_finite_in_the_total_only():
    logits = logits_of([[1, 2, 3], [1, 2, 3], [9, 0, 4], [5, 5, 5]])
    logits[3, 1, 7] = math.nan
    statistics = stacked_statistics(logits)
    assert statistics.counts.nonzero().squeeze(1).tolist() == [123, 904]
    assert statistics.counts[[123, 904]].tolist() == [2, 1]
    assert int(statistics.total) == 4


def test_confident_samples_are_sure_of_every_digit():
    # The largest of ten probabilities is e^h / (e^h + 9): .98 for h = 6.089, .995 for h = 7.491.
    logits = logits_of([[1, 2, 3]] * 3, height=7.491)
    logits[1, 2, 3] = 6.089
    logits[2] *= 6.089 / 7.491
    statistics = stacked_statistics(logits)
    assert int(statistics.counts[123]) == 3
    assert int(statistics.confident[123]) == 1
    assert int(stacked_statistics(logits, confidence=0.97).confident[123]) == 3


def test_confident_modes_and_share_by_hand():
    counts = torch.tensor([5, 3, 0, 2])
    scores = stacked_scores(StackedStatistics(counts, torch.tensor([4, 0, 0, 1]), torch.tensor(20)))
    assert {name: float(value) for name, value in scores.items() if "confident" in name} == pytest.approx(
        {"confident_modes": 2.0, "confident_share": 5 / 20}
    )


def test_divergences_equal_those_of_scipy():
    counts, reference = [5, 3, 0, 2], torch.tensor([0.1, 0.4, 0.3, 0.2], dtype=torch.float64)
    shares, scores = torch.tensor(counts).double() / 10, scores_of(counts, reference)
    assert scores["stacked_modes"] == 3
    assert scores["stacked_kl_uniform"] == pytest.approx(float(rel_entr(shares.numpy(), 0.25).sum()))
    assert scores["stacked_kl_data"] == pytest.approx(float(rel_entr(shares.numpy(), reference.numpy()).sum()))


def test_data_divergence_is_left_out_without_a_reference():
    assert scores_of([1, 2]).keys() == {"stacked_modes", "stacked_kl_uniform", "confident_modes", "confident_share"}


@pytest.mark.parametrize("counts", [[0] * 1000, [0] * 999 + [7], [26_000] + [0] * 999])
def test_divergence_from_uniform_is_at_most_log_1000(counts):
    assert scores_of(counts)["stacked_kl_uniform"] == pytest.approx(6.907755, abs=1e-6)
    assert scores_of(counts)["stacked_kl_uniform"] <= math.log(1000) * (1 + 1e-15)


def test_without_samples_the_divergence_from_the_data_is_that_of_the_least_likely_mode():
    assert scores_of([0, 0, 0], torch.tensor([0.5, 0.4, 0.1]))["stacked_kl_data"] == pytest.approx(math.log(10))


def test_equal_counts_score_zero():
    assert scores_of([26] * 1000)["stacked_kl_uniform"] == pytest.approx(0, abs=1e-12)


def test_product_law_is_the_product_of_frequencies_in_the_order_of_the_modes():
    law = product_law(torch.tensor([[1.0, 3.0], [2.0, 3.0], [1.0, 1.0]]))
    assert law.tolist() == pytest.approx(
        [a * b * c for a, b, c in itertools.product([0.25, 0.75], [0.4, 0.6], [0.5, 0.5])]
    )


@pytest.mark.parametrize("count", [1, 2, 5])
def test_perfect_means_equal_the_sum_over_all_outcomes(count):
    law = torch.tensor([0.5, 0.2, 0.2, 0.1], dtype=torch.float64)
    expected = dict.fromkeys(("stacked_modes", "stacked_kl_uniform", "stacked_kl_data"), 0.0)
    for outcome in itertools.product(range(4), repeat=count):
        chance = float(law[list(outcome)].prod())
        scores = scores_of([outcome.count(mode) for mode in range(4)], law)
        for name in expected:
            expected[name] += chance * scores[name]
    found = perfect_stacked(count, law)
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-10)


def test_perfect_mean_of_a_large_uniform_sample_equals_the_sum_over_binomials_of_scipy():
    x = torch.arange(1, 3001).double()
    chances = torch.from_numpy(binom.pmf(x.numpy(), 3000, 1e-3))
    expected = 1000 * float((chances * torch.special.entr(x / 3000).neg()).sum()) + math.log(1000)
    found = perfect_stacked(3000, torch.full((1000,), 1e-3))
    assert found["stacked_kl_uniform"] == pytest.approx(expected, rel=1e-8)
    assert found["stacked_modes"] == pytest.approx(1000 * (1 - 0.999**3000), rel=1e-5)


def test_perfect_means_and_deviations_are_those_of_simulated_samplers():
    law = product_law(torch.tensor([[3.0, 2.0, 1.0, 0.01], [1.0, 1.0, 1.0, 2.0]]))
    drawn = torch.multinomial(law, 60 * 2000, replacement=True, generator=rng(5)).view(2000, 60)
    all_scores = [scores_of(torch.bincount(row, minlength=16).tolist(), law) for row in drawn]
    found = perfect_stacked(60, law, repeats=2000)
    for name in ("stacked_modes", "stacked_kl_uniform", "stacked_kl_data"):
        values = torch.tensor([scores[name] for scores in all_scores], dtype=torch.float64)
        assert found[name] == pytest.approx(float(values.mean()), abs=5 * float(values.std()) / math.sqrt(2000))
        assert found[f"{name}_std"] == pytest.approx(float(values.std()), rel=0.1)


def test_perfect_sampler_of_mnist_scores_what_real_data_do():
    # Measured for real data: .0238 +- .0010 at 26,000 samples, .0240 at 25,600 and .0093 at 100,000.
    law = product_law(MNIST.expand(3, 10))
    found = perfect_stacked(PROTOCOL_COUNT, law)
    assert found["stacked_modes"] == pytest.approx(1000, abs=1e-6)
    assert found["stacked_kl_uniform"] == pytest.approx(0.0238, abs=3e-4)
    assert found["stacked_kl_uniform_std"] == pytest.approx(0.0010, abs=1e-4)
    assert found["stacked_kl_data"] == pytest.approx(0.0195, abs=3e-4)
    assert perfect_stacked(100_000, law)["stacked_kl_uniform"] == pytest.approx(0.0093, abs=1e-4)


def test_perfect_of_a_metric_is_that_of_the_samples_seen_or_of_a_given_number():
    reference = product_law(torch.rand(2, 3, generator=rng()) + 0.1)
    metric = StackedModes(reference, channels=2, classes=3)
    metric.update(torch.randn(11, 2, 3, generator=rng()))
    assert metric.perfect(seed=3) == perfect_stacked(11, reference, seed=3)
    assert metric.perfect(500) == perfect_stacked(500, reference)
    assert metric.perfect().keys() - metric.compute().keys() == {
        f"{name}_std" for name in ("stacked_modes", "stacked_kl_uniform", "stacked_kl_data")
    }


def test_perfect_without_a_reference_is_that_of_the_uniform_law():
    metric, expected = StackedModes(), perfect_stacked(300, torch.full((1000,), 1e-3))
    assert metric.perfect(300)["stacked_kl_uniform"] == pytest.approx(expected["stacked_kl_uniform"])
    assert "stacked_kl_data" not in metric.perfect(300)
    with pytest.raises(InvalidInputError, match="update the metric first"):
        metric.perfect()


def test_protocol_names_what_was_measured():
    metric = StackedModes(product_law(MNIST.expand(3, 10)))
    metric.update(logits_of([[1, 2, 3], [4, 5, 6]]))
    assert metric.protocol() == (
        "1000 modes of 3 digits of 10 classes, largest logit a channel, n = 2, at least 1 sample per mode, KL of the "
        "samples to uniform (at most 6.908) and to the data's own law, nats, confident from 0.99 a digit"
    )
    assert "own law" not in StackedModes().protocol()


def test_impossible_arguments_are_refused(no_shape_checks):
    with pytest.raises(InvalidInputError, match=r"found shape \[10\]"):
        StackedModes(torch.full((10,), 0.1))
    with pytest.raises(InvalidInputError, match=r"least probability of 0 and a sum of 1"):
        StackedModes(torch.eye(4)[0], channels=2, classes=2)
    with pytest.raises(InvalidInputError, match="a sum of 2"):
        StackedModes(torch.full((4,), 0.5), channels=2, classes=2)
    with pytest.raises(InvalidInputError, match=r"found 0\.0"):
        StackedModes(confidence=0.0)
    with pytest.raises(InvalidInputError, match="found 9 channels of 10 classes"):
        StackedModes(channels=9)
    with pytest.raises(InvalidInputError, match=r"found \[5, 10\]; classify every channel"):
        StackedModes().update(torch.zeros(5, 10))
    with pytest.raises(InvalidInputError, match="at least 2 repeats"):
        perfect_stacked(5, torch.full((4,), 0.25), repeats=1)
