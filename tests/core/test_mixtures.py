"""Gaussian mixtures: density against torch.distributions, sampled moments, stratified counts."""

import math

import pytest
import torch

from mixnash.core.errors import InvalidInputError
from mixnash.core.mixtures import log_density, make_mixture, sample_mixture, sample_stratified
from problems import DOUBLE, make_rng, normal

CENTRES = torch.tensor([[0.0, 1.0], [9.0, -2.0], [-5.0, 0.5]], dtype=DOUBLE)
SCALES = torch.tensor([0.2, 1.0, 0.5], dtype=DOUBLE)
WEIGHTS = torch.tensor([1.0, 5.0, 2.0], dtype=DOUBLE)


def reference_density(points, weights):
    normals = torch.distributions.Independent(torch.distributions.Normal(CENTRES, SCALES.unsqueeze(-1).expand(3, 2)), 1)
    return torch.distributions.MixtureSameFamily(torch.distributions.Categorical(weights), normals).log_prob(points)


def nearest(points):
    return torch.cdist(points, CENTRES).argmin(1)


def test_weights_are_normalised_and_equal_unless_given():
    torch.testing.assert_close(make_mixture(CENTRES, SCALES, WEIGHTS).weights, WEIGHTS / 8)
    assert make_mixture(CENTRES, SCALES).weights.tolist() == pytest.approx([1 / 3] * 3)


@pytest.mark.parametrize("given", [WEIGHTS, None], ids=["unequal", "equal"])
def test_log_density_equals_torch_distributions_in_double_precision(given):
    points = 3 * normal(50, 2)
    expected = reference_density(points, torch.ones(3, dtype=DOUBLE) if given is None else given)
    torch.testing.assert_close(log_density(make_mixture(CENTRES, SCALES, given), points), expected, rtol=0, atol=1e-12)


def test_log_density_far_away_is_the_exact_quadratic():
    mixture = make_mixture(torch.zeros(1, 2, dtype=DOUBLE), torch.tensor([0.5], dtype=DOUBLE))
    far = torch.tensor([[300.0, 400.0]], dtype=DOUBLE)
    expected = -(500.0**2) / (2 * 0.25) - math.log(2 * math.pi * 0.25)
    assert float(log_density(mixture, far)) == pytest.approx(expected, rel=1e-12)


def test_samples_have_the_moments_of_the_mixture():
    count = 40000
    points = sample_mixture(make_mixture(CENTRES, SCALES, WEIGHTS), count, make_rng(1))
    p = WEIGHTS / 8
    mode = nearest(points)
    share = torch.bincount(mode, minlength=3) / count
    assert bool(((share - p).abs() < 4 * (p * (1 - p) / count).sqrt()).all())
    for m in range(3):
        own = points[mode == m]
        assert bool(((own.mean(0) - CENTRES[m]).abs() < 4 * SCALES[m] / len(own) ** 0.5).all())
        assert bool(((own.std(0) / SCALES[m] - 1).abs() < 4 / (2 * len(own)) ** 0.5).all())


@pytest.mark.parametrize("sample", [sample_mixture, sample_stratified])
def test_samples_depend_on_the_stream_alone_and_keep_the_dtype(sample):
    mixture = make_mixture(CENTRES.float(), SCALES.float(), WEIGHTS.float())
    torch.manual_seed(0)
    one = sample(mixture, 30, make_rng(1))
    torch.manual_seed(1)
    assert torch.equal(one, sample(mixture, 30, make_rng(1)))
    assert not torch.equal(one, sample(mixture, 30, make_rng(2)))
    assert one.dtype == torch.float32
    assert sample(make_mixture(CENTRES, SCALES), 4, make_rng(1)).dtype == DOUBLE


@pytest.mark.parametrize(
    ("weights", "count", "counts"),
    [
        ([1.0, 5.0, 2.0], 80, [10, 50, 20]),
        ([1.0, 5.0, 2.0], 11, [1, 7, 3]),  # 1.375, 6.875, 2.75: the two larger remainders get the rest
        ([0.1, 0.7, 0.2], 10, [1, 7, 2]),  # rounding errors of the weights must not move a sample
        ([1.0, 5.0, 2.0], 1, [0, 1, 0]),
        ([0.02, 0.02, 0.96], 3, [0, 0, 3]),
    ],
)
def test_stratified_counts_are_the_expected_ones_by_largest_remainder(weights, count, counts):
    # Far apart and narrow: the mode of a sample is certain.
    mixture = make_mixture(CENTRES.float(), torch.full((3,), 1e-3), torch.tensor(weights))
    points = sample_stratified(mixture, count, make_rng(3))
    assert torch.bincount(nearest(points.double()), minlength=3).tolist() == counts


def test_stratified_samples_have_the_scale_of_their_mode():
    points = sample_stratified(make_mixture(CENTRES, SCALES, WEIGHTS), 8000, make_rng(4))
    own = points[:1000]  # modes come in order
    assert bool(((own.mean(0) - CENTRES[0]).abs() < 4 * 0.2 / 1000**0.5).all())
    assert bool(((own.std(0) / 0.2 - 1).abs() < 4 / 2000**0.5).all())


@pytest.mark.parametrize(
    ("centres", "scales", "weights", "message"),
    [
        (CENTRES, SCALES[:2], None, "mixture of 3 modes needs as many scales, found 2"),
        (CENTRES, SCALES, WEIGHTS[:1], "mixture of 3 modes needs as many weights, found 1"),
        (CENTRES, -SCALES, None, "All scales of a mixture must be positive, found -1.0"),
        (CENTRES, SCALES, WEIGHTS - 1, "All weights of a mixture must be positive, found 0.0"),
        (CENTRES[0], SCALES, None, "needs centres .modes, axes."),
        (CENTRES[:0], SCALES[:0], None, "needs centres .modes, axes."),
        (CENTRES * math.inf, SCALES, None, "must be finite"),
        (CENTRES, SCALES * math.inf, None, "must be finite"),
        (CENTRES, SCALES, WEIGHTS * math.inf, "must be finite"),
    ],
)
@pytest.mark.usefixtures("no_shape_checks")
def test_a_mixture_refuses_what_is_no_mixture(centres, scales, weights, message):
    with pytest.raises(InvalidInputError, match=message):
        make_mixture(centres, scales, weights)
