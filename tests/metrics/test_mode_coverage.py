import math

import pytest
import torch
from scipy.special import rel_entr
from scipy.stats import chi2, truncnorm

from mixnash.core.errors import InvalidInputError
from mixnash.core.mixtures import GaussianMixture, make_mixture, sample_mixture
from mixnash.metrics.functional.mode_coverage import (
    ModeStatistics,
    mode_scores,
    mode_statistics,
    perfect_sampler,
)


def grid() -> GaussianMixture:
    """The grid of PacGAN: 25 modes, step 2, sigma 0.05."""
    axis = torch.tensor([-4.0, -2.0, 0.0, 2.0, 4.0])
    return make_mixture(torch.cartesian_prod(axis, axis), torch.full((25,), 0.05))


def uneven() -> GaussianMixture:
    """Three modes of unequal scale and weight."""
    centres = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    return make_mixture(centres, torch.tensor([1.0, 0.5, 0.25]), torch.tensor([1.0, 2.0, 5.0]))


# Distances in units of sigma: mode 0: 1, 1.5 and 6; mode 1: 1 and 2 (on the threshold); mode 2: 1.2, 1.6 and 0.
# The point (6, 0) is nearer to mode 1 in coordinates, but 8 of its sigmas away.
POINTS = torch.tensor(
    [
        [1.0, 0.0],
        [0.0, -1.5],
        [6.0, 0.0],
        [10.5, 0.0],
        [10.0, 1.0],
        [0.0, 10.3],
        [0.4, 10.0],
        [0.0, 10.0],
        [math.nan, 0.0],
        [0.0, math.inf],
    ]
)


def scores_of(counts: list[int], total: int, mixture: GaussianMixture, min_counts: tuple[int, ...] = (1, 20)):
    counts_tensor = torch.tensor(counts)
    statistics = ModeStatistics(counts_tensor, counts_tensor, counts_tensor.double(), torch.tensor(total))
    return {key: float(value) for key, value in mode_scores(statistics, mixture, 2.0, min_counts).items()}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_statistics_by_hand_with_unequal_scales_and_threshold_two(dtype):
    statistics = mode_statistics(POINTS.to(dtype), uneven(), 2.0)
    assert statistics.near.tolist() == [3, 2, 3]
    assert statistics.high_quality.tolist() == [2, 1, 3]
    torch.testing.assert_close(
        statistics.square, torch.tensor([1 + 2.25, 1.0, 1.44 + 2.56]).double(), rtol=1e-5, atol=1e-5
    )
    assert statistics.square.dtype == torch.float64
    assert statistics.total == 10


def test_statistics_do_not_depend_on_the_block_size(monkeypatch):
    samples = 4 * torch.randn(300, 2, generator=torch.Generator().manual_seed(0))
    whole = mode_statistics(samples, uneven(), 2.5)
    monkeypatch.setattr("mixnash.metrics.functional.distances._BLOCK", 7)
    for block, expected in zip(mode_statistics(samples, uneven(), 2.5), whole, strict=True):
        torch.testing.assert_close(block, expected)


def test_a_finite_sample_so_far_that_its_distance_overflows_counts_in_total_only():
    statistics = mode_statistics(torch.full((1, 2), 1e300, dtype=torch.float64), uneven(), 2.0)
    assert (statistics.near.sum(), statistics.high_quality.sum(), statistics.total) == (0, 0, 1)


def test_statistics_refuse_samples_of_another_dimension():
    with pytest.raises(InvalidInputError, match="The mixture has 2 axes, found samples with 3"):
        mode_statistics(torch.zeros(4, 3), uneven(), 2.0)


def test_scores_by_hand_with_unequal_weights():
    scores = scores_of([30, 0, 10], 50, uneven(), min_counts=(1, 11, 31))
    weights = [1 / 8, 2 / 8, 5 / 8]
    assert (scores["modes"], scores["modes_min11"], scores["modes_min31"]) == (2, 1, 0)
    assert scores["high_quality"] == pytest.approx(0.8)
    assert scores["reverse_kl"] == pytest.approx(0.75 * math.log(6) + 0.25 * math.log(0.4))
    smooth = [30.5 / 41.5, 0.5 / 41.5, 10.5 / 41.5]
    assert scores["forward_kl"] == pytest.approx(rel_entr(weights, smooth).sum())
    shares = [0.75, 0, 0.25]
    middle = [(a + b) / 2 for a, b in zip(shares, weights, strict=True)]
    assert scores["jsd"] == pytest.approx((rel_entr(shares, middle).sum() + rel_entr(weights, middle).sum()) / 2)


