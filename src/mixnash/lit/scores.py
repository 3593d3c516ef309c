"""Which metrics fit which data."""

from functools import singledispatch

from torchmetrics import MetricCollection

from mixnash.data.base import AbstractDataModule, AbstractMixtureData, AbstractPointData
from mixnash.metrics.functional.perfect import are_separated
from mixnash.metrics.mmd import MaximumMeanDiscrepancy
from mixnash.metrics.mode_coverage import ModeCoverage
from mixnash.metrics.perfect import PerfectSamplerTest
from mixnash.metrics.transport import SlicedWasserstein2, Wasserstein2


@singledispatch
def training_metrics(data: AbstractDataModule) -> MetricCollection:
    """Metrics cheap enough to watch while training; each takes samples and, where it needs one, a reference."""
    del data
    return MetricCollection({"sliced": SlicedWasserstein2()})


@training_metrics.register
def _(data: AbstractMixtureData) -> MetricCollection:
    return MetricCollection({"modes": ModeCoverage(data.mixture), "sliced": SlicedWasserstein2()})


@singledispatch
def evaluation_metrics(data: AbstractDataModule) -> MetricCollection:
    """All metrics for a finished run."""
    return training_metrics(data)


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
