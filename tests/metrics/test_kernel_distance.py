import math

import pytest
import torch
from torch import Tensor
from torch_fidelity.metric_kid import kid_features_to_metric
from torchmetrics.image.kid import KernelInceptionDistance

from mixnash.core.errors import InvalidInputError
from mixnash.metrics.functional.kernel_distance import kernel_distance, subset_kernel_distances
from mixnash.metrics.kernel_distance import KernelDistance


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def features(count: int, dimension: int = 6, seed: int = 0, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(count, dimension, generator=rng(seed)) + 0.5


def kernel(x: list[float], y: list[float]) -> float:
    return (sum(a * b for a, b in zip(x, y, strict=True)) / len(x) + 1) ** 3


def double_loop(xs: list[list[float]], ys: list[list[float]]) -> float:
    n, m = len(xs), len(ys)
    within_x = sum(kernel(xs[i], xs[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    within_y = sum(kernel(ys[i], ys[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return within_x + within_y - 2 * sum(kernel(x, y) for x in xs for y in ys) / (n * m)


@pytest.mark.parametrize("block", [1 << 20, 8, 21])
def test_estimate_equals_the_double_loop_of_the_definition_whatever_the_blocks(block, monkeypatch):
    monkeypatch.setattr("mixnash.metrics.functional.distances._BLOCK", block)
    x, y = features(7), features(10, seed=1, scale=1.5)
    assert float(kernel_distance(x, y)) == pytest.approx(double_loop(x.tolist(), y.tolist()), rel=1e-12)


def test_estimate_by_hand():
    x, y = torch.tensor([[1.0], [2.0]]), torch.tensor([[0.0], [-1.0]])
    within = (1 * 2 + 1) ** 3 + (0 + 1) ** 3
    between = (1 + 1 + 0 + (-1) ** 3) / 4
    assert float(kernel_distance(x, y)) == within - 2 * between


def test_mean_over_equal_laws_is_zero_and_single_values_are_negative_at_times():
    generator = rng(2)
    values = torch.stack(
        [
            kernel_distance(torch.randn(12, 3, generator=generator), torch.randn(9, 3, generator=generator))
            for _ in range(400)
        ]
    )
    assert abs(float(values.mean())) < 4 * float(values.std()) / math.sqrt(400)
    assert float(values.min()) < 0


def test_whole_sets_as_subsets_give_the_full_estimate_without_deviation():
    x, y = features(30), features(30, seed=1)
    found = subset_kernel_distances(x, y, 3, 30, rng())
    assert float(found.mean) == pytest.approx(float(kernel_distance(x, y)), rel=1e-12)
    assert float(found.deviation) == pytest.approx(0.0, abs=1e-13)


def test_mean_over_many_subsets_approaches_the_full_estimate():
    x, y = features(60), features(80, seed=1, scale=1.3)
    found = subset_kernel_distances(x, y, 400, 20, rng())
    assert abs(float(found.mean) - float(kernel_distance(x, y))) < 4 * float(found.deviation) / math.sqrt(400)
    assert float(found.deviation) > 0.01


def test_subsets_are_those_of_the_generator():
    x, y = features(30), features(30, seed=1)
    first, again, other = (float(subset_kernel_distances(x, y, 2, 10, rng(seed)).mean) for seed in (3, 3, 4))
    assert first == again != other


class Identity(torch.nn.Module):
    """What torchmetrics takes for an extractor."""

    def forward(self, images: Tensor) -> Tensor:
        return images


@pytest.mark.filterwarnings("ignore:Metric `Kernel Inception Distance` will save:UserWarning")
def test_estimate_agrees_with_torchmetrics_and_torch_fidelity_on_the_same_features():
    x, y = features(200, 16), features(200, 16, seed=1, scale=1.2)
    found = subset_kernel_distances(x, y, 2, 200, rng())
    theirs = KernelInceptionDistance(feature=Identity(), subsets=2, subset_size=200)
    theirs.update(x, real=False)
    theirs.update(y, real=True)
    mean, deviation = theirs.compute()
    assert float(found.mean) == pytest.approx(float(mean), rel=1e-3)
    assert float(found.deviation) == pytest.approx(float(deviation), abs=1e-5)
    fidelity = kid_features_to_metric(x, y, kid_subsets=2, kid_subset_size=200, verbose=False)
    assert float(found.mean) == pytest.approx(fidelity["kernel_inception_distance_mean"], rel=1e-3)


def test_deviation_is_that_of_the_population_as_in_torch_fidelity():
    x, y = features(12), features(12, seed=1)
    values = []
    generator = rng(5)
    for _ in range(3):
        rows = torch.randperm(12, generator=generator)[:4], torch.randperm(12, generator=generator)[:4]
        values.append(double_loop(x[rows[0]].tolist(), y[rows[1]].tolist()))
    mean = sum(values) / 3
    found = subset_kernel_distances(x, y, 3, 4, rng(5))
    assert float(found.mean) == pytest.approx(mean, rel=1e-10)
    assert float(found.deviation) == pytest.approx(
        math.sqrt(sum((value - mean) ** 2 for value in values) / 3), rel=1e-9
    )


@pytest.mark.parametrize("bad", [math.nan, -math.inf])
def test_features_that_are_not_finite_are_infinitely_far_and_give_no_nan(bad):
    x, y = features(9), features(9, seed=1)
    x[3, 2] = bad
    found = subset_kernel_distances(x, y, 2, 9, rng())
    assert float(kernel_distance(x, y)) == float(found.mean) == float(found.deviation) == math.inf


def test_metric_gives_mean_and_deviation_of_its_subsets():
    x, y = features(30), features(40, seed=1)
    metric = KernelDistance("kd_digits_cnn", 200, 25)
    metric.update(x, y)
    found = metric.compute()
    assert list(found) == ["kd_digits_cnn", "kd_digits_cnn_std"]
    spread = float(found["kd_digits_cnn_std"])
    assert spread > 0
    assert abs(float(found["kd_digits_cnn"]) - float(kernel_distance(x, y))) < 4 * spread


def test_more_than_the_most_samples_are_cut_to_a_choice_that_ignores_the_batches():
    x, y = features(50), features(60, seed=1)
    found = []
    for cut in (10, 35):
        metric = KernelDistance("kid", 1, 20, max_samples=20, seed=7)
        metric.update(x[:cut], y[:cut])
        metric.update(x[cut:], y[cut:])
        found.append(metric.compute())
    assert found[0] == found[1]
    assert float(found[0]["kid"]) != pytest.approx(float(kernel_distance(x, y)), rel=1e-6)


def test_too_few_samples_and_impossible_arguments_are_refused():
    with pytest.raises(InvalidInputError, match="at least 2 samples on both sides, found 1 and 9"):
        kernel_distance(features(1), features(9))
    metric = KernelDistance("kid", 5, 20)
    metric.update(features(30), features(19))
    with pytest.raises(
        InvalidInputError, match="in subsets of 20 needs as many samples on both sides, found 30 and 19"
    ):
        metric.compute()
    with pytest.raises(InvalidInputError, match="at least 1 subset of at least 2 samples, found 0 of 10"):
        KernelDistance("kid", 0, 10)
    with pytest.raises(InvalidInputError, match="found 3 of 1"):
        subset_kernel_distances(features(9), features(9), 3, 1, rng())
    with pytest.raises(InvalidInputError, match="max_samples = 9"):
        KernelDistance("kid", 5, 10, max_samples=9)
    with pytest.raises(InvalidInputError, match="needs a name"):
        KernelDistance("")
