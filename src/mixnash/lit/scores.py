"""Which metrics fit which data."""

from functools import singledispatch

from torchmetrics import MetricCollection

from mixnash.data.base import AbstractDataModule, AbstractImageData, AbstractMixtureData, AbstractPointData
from mixnash.data.stacked_mnist import StackedMNIST
from mixnash.metrics.features.base import AbstractExtractor
from mixnash.metrics.frechet import FrechetDistance
from mixnash.metrics.functional.perfect import are_separated
from mixnash.metrics.inception_score import InceptionScore
from mixnash.metrics.kernel_distance import KernelDistance
from mixnash.metrics.manifold import PrecisionRecallDensityCoverage
from mixnash.metrics.mmd import MaximumMeanDiscrepancy
from mixnash.metrics.mode_coverage import ModeCoverage
from mixnash.metrics.perfect import PerfectSamplerTest
from mixnash.metrics.stacked_modes import StackedModes
from mixnash.metrics.transport import SlicedWasserstein2, Wasserstein2

WATCHED = 2_000
"""Most images on each side that neighbours are searched among while training."""


@singledispatch
def training_metrics(data: AbstractDataModule, extractor: AbstractExtractor | None = None) -> MetricCollection:
    """Metrics cheap enough to watch while training; each takes what it needs of an `observation`.

    Args:
        data: what is trained on.
        extractor: for images, whose features are to be compared; None for points.
    """
    del data, extractor
    return MetricCollection({"sliced": SlicedWasserstein2()})


@training_metrics.register
def _(data: AbstractMixtureData, extractor: AbstractExtractor | None = None) -> MetricCollection:
    del extractor
    return MetricCollection({"modes": ModeCoverage(data.mixture), "sliced": SlicedWasserstein2()})


@training_metrics.register
def _(data: AbstractImageData, extractor: AbstractExtractor | None = None) -> MetricCollection:
    metrics = MetricCollection({"sliced": SlicedWasserstein2()})
    if extractor is not None:
        metrics.add_metrics(
            {
                "frechet": FrechetDistance(extractor.metric),
                "manifold": PrecisionRecallDensityCoverage(max_samples=WATCHED),
            }
        )
    return metrics


@training_metrics.register
def _(data: StackedMNIST, extractor: AbstractExtractor | None = None) -> MetricCollection:
    metrics = training_metrics.dispatch(AbstractImageData)(data, extractor)
    if extractor is not None and extractor.has_logits:
        metrics.add_metrics({"stacked": StackedModes(data.mode_probabilities)})
    return metrics


@singledispatch
def evaluation_metrics(data: AbstractDataModule) -> MetricCollection:
    """All metrics for a finished run that need no features."""
    return MetricCollection({"sliced": SlicedWasserstein2()})


@evaluation_metrics.register
def _(data: AbstractPointData) -> MetricCollection:
    metrics, span = training_metrics(data), data.span
    metrics.add_metrics({"transport": Wasserstein2(), "mmd": MaximumMeanDiscrepancy([span / 64, span / 16, span / 4])})
    return metrics


@evaluation_metrics.register
def _(data: AbstractMixtureData) -> MetricCollection:
    metrics = evaluation_metrics.dispatch(AbstractPointData)(data)
    test = PerfectSamplerTest(data.mixture)
    if are_separated(data.mixture, test.threshold):  # the null laws are known for such mixtures alone
        metrics.add_metrics({"perfect": test})
    return metrics


def feature_metrics(data: AbstractImageData, extractor: AbstractExtractor, count: int) -> MetricCollection:
    """All metrics for a finished run that need the features of one extractor.

    Args:
        data: images.
        extractor: what sees them.
        count: samples on each side, at least 2.
    """
    metrics = MetricCollection(
        {
            "frechet": FrechetDistance(extractor.metric),
            "kernel": KernelDistance(f"kid_{extractor.name}", subset_size=min(1000, count)),
            "manifold": PrecisionRecallDensityCoverage(),
        }
    )
    if extractor.has_logits:
        if isinstance(data, StackedMNIST):
            metrics.add_metrics({"stacked": StackedModes(data.mode_probabilities)})
        else:
            metrics.add_metrics({"score": InceptionScore(f"is_{extractor.name}")})
    return metrics
