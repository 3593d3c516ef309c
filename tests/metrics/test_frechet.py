import math

import pytest
import torch
from torch import Tensor
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torchmetrics import MetricCollection
from torchmetrics.image.fid import FrechetInceptionDistance

from mixnash.core.errors import InvalidInputError
from mixnash.metrics.frechet import FrechetDistance
from mixnash.metrics.functional.frechet import (
    frechet_distance,
    frechet_distance_of_features,
    frechet_distance_reference,
)
from mixnash.metrics.functional.moments import FeatureMoments, combine, feature_moments

DOUBLE = torch.float64


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=rng(seed), dtype=DOUBLE)


def covariance(values: Tensor, seed: int) -> Tensor:
    """With these eigenvalues, in a random basis."""
    basis = torch.linalg.qr(normal(len(values), len(values), seed=seed)).Q
    return (basis * values) @ basis.T


def features(count: int, dimension: int, seed: int, offset: float = 1.0) -> Tensor:
    """Correlated, of unequal scales, away from 0, as float32."""
    mixing = normal(dimension, dimension, seed=100) * torch.linspace(0.2, 1.5, dimension, dtype=DOUBLE)
    return (normal(count, dimension, seed=seed) @ mixing + offset).float()


def distance(one: Tensor, other: Tensor) -> float:
    return float(frechet_distance(*feature_moments(one).mean_covariance(), *feature_moments(other).mean_covariance()))


# ---------------------------------------------------------------------- closed forms


def test_distance_in_one_dimension_is_that_of_means_and_deviations():
    found = frechet_distance(*(torch.tensor(value, dtype=DOUBLE) for value in ([3.0], [[4.0]], [1.0], [[0.25]])))
    assert float(found) == pytest.approx((3 - 1) ** 2 + (2 - 0.5) ** 2, rel=1e-14)


def test_distance_of_scaled_identities():
    mean, eye = normal(30), torch.eye(30, dtype=DOUBLE)
    found = frechet_distance(mean, 9 * eye, mean + 0.5, 0.16 * eye)
    assert float(found) == pytest.approx(30 * 0.25 + 30 * (3 - 0.4) ** 2, rel=1e-13)


@pytest.mark.parametrize("smallest", [1e-1, 1e-6, 1e-11])
def test_distance_of_commuting_covariances_is_that_of_the_roots_of_their_eigenvalues(smallest):
    one = torch.logspace(0, math.log10(smallest), 60, dtype=DOUBLE)
    other = 2 * one.flip(0)
    found = frechet_distance(normal(60), covariance(one, 5), normal(60, seed=1), covariance(other, 5))
    means = (normal(60) - normal(60, seed=1)).square().sum()
    assert float(found) == pytest.approx(float(means + (one.sqrt() - other.sqrt()).square().sum()), rel=1e-9)


@pytest.mark.parametrize("smallest", [1e-1, 1e-6])
def test_distance_equals_the_general_eigenvalues(smallest):
    one = covariance(torch.logspace(0, math.log10(smallest), 80, dtype=DOUBLE), 1)
    other = covariance(torch.logspace(1, math.log10(smallest), 80, dtype=DOUBLE), 2)
    arguments = (normal(80), one, normal(80, seed=3) * 0.1, other)
    expected = float(frechet_distance_reference(*arguments))
    assert float(frechet_distance(*arguments)) == pytest.approx(expected, rel=1e-9)
    assert expected > 0.1


def test_distance_is_symmetric():
    one, other = feature_moments(features(90, 20, 0)), feature_moments(features(15, 20, 1, 0.5))
    there = frechet_distance(*one.mean_covariance(), *other.mean_covariance())
    back = frechet_distance(*other.mean_covariance(), *one.mean_covariance())
    assert float(there) == pytest.approx(float(back), rel=1e-12)


# ---------------------------------------------------------------------- singular covariances


