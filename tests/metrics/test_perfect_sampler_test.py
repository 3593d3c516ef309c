"""The test against a perfect sampler: calibrated under the null, powerful against the faults it names."""

import functools

import pytest
import torch
from scipy import stats

from mixnash.core.errors import InvalidInputError
from mixnash.core.mixtures import make_mixture, sample_mixture
from mixnash.metrics.functional.cut_normal import chi_square, standard_threshold
from mixnash.metrics.functional.perfect import (
    STATISTICS,
    VARIANTS,
    are_separated,
    corrected_p_value,
    deviations,
    moment_statistics,
    perfect_deviations,
)
from mixnash.metrics.perfect import PerfectSamplerTest

COUNT = 2_000


def mixture(weights=None, scale=0.05):
    centres = torch.cartesian_prod(torch.arange(3.0), torch.arange(2.0))
    return make_mixture(centres, torch.full((6,), scale), weights)


@functools.cache
def null():
    return perfect_deviations(mixture(), COUNT, 3.0, repeats=1000, seed=1)


def p_values(samples):
    found = deviations(moment_statistics(samples, mixture(), 3.0), mixture(), 3.0)
    return {name: corrected_p_value(found, null(), names) for name, names in VARIANTS.items()} | {
        name: corrected_p_value(found, null(), (name,)) for name in STATISTICS
    }


def draws(seed, law=None):
    return sample_mixture(mixture() if law is None else law, COUNT, torch.Generator().manual_seed(seed))


def test_p_values_of_perfect_samples_are_uniform():
    found = [p_values(draws(seed)) for seed in range(200)]
    for name in (*VARIANTS, "reverse_kl", "width", "mode_width", "mode_centre"):
        values = [one[name] for one in found]
        assert stats.kstest(values, "uniform").pvalue > 0.002, name
        assert 0.015 < sum(value < 0.05 for value in values) / 200 < 0.1, name


def test_too_few_samples_of_high_quality_are_found():
    samples = draws(3)
    samples[:40] += 0.4  # 0.969 of high quality
    found = p_values(samples)
    assert found["perfect_p_coverage"] < 0.005
    assert found["perfect_p_full"] < 0.005


def test_masses_off_by_a_fifth_are_found_but_masses_that_are_too_even_are_no_fault():
    uneven = mixture(torch.tensor([1.2, 0.8, 1.2, 0.8, 1.2, 0.8]))
    assert p_values(draws(4, uneven))["perfect_p_coverage"] < 0.005
    even = mixture().centres.repeat_interleave(COUNT // 6, 0)
    assert p_values(even)["reverse_kl"] == 1.0


def test_a_missing_mode_is_found():
    samples = draws(5)
    assert p_values(samples[samples[:, 0] < 1.5])["modes"] < 0.001


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_widths_off_by_a_tenth_are_found_by_the_full_variant(factor):
    found = p_values(draws(6, mixture(scale=0.05 * factor)))
    assert found["perfect_p_full"] < 0.005
    assert found["width"] < 0.001


def test_one_centre_off_by_a_third_of_sigma_is_found_by_the_full_variant_alone():
    samples = draws(7)
    moved = (samples - torch.tensor([1.0, 1.0])).norm(dim=1) < 0.3
    samples[moved] += torch.tensor([0.015, 0.0])
    found = p_values(samples)
    assert found["perfect_p_full"] < 0.005 < 0.05 < found["perfect_p_coverage"]
    assert found["mode_centre"] < 0.001


def test_deviations_by_hand():
    law = make_mixture(torch.tensor([[0.0, 0.0], [10.0, 0.0]]), torch.tensor([1.0, 2.0]), torch.tensor([1.0, 3.0]))
    samples = torch.tensor([[1.0, 0.0], [0.0, 1.0], [12.0, 0.0], [5.0, 0.0]])
    found = dict(zip(STATISTICS, deviations(moment_statistics(samples, law, 2.0), law, 2.0).tolist(), strict=True))
    q = 1 - 2.718281828459045**-2
    mean = 2 * stats.chi2.cdf(4, 4) / q
    deviation = (8 * stats.chi2.cdf(4, 6) / q - mean**2) ** 0.5
    shares = torch.tensor([2 / 3, 1 / 3]).double()
    assert found["high_quality"] == pytest.approx(abs(3 - 4 * q))
    assert found["reverse_kl"] == pytest.approx(float((shares * (shares / torch.tensor([0.25, 0.75])).log()).sum()))
    assert found["modes"] == -2
    assert found["width"] == pytest.approx(abs(3 - 3 * mean) / (deviation * 3**0.5))
    assert found["mode_width"] == pytest.approx(abs(2 - 2 * mean) / (deviation * 2**0.5))
    assert found["mode_centre"] == pytest.approx(2 * 2 / (mean * 2))


def test_a_corrected_p_value_by_hand():
    perfect = torch.tensor([[1.0, 5.0], [2.0, 1.0], [3.0, 2.0]])
    found = torch.tensor([2.5, 0.0])
    # ranks from the top: first 2, 4, 3, 1; second 4, 1, 3, 2: least 2, 1, 3, 1
    names = STATISTICS[:2]
    assert corrected_p_value(found, perfect, names) == pytest.approx(3 / 4)
    assert corrected_p_value(found, perfect, names[:1]) == pytest.approx(2 / 4)


def test_the_metric_is_the_function_over_updates():
    metric, samples = PerfectSamplerTest(mixture(), repeats=1000, seed=1), draws(8)
    metric.update(samples[:700])
    metric.update(samples[700:])
    expected = p_values(samples)
    assert {name: float(value) for name, value in metric.compute().items()} == {
        name: expected[name] for name in VARIANTS
    }


def test_the_standard_threshold_passes_as_many_in_any_dimension_as_three_sigma_in_the_plane():
    assert standard_threshold(2) == 3.0
    for axes in (1, 3, 10, 200):
        assert stats.chi.cdf(standard_threshold(axes), axes) == pytest.approx(1 - 2.718281828459045**-4.5)
        assert chi_square(axes, standard_threshold(axes)) == pytest.approx(chi_square(2, 3.0))


def test_overlapping_modes_are_refused():
    close = mixture(scale=0.2)
    assert are_separated(mixture(), 3.0)
    assert not are_separated(close, 3.0)
    with pytest.raises(InvalidInputError, match="modes that do not overlap within 3 sigma"):
        perfect_deviations(close, 100, 3.0)
    with pytest.raises(InvalidInputError, match="need samples and repeats, found 0 and 2000"):
        perfect_deviations(mixture(), 0, 3.0)