def test_default_minimum_counts_are_one_and_twenty():
    assert {"modes", "modes_min20"} < set(scores_of([20, 19, 1], 50, uneven()))
    assert scores_of([20, 19, 1], 50, uneven())["modes_min20"] == 1


def test_matching_shares_have_zero_divergence():
    scores = scores_of([100, 200, 500], 1000, uneven())
    assert scores["reverse_kl"] == pytest.approx(0, abs=1e-12)
    assert scores["jsd"] == pytest.approx(0, abs=1e-12)
    assert 0 < scores["forward_kl"] < 1e-5


def test_collapse_to_one_mode_of_the_grid_by_hand():
    counts = [0] * 25
    counts[7] = 1000
    scores = scores_of(counts, 1000, grid())
    assert (scores["modes"], scores["modes_min20"], scores["high_quality"]) == (1, 1, 1)
    assert scores["reverse_kl"] == pytest.approx(math.log(25))
    smooth_hit, smooth_miss = 1000.5 / 1012.5, 0.5 / 1012.5
    assert scores["forward_kl"] == pytest.approx(
        0.04 * math.log(0.04 / smooth_hit) + 0.96 * math.log(0.04 / smooth_miss)
    )
    expected = 0.5 * math.log(1 / 0.52) + 0.5 * (0.04 * math.log(0.04 / 0.52) + 0.96 * math.log(2))
    assert scores["jsd"] == pytest.approx(expected)


def test_nothing_of_high_quality_scores_as_the_worst_histogram_of_as_many_samples():
    nothing = scores_of([0, 0, 0], 50, uneven())
    collapses = [scores_of([50 * (m == k) for m in range(3)], 50, uneven()) for k in range(3)]
    for key in ("reverse_kl", "forward_kl", "jsd"):
        assert nothing[key] == max(scores[key] for scores in collapses)
    assert nothing["reverse_kl"] == pytest.approx(math.log(8))
    rest = ("modes", "modes_min20", "high_quality", "variance_ratio", "variance_ratio_min", "variance_ratio_max")
    assert [nothing[key] for key in rest] == [0.0] * 6


def test_no_samples_at_all_give_finite_scores():
    assert all(math.isfinite(value) for value in scores_of([0, 0, 0], 0, uneven()).values())


def test_modes_with_one_sample_have_no_part_in_the_variance_ratios():
    # A perfect sampler within 2 sigma has a mean square of 2 F_4(4) / F_2(4).
    perfect = 2 * chi2.cdf(4, 4) / chi2.cdf(4, 2)
    statistics = ModeStatistics(
        torch.tensor([2, 1, 4]),
        torch.tensor([2, 1, 4]),
        torch.tensor([1.0, 3.9, 6.0], dtype=torch.float64),
        torch.tensor(7),
    )
    scores = mode_scores(statistics, uneven(), 2.0)
    assert float(scores["variance_ratio"]) == pytest.approx((0.5 + 1.5) / 2 / perfect)
    assert float(scores["variance_ratio_min"]) == pytest.approx(0.5 / perfect)
    assert float(scores["variance_ratio_max"]) == pytest.approx(1.5 / perfect)


@pytest.mark.parametrize("threshold", [1.5, 3.0])
def test_variance_ratio_of_a_perfect_sampler_is_one(threshold):
    mixture = uneven()
    samples = sample_mixture(mixture, 40_000, torch.Generator().manual_seed(1))
    scores = mode_scores(mode_statistics(samples, mixture, threshold), mixture, threshold)
    # One mode of 5,000 and one of 10,000 samples: five standard errors are below 0.06.
    for key in ("variance_ratio", "variance_ratio_min", "variance_ratio_max"):
        assert float(scores[key]) == pytest.approx(1, abs=0.06)


def test_mean_square_in_one_dimension_is_the_variance_of_a_truncated_normal():
    mixture = make_mixture(torch.zeros(1, 1), torch.ones(1))
    expected = truncnorm.var(-1.2, 1.2)
    statistics = ModeStatistics(*[torch.tensor([2])] * 2, torch.tensor([2 * expected]).double(), torch.tensor(2))
    assert float(mode_scores(statistics, mixture, 1.2)["variance_ratio"]) == pytest.approx(1, abs=1e-7)


