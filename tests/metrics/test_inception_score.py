import itertools
import math

import pytest
import torch
from torch import Tensor
from torch_fidelity.metric_isc import isc_features_to_metric
from torchmetrics.image.inception import InceptionScore as TorchmetricsInceptionScore

from mixnash.core.errors import InvalidInputError
from mixnash.metrics.functional.inception_score import inception_score
from mixnash.metrics.inception_score import InceptionScore


def logits(count: int, classes: int = 5, seed: int = 0, scale: float = 2.0) -> Tensor:
    return scale * torch.randn(count, classes, generator=torch.Generator().manual_seed(seed))


def by_definition(values: Tensor) -> float:
    rows = values.double().softmax(dim=1).tolist()
    marginal = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
    divergences = [sum(p * math.log(p / q) for p, q in zip(row, marginal, strict=True)) for row in rows]
    return math.exp(sum(divergences) / len(rows))


def test_score_equals_the_loop_of_the_definition():
    values = logits(17)
    assert float(inception_score(values).mean) == pytest.approx(by_definition(values), rel=1e-12)
    assert float(inception_score(values).deviation) == 0.0


def test_certain_and_even_samples_score_the_number_of_classes():
    assert float(inception_score(1e4 * torch.eye(7).repeat(3, 1)).mean) == pytest.approx(7.0, rel=1e-12)


def test_certain_samples_of_two_classes_score_the_exponential_of_their_entropy():
    values = 1e4 * torch.eye(7)[[0, 0, 0, 4]]
    assert float(inception_score(values).mean) == pytest.approx((4 / 3) ** 0.75 * 4**0.25, rel=1e-12)


@pytest.mark.parametrize("row", [[0.0] * 6, [300.0, 0.0, 0.0, -200.0, 1.0, 2.0]])
def test_samples_that_are_all_alike_score_one(row):
    assert float(inception_score(torch.tensor([row]).repeat(40, 1)).mean) == pytest.approx(1.0, rel=1e-12)


def test_a_sample_that_is_not_finite_counts_as_of_every_class_and_gives_no_nan():
    values, even = logits(9), logits(9)
    values[2, 1], values[5] = math.nan, math.inf
    even[2], even[5] = 0.0, 0.0
    assert float(inception_score(values).mean) == pytest.approx(float(inception_score(even).mean), rel=1e-12)


def test_parts_are_contiguous_and_as_torch_fidelity_cuts_them():
    values = logits(23)
    found = inception_score(values, 4)
    bounds = [0, 5, 11, 17, 23]
    parts = [by_definition(values[start:end]) for start, end in itertools.pairwise(bounds)]
    assert float(found.mean) == pytest.approx(sum(parts) / 4, rel=1e-12)
    theirs = isc_features_to_metric(values, splits=4, shuffle=False)
    assert float(found.mean) == pytest.approx(theirs["inception_score_mean"], rel=1e-9)
    assert float(found.deviation) == pytest.approx(theirs["inception_score_std"], rel=1e-6)


@pytest.mark.filterwarnings("ignore:Metric `InceptionScore` will save all:UserWarning")
@pytest.mark.filterwarnings("ignore:std..:UserWarning")
def test_score_of_one_part_agrees_with_torchmetrics_and_torch_fidelity():
    values = logits(300, 10)
    metric = InceptionScore()
    metric.update(values[:77])
    metric.update(values[77:])
    found = float(metric.compute()["inception_score"])
    theirs = TorchmetricsInceptionScore(feature=torch.nn.Identity(), splits=1)
    theirs.update(values)
    assert found == pytest.approx(float(theirs.compute()[0]), rel=1e-3)
    assert found == pytest.approx(isc_features_to_metric(values, splits=1)["inception_score_mean"], rel=1e-9)
    assert found > 2


def test_metric_is_named_and_may_be_told_the_classes():
    metric = InceptionScore("score_mnist_cnn", classes=5)
    metric.update(logits(17))
    assert float(metric.compute()["score_mnist_cnn"]) == pytest.approx(by_definition(logits(17)), rel=1e-12)


def test_forward_of_a_batch_adds_to_the_whole():
    metric = InceptionScore()
    metric(logits(10))
    assert float(metric(logits(12, seed=1))["inception_score"]) == pytest.approx(by_definition(logits(12, seed=1)))
    together = torch.cat([logits(10), logits(12, seed=1)])
    assert float(metric.compute()["inception_score"]) == pytest.approx(by_definition(together), rel=1e-12)


def test_too_few_samples_and_impossible_arguments_are_refused():
    with pytest.raises(InvalidInputError, match="found 4 parts and 3 samples"):
        inception_score(logits(3), 4)
    with pytest.raises(InvalidInputError, match="found 0 parts"):
        inception_score(logits(3), 0)
    metric = InceptionScore()
    metric.update(logits(0))
    with pytest.raises(InvalidInputError, match="at least 1 sample, found none"):
        metric.compute()
    with pytest.raises(InvalidInputError, match="at least 1 class, found 0"):
        InceptionScore(classes=0)
    with pytest.raises(InvalidInputError, match="needs a name"):
        InceptionScore("")