def test_total_collapse_has_the_closed_form():
    real = features(200, 30, 0)
    collapsed = torch.full((1000, 30), 0.1) + 3.7
    mean, target = real.double().mean(dim=0), real.double().T.cov()
    expected = (collapsed[0].double() - mean).square().sum() + target.trace()
    assert distance(collapsed, real) == pytest.approx(float(expected), rel=1e-13)
    assert distance(real, collapsed) == pytest.approx(float(expected), rel=1e-13)


def test_two_points_have_finite_distance_zero_to_a_set_of_the_same_moments_and_positive_to_others():
    both = features(2, 30, 0)
    assert distance(both.repeat(50, 1), both.repeat(50, 1)) < 1e-11
    assert distance(both[:1].repeat(50, 1), both[1:].repeat(70, 1)) == pytest.approx(
        float((both[0].double() - both[1].double()).square().sum()), rel=1e-12
    )


@pytest.mark.parametrize(("count", "dimension"), [(20, 64), (40, 256), (2, 8), (65, 64), (63, 64)])
def test_identical_sets_of_few_samples_have_distance_zero(count, dimension):
    values = features(count, dimension, 3)
    scale = float(values.double().T.cov().trace())
    assert distance(values, values) <= 1e-12 * scale
    assert float(frechet_distance_of_features(values, values)) <= 1e-12 * scale


@pytest.mark.parametrize(("n", "m"), [(20, 30), (20, 500), (500, 20), (300, 400), (64, 65)])
def test_moments_and_centred_factors_agree_whichever_sides_are_singular(n, m):
    one, other = features(n, 64, 4), features(m, 64, 5, 1.2)
    exact = float(frechet_distance_of_features(one, other))
    assert distance(one, other) == pytest.approx(exact, rel=1e-9)


def test_constant_features_on_either_side_are_exact():
    one, other = features(300, 40, 6), features(300, 40, 7)
    one[:, ::5] = 0.3
    other[:, ::7] = -0.1
    assert distance(one, other) == pytest.approx(float(frechet_distance_of_features(one, other)), rel=1e-10)


def test_eigenvalues_at_the_rounding_of_the_largest_cost_less_than_a_millionth():
    values = torch.cat([torch.ones(20, dtype=DOUBLE), torch.full((30,), 1e-14, dtype=DOUBLE), torch.zeros(10)])
    one, other = covariance(values, 8), covariance(values.flip(0), 8)
    zero = torch.zeros(60, dtype=DOUBLE)
    expected = float((values.sqrt() - values.flip(0).sqrt()).square().sum())
    assert float(frechet_distance(zero, one, zero, other)) == pytest.approx(expected, rel=1e-6)
    assert float(frechet_distance(zero, one, zero, one)) < 1e-12


def test_equal_gaussians_are_at_distance_zero_and_never_below():
    for seed in range(20):
        one = covariance(torch.rand(30, generator=rng(seed), dtype=DOUBLE), seed)
        assert 0 <= float(frechet_distance(normal(30), one, normal(30), one)) < 1e-12


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_features_that_are_not_finite_are_infinitely_far(bad):
    values = features(50, 4, 0)
    spoilt = values.clone()
    spoilt[3, 1] = bad
    assert distance(spoilt, values) == math.inf
    assert float(frechet_distance_of_features(spoilt, values)) == math.inf


@pytest.mark.usefixtures("no_shape_checks")
def test_different_dimensions_are_refused():
    with pytest.raises(InvalidInputError, match="one extractor, found 3 and 4 dimensions"):
        distance(features(9, 3, 0), features(9, 4, 0))
    with pytest.raises(InvalidInputError, match="one extractor, found 3 and 4 dimensions"):
        frechet_distance_of_features(features(9, 3, 0), features(9, 4, 0))


def test_one_sample_has_no_covariance():
    with pytest.raises(InvalidInputError, match="at least 2 samples on both sides, found 1 and 9"):
        frechet_distance_of_features(features(1, 3, 0), features(9, 3, 0))