def test_variance_ratio_of_contracted_samples_is_the_squared_contraction_over_the_truncated_mean():
    # Contracted to 0.3 sigma, the cut at 3 sigma is at 10 standard deviations and removes nothing: E = 0.09 D.
    mixture = uneven()
    tight = GaussianMixture(mixture.centres, 0.3 * mixture.scales, mixture.weights)
    samples = sample_mixture(tight, 40_000, torch.Generator().manual_seed(2))
    scores = mode_scores(mode_statistics(samples, mixture, 3.0), mixture, 3.0)
    truncation = chi2.cdf(9, 4) / chi2.cdf(9, 2)
    assert float(scores["variance_ratio"]) == pytest.approx(0.09 / truncation, rel=0.03)
    assert float(scores["high_quality"]) == 1


@pytest.mark.parametrize(
    ("count", "reverse_kl", "spread"), [(2500, 0.0050, 0.0015), (10_000, 0.0012, 0.0003)], ids=["2500", "10000"]
)
def test_perfect_sampler_of_the_grid_scores_the_published_floor(count, reverse_kl, spread):
    perfect = perfect_sampler(grid(), count, 3.0)
    assert perfect["modes"] == perfect["modes_min20"] == 25
    assert perfect["high_quality"] == pytest.approx(1 - math.exp(-4.5), abs=0.0005)
    assert perfect["reverse_kl"] == pytest.approx(reverse_kl, rel=0.1)
    assert perfect["reverse_kl_std"] == pytest.approx(spread, rel=0.3)
    assert perfect["variance_ratio"] == pytest.approx(1, abs=0.005)


@pytest.mark.parametrize("threshold", [2.0, 3.0])
def test_perfect_sampler_agrees_with_scoring_real_draws_on_every_key(threshold):
    mixture, rng, repeats = uneven(), torch.Generator().manual_seed(3), 200
    simulated = perfect_sampler(mixture, 120, threshold, (1, 20), seed=4, repeats=2000)
    scored = [
        mode_scores(mode_statistics(sample_mixture(mixture, 120, rng), mixture, threshold), mixture, threshold)
        for _ in range(repeats)
    ]
    for key in scored[0]:
        values = torch.stack([scores[key] for scores in scored])
        error = float(values.std()) / math.sqrt(repeats) + 1e-9
        assert simulated[key] == pytest.approx(float(values.mean()), abs=4.5 * error), key
        assert simulated[f"{key}_std"] == pytest.approx(float(values.std()), rel=0.25), key


def test_spread_of_the_perfect_variance_ratio_is_that_of_truncated_chi_square():
    axes, level = 3, 2.0**2
    mass = chi2.cdf(level, axes)
    mean, square = axes * chi2.cdf(level, axes + 2) / mass, axes * (axes + 2) * chi2.cdf(level, axes + 4) / mass
    expected = math.sqrt((square / mean**2 - 1) / (1000 * mass))
    perfect = perfect_sampler(make_mixture(torch.zeros(1, 3), torch.ones(1)), 1000, 2.0, repeats=20_000)
    assert perfect["variance_ratio_std"] == pytest.approx(expected, rel=0.025)  # Five standard errors.


def test_perfect_sampler_depends_on_its_seed_only():
    state = torch.get_rng_state()
    first, second = (perfect_sampler(uneven(), 100, 2.0, seed=5) for _ in range(2))
    assert first == second
    assert first != perfect_sampler(uneven(), 100, 2.0, seed=6)
    assert torch.equal(state, torch.get_rng_state())


def test_perfect_sampler_refuses_no_samples_and_one_repeat():
    with pytest.raises(InvalidInputError, match="at least 1 sample, found 0; update the metric first"):
        perfect_sampler(grid(), 0, 3.0)
    with pytest.raises(InvalidInputError, match="at least 2 repeats, found 1"):
        perfect_sampler(grid(), 10, 3.0, repeats=1)


@pytest.mark.parametrize("threshold", [0.0, -1.0, math.nan, math.inf])
def test_impossible_thresholds_are_refused(threshold):
    with pytest.raises(InvalidInputError, match="The threshold must be finite"):
        perfect_sampler(grid(), 100, threshold)


def test_a_threshold_far_below_the_typical_distance_in_many_dimensions_is_refused():
    mixture = make_mixture(torch.zeros(1, 400), torch.ones(1))
    with pytest.raises(InvalidInputError, match="in 400 dimensions its samples lie about 20 sigma"):
        perfect_sampler(mixture, 100, 3.0)
    assert perfect_sampler(mixture, 100, 25.0)["high_quality"] == pytest.approx(1, abs=0.01)


def test_minimum_counts_below_one_are_refused():
    with pytest.raises(InvalidInputError, match="at least 1 sample to count"):
        scores_of([1, 1, 1], 3, uneven(), min_counts=(0, 20))
