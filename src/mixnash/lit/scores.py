"""Which metrics fit which data."""

from functools import singledispatch

from torchmetrics import MetricCollection

from mixnash.data.base import AbstractDataModule, AbstractMixtureData, AbstractPlanarData
from mixnash.metrics.mmd import MaximumMeanDiscrepancy
from mixnash.metrics.mode_coverage import ModeCoverage
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
def _(data: AbstractPlanarData) -> MetricCollection:
    span = data.limits[1] - data.limits[0]
    metrics = training_metrics(data)
    metrics.add_metrics({"transport": Wasserstein2(), "mmd": MaximumMeanDiscrepancy([span / 64, span / 16, span / 4])})
    return metrics