# ---------------------------------------------------------------------- other implementations


class Identity(torch.nn.Module):
    """What torchmetrics takes for an extractor."""

    num_features = 12

    def forward(self, images: Tensor) -> Tensor:
        return images


@pytest.mark.parametrize("count", [400, 10])
def test_distance_agrees_with_torchmetrics_and_torch_fidelity_on_the_same_features(count):
    fakes, reals = features(count, 12, 9, 0.7), features(350, 12, 10)
    theirs = FrechetInceptionDistance(feature=Identity(), normalize=True)
    theirs.update(fakes, real=False)
    theirs.update(reals, real=True)
    found = distance(fakes, reals)
    assert found == pytest.approx(float(theirs.compute()), rel=1e-3)
    statistics = [fid_features_to_statistics(values.double()) for values in (fakes, reals)]
    expected = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert found == pytest.approx(expected, rel=1e-6)


# ---------------------------------------------------------------------- the metric


def test_metric_finds_the_dimension_itself_or_is_given_it():
    fakes, reals = features(60, 5, 11), features(70, 5, 12)
    for metric in (FrechetDistance("fd_plane"), FrechetDistance("fd_plane", 5)):
        metric.update(fakes[:20], reals[:50])
        metric.update(fakes[20:], reals[50:])
        assert float(metric.compute()["fd_plane"]) == pytest.approx(distance(fakes, reals), rel=1e-12)


def test_forward_of_a_batch_adds_to_the_whole():
    fakes, reals = features(60, 5, 11), features(60, 5, 12)
    metric = FrechetDistance("fd_plane")
    metric(fakes[:30], reals[:30])
    batch = metric(fakes[30:], reals[30:])
    assert float(batch["fd_plane"]) == pytest.approx(distance(fakes[30:], reals[30:]), rel=1e-10)
    assert float(metric.compute()["fd_plane"]) == pytest.approx(distance(fakes, reals), rel=1e-10)


def test_metrics_of_particles_give_the_distance_of_the_weighted_mixture():
    parts, reals = [features(20, 4, 14), features(35, 4, 15, 2.0)], features(90, 4, 16)
    metrics = [FrechetDistance("fd_plane") for _ in parts]
    for metric, part in zip(metrics, parts, strict=True):
        metric.update(part, reals)
    mixture = combine([metric.moments() for metric in metrics], torch.tensor([0.25, 0.75]))
    resampled = torch.cat([parts[0].repeat(7, 1), parts[1].repeat(12, 1)])  # 140 to 420, which is 1 to 3
    found = float(frechet_distance(*mixture, *feature_moments(reals).mean_covariance()))
    assert found == pytest.approx(distance(resampled, reals), rel=0.05)
    assert float((mixture.mean - resampled.double().mean(dim=0)).abs().max()) < 1e-12


def test_a_collection_hands_over_what_the_metric_takes():
    collection = MetricCollection([FrechetDistance("fd_plane")])
    collection.update(features=features(9, 2, 0), reference_features=features(9, 2, 1), logits=normal(9, 3))
    assert list(collection.compute()) == ["fd_plane"]


def test_too_few_samples_and_impossible_arguments_are_refused():
    metric = FrechetDistance("fd_plane")
    metric.update(features(1, 3, 0), features(9, 3, 0))
    with pytest.raises(InvalidInputError, match="fd_plane needs at least 2 samples and 2 real samples, found 1 and 9"):
        metric.compute()
    with pytest.raises(InvalidInputError, match="needs a name"):
        FrechetDistance("")
    with pytest.raises(InvalidInputError, match="at least 1 dimension, found 0"):
        FrechetDistance("fd_plane", 0)


def test_moments_of_a_metric_are_sums():
    metric = FrechetDistance("fd_plane")
    values = features(9, 3, 0)
    metric.update(values, values)
    assert isinstance(metric.moments(), FeatureMoments)
    torch.testing.assert_close(metric.moments().outer, values.double().T @ values.double())
