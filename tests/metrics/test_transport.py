import itertools
import math

import numpy as np
import pytest
import torch

from mixnash.core.errors import InvalidInputError
from mixnash.metrics.functional.transport import exact_wasserstein2, sliced_wasserstein2
from mixnash.metrics.transport import SlicedWasserstein2, Wasserstein2


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def quantile_brute_force(x: np.ndarray, y: np.ndarray, steps: int) -> float:
    """W2 in one dimension by the midpoint rule on a grid of levels that holds all breakpoints."""
    levels = (np.arange(steps) + 0.5) / steps
    quantiles = [np.sort(points)[(levels * len(points)).astype(int)] for points in (x, y)]
    return float(np.sqrt(np.mean((quantiles[0] - quantiles[1]) ** 2)))


def test_exact_distance_of_a_shifted_cloud_is_the_shift():
    samples = torch.randn(60, 3, generator=rng(), dtype=torch.float64)
    shift = torch.tensor([0.3, -2.0, 1.0], dtype=torch.float64)
    shuffled = samples[torch.randperm(60, generator=rng(1))] + shift
    assert float(exact_wasserstein2(samples, shuffled)) == pytest.approx(float(shift.norm()), abs=1e-12)


def test_exact_distance_is_the_best_permutation():
    samples, reference = torch.randn(5, 2, generator=rng()), torch.randn(5, 2, generator=rng(1))
    costs = [
        sum(float((samples[i].double() - reference[j].double()).square().sum()) for i, j in enumerate(order)) / 5
        for order in itertools.permutations(range(5))
    ]
    assert float(exact_wasserstein2(samples, reference)) == pytest.approx(math.sqrt(min(costs)))


def test_exact_distance_refuses_unequal_sizes_and_empty_sets():
    with pytest.raises(InvalidInputError, match="two sets of one size, found 4 and 5"):
        exact_wasserstein2(torch.zeros(4, 2), torch.zeros(5, 2))
    with pytest.raises(InvalidInputError, match="found 0 and 0"):
        exact_wasserstein2(torch.zeros(0, 2), torch.zeros(0, 2))


def test_exact_distance_refuses_large_sets_and_names_sliced():
    with pytest.raises(InvalidInputError, match=r"at most 5000 samples.*found 5001; use a subset or sliced W2"):
        exact_wasserstein2(torch.zeros(5001, 1), torch.zeros(5001, 1))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_sample_that_is_not_finite_is_infinitely_far(bad):
    samples, reference = torch.zeros(3, 2), torch.zeros(3, 2)
    samples[1, 0] = bad
    assert float(exact_wasserstein2(samples, reference)) == math.inf
    assert float(sliced_wasserstein2(samples, reference, 4, rng())) == math.inf


@pytest.mark.parametrize("axes", [2, 5])
def test_sliced_distance_of_a_shift_is_the_shift_over_root_axes(axes):
    samples = torch.randn(50, axes, generator=rng())
    shift = torch.arange(1.0, axes + 1)
    distance = float(sliced_wasserstein2(samples, samples + shift, 20_000, rng(1)))
    # Relative standard error of the mean of (s.u)^2 over 20,000 directions is below 0.01.
    assert distance == pytest.approx(float(shift.norm()) / math.sqrt(axes), rel=0.02)


def test_sliced_distance_of_two_gaussians_matches_the_closed_form():
    # N(0, 1) to N(m, s^2) isotropic: every slice has W2^2 = (m.u)^2 + (s - 1)^2.
    samples = torch.randn(20_000, 2, generator=rng())
    reference = 2.5 * torch.randn(15_000, 2, generator=rng(1)) + torch.tensor([1.0, -3.0])
    distance = float(sliced_wasserstein2(samples, reference, 256, rng(2)))
    assert distance == pytest.approx(math.sqrt(10 / 2 + 1.5**2), rel=0.03)


@pytest.mark.parametrize(("n", "m"), [(6, 4), (7, 3), (5, 5), (1, 8)])
def test_sliced_distance_in_one_dimension_equals_the_quantile_integral(n, m):
    x, y = torch.randn(n, 1, generator=rng(n)), 1 + 2 * torch.randn(m, 1, generator=rng(m + 20))
    expected = quantile_brute_force(x.double().numpy()[:, 0], y.double().numpy()[:, 0], n * m)
    assert float(sliced_wasserstein2(x, y, 3, rng())) == pytest.approx(expected, rel=1e-12)


def test_sliced_distance_of_unequal_sizes_equals_brute_force_over_the_same_directions():
    x, y = torch.randn(9, 3, generator=rng(4)).double(), torch.rand(6, 3, generator=rng(5)).double()
    directions = torch.randn(11, 3, generator=rng(6), dtype=torch.float64)
    directions /= directions.norm(dim=1, keepdim=True)
    slices = [quantile_brute_force((x @ u).numpy(), (y @ u).numpy(), 18) ** 2 for u in directions]
    assert float(sliced_wasserstein2(x, y, 11, rng(6))) == pytest.approx(math.sqrt(np.mean(slices)), rel=1e-12)


def test_sliced_distance_does_not_depend_on_the_block_size(monkeypatch):
    x, y = torch.randn(9, 3, generator=rng(4)), torch.rand(6, 3, generator=rng(5))
    whole = float(sliced_wasserstein2(x, y, 11, rng(6)))
    monkeypatch.setattr("mixnash.metrics.functional.distances._BLOCK", 31)
    assert float(sliced_wasserstein2(x, y, 11, rng(6))) == pytest.approx(whole, rel=1e-12)


def test_sliced_distance_of_one_set_in_any_order_and_multiplicity_is_zero():
    samples = torch.randn(40, 2, generator=rng())
    assert float(sliced_wasserstein2(samples, samples.flip(0).repeat(3, 1), 16, rng(1))) == 0


def test_sliced_distance_refuses_no_projection_and_empty_sets():
    with pytest.raises(InvalidInputError, match="at least 1 projection, found 0"):
        sliced_wasserstein2(torch.zeros(3, 2), torch.zeros(3, 2), 0, rng())
    with pytest.raises(InvalidInputError, match="found 3 and 0"):
        sliced_wasserstein2(torch.zeros(3, 2), torch.zeros(0, 2), 4, rng())


def test_subsets_of_an_ordered_reference_are_random_not_prefixes():
    # Half of the reference at 0, then half at 1; all samples at 0. A prefix of 40 would be at distance 0.
    reference = torch.cat([torch.zeros(100, 1), torch.ones(100, 1)])
    metric = Wasserstein2(limit=40)
    metric.update(torch.zeros(200, 1), reference)
    share = float(metric.compute()["wasserstein2"]) ** 2
    assert share == pytest.approx(0.5, abs=0.3)  # Four standard deviations of 40 draws.


def test_the_seed_of_exact_distance_chooses_the_subset():
    samples, reference = torch.randn(50, 2, generator=rng()), torch.randn(70, 2, generator=rng(1))
    values = []
    for seed in (0, 0, 1):
        metric = Wasserstein2(limit=30, seed=seed)
        metric.update(samples, reference)
        values.append(float(metric.compute()["wasserstein2"]))
    assert values[0] == values[1] != values[2]


def test_constructors_refuse_impossible_arguments():
    with pytest.raises(InvalidInputError, match="limit of 5001; use SlicedWasserstein2"):
        Wasserstein2(limit=5001)
    with pytest.raises(InvalidInputError, match="limit of 0"):
        Wasserstein2(limit=0)
    with pytest.raises(InvalidInputError, match="at least 1 projection, found 0"):
        SlicedWasserstein2(projections=0)
