import numpy as np
import pytest
import torch
from torch import Tensor

from mixnash.core.errors import InvalidInputError
from mixnash.metrics.functional.moments import combine, feature_moments

DOUBLE = torch.float64


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=rng(seed), dtype=DOUBLE)


def features(count: int, dimension: int, seed: int, offset: float = 1.0) -> Tensor:
    """Correlated, of unequal scales, away from 0, as float32."""
    mixing = normal(dimension, dimension, seed=100) * torch.linspace(0.2, 1.5, dimension, dtype=DOUBLE)
    return (normal(count, dimension, seed=seed) @ mixing + offset).float()


def test_moments_of_batches_add_to_those_of_all():
    values = features(50, 4, 0)
    added, at_once = feature_moments(values[:13]) + feature_moments(values[13:]), feature_moments(values)
    assert int(added.count) == 50
    torch.testing.assert_close(added.sum, at_once.sum)
    torch.testing.assert_close(added.outer, at_once.outer)


def test_mean_and_covariance_are_the_unbiased_ones():
    values = features(50, 4, 0)
    found = feature_moments(values).mean_covariance()
    torch.testing.assert_close(found.mean, values.double().mean(dim=0), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found.covariance, values.double().T.cov(), rtol=1e-11, atol=1e-12)


def test_mixture_with_weights_in_proportion_to_counts_is_the_concatenation():
    parts = [features(count, 3, count, offset) for count, offset in ((5, 0.0), (20, 3.0), (11, -1.0))]
    found = combine([feature_moments(part) for part in parts], torch.tensor([5.0, 20.0, 11.0]) / 36)
    together = torch.cat(parts).double()
    torch.testing.assert_close(found.mean, together.mean(dim=0), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(found.covariance, together.T.cov(), rtol=1e-6, atol=1e-6)


def test_mixture_by_hand_with_weights_other_than_the_counts():
    pair = feature_moments(torch.tensor([[0.0], [2.0]]))
    single = feature_moments(torch.tensor([[4.0]]))
    found = combine([pair, single], torch.tensor([0.75, 0.25]))
    assert found.mean.tolist() == [0.75 * 1 + 0.25 * 4]
    scatter = 0.75 * 2 + 0.25 * 16 - 1.75**2
    assert float(found.covariance) == pytest.approx(scatter / (1 - 0.75**2 / 2 - 0.25**2), rel=1e-14)


def test_mixture_equals_numpy_with_a_weight_for_each_sample():
    parts, weights = [features(7, 3, 1), features(30, 3, 2, -2.0)], torch.tensor([0.625, 0.375])
    found = combine([feature_moments(part) for part in parts], weights)
    each = np.concatenate([np.full(7, 0.625 / 7), np.full(30, 0.375 / 30)])
    together = torch.cat(parts).double().numpy()
    np.testing.assert_allclose(found.mean, np.average(together, axis=0, weights=each), rtol=1e-12)
    np.testing.assert_allclose(found.covariance, np.cov(together, rowvar=False, aweights=each), rtol=1e-10, atol=1e-12)


def test_a_particle_of_weight_zero_may_lack_samples_and_does_not_count():
    parts = [feature_moments(features(9, 2, 0)), feature_moments(torch.zeros(0, 2)), feature_moments(normal(4, 2))]
    found = combine(parts, torch.tensor([1.0, 0.0, 0.0]))
    torch.testing.assert_close(found, parts[0].mean_covariance(), rtol=0.0, atol=0.0)


def test_impossible_mixtures_are_refused():
    one, empty = feature_moments(features(9, 2, 0)), feature_moments(torch.zeros(0, 2))
    with pytest.raises(InvalidInputError, match="one weight for each of its sets of moments, found 2 for 1"):
        combine([one], torch.tensor([0.5, 0.5]))
    with pytest.raises(InvalidInputError, match="at least 0 and sum to 1"):
        combine([one, one], torch.tensor([0.5, 0.6]))
    with pytest.raises(InvalidInputError, match="at least 0 and sum to 1"):
        combine([one, one], torch.tensor([1.5, -0.5]))
    with pytest.raises(InvalidInputError, match="positive weight has no samples"):
        combine([one, empty], torch.tensor([0.5, 0.5]))
    with pytest.raises(InvalidInputError, match="at least 2 samples, found 1"):
        feature_moments(torch.zeros(1, 2)).mean_covariance()


@pytest.mark.parametrize("count", [3, 10_000])
def test_identical_features_have_covariance_exactly_zero_however_they_are_added(count):
    point = torch.tensor([[0.1, -7.3, 1e4, 3e-5, 0.0]])
    moments = feature_moments(point.expand(count % 97, 5))
    for _ in range(count // 97):
        moments = moments + feature_moments(point.expand(97, 5))
    assert not moments.mean_covariance().covariance.any()


def test_small_spread_far_from_the_origin_is_kept():
    values = 1.0 + 3e-5 * normal(500, 2)
    torch.testing.assert_close(
        feature_moments(values).mean_covariance().covariance, values.T.cov(), rtol=1e-4, atol=1e-14
    )
