import math

import pytest
import torch

from mixnash.core.errors import InvalidInputError
from mixnash.metrics.functional.mmd import unbiased_mmd_squared
from mixnash.metrics.mmd import MaximumMeanDiscrepancy

BANDWIDTHS = (0.4, 1.7)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def kernel(x: list[float], y: list[float]) -> float:
    square = sum((a - b) ** 2 for a, b in zip(x, y, strict=True))
    return sum(math.exp(-square / (2 * width**2)) for width in BANDWIDTHS)


def double_loop(xs: list[list[float]], ys: list[list[float]]) -> float:
    n, m = len(xs), len(ys)
    within_x = sum(kernel(xs[i], xs[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    within_y = sum(kernel(ys[i], ys[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return within_x + within_y - 2 * sum(kernel(x, y) for x in xs for y in ys) / (n * m)


@pytest.mark.parametrize("block", [1 << 20, 6])
def test_estimate_equals_the_double_loop_of_the_definition(block, monkeypatch):
    monkeypatch.setattr("mixnash.metrics.functional.distances._BLOCK", block)
    x = torch.randn(5, 2, generator=rng(), dtype=torch.float64)
    y = 0.5 + torch.randn(7, 2, generator=rng(1), dtype=torch.float64)
    assert float(unbiased_mmd_squared(x, y, BANDWIDTHS)) == pytest.approx(double_loop(x.tolist(), y.tolist()))


def test_mean_over_equal_laws_is_zero_and_single_values_are_negative_at_times():
    generator = rng(2)
    values = torch.stack(
        [
            unbiased_mmd_squared(
                torch.randn(12, 2, generator=generator), torch.randn(9, 2, generator=generator), BANDWIDTHS
            )
            for _ in range(400)
        ]
    )
    assert abs(float(values.mean())) < 4 * float(values.std()) / math.sqrt(400)
    assert float(values.min()) < 0
    # The biased estimate would add about k(0)/n + k(0)/m less the mean kernel: far outside of that noise.
    assert float(values.std()) / math.sqrt(400) < 0.01


def test_laws_apart_from_each_other_reach_the_largest_value():
    x, y = torch.zeros(4, 2), torch.full((3, 2), 1e3)
    assert float(unbiased_mmd_squared(x, y, BANDWIDTHS)) == pytest.approx(4.0)


def test_a_sample_that_is_not_finite_is_far_from_all_and_gives_no_nan():
    x = torch.randn(5, 2, generator=rng(), dtype=torch.float64)
    y = torch.randn(4, 2, generator=rng(1), dtype=torch.float64)
    far, bad = x.clone(), x.clone()
    far[3], bad[3, 0] = 1e9, math.nan
    assert float(unbiased_mmd_squared(bad, y, BANDWIDTHS)) == pytest.approx(
        float(unbiased_mmd_squared(far, y, BANDWIDTHS))
    )


def test_too_few_samples_are_refused():
    with pytest.raises(InvalidInputError, match="at least 2 samples on both sides, found 1 and 4"):
        unbiased_mmd_squared(torch.zeros(1, 2), torch.zeros(4, 2), BANDWIDTHS)


@pytest.mark.parametrize("bandwidths", [(), (1.0, 0.0), (math.inf,), (math.nan,)])
def test_impossible_bandwidths_are_refused(bandwidths):
    with pytest.raises(InvalidInputError, match="one or more positive, finite bandwidths"):
        MaximumMeanDiscrepancy(bandwidths)
