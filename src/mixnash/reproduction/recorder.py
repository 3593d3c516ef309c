"""Watching a training: the clock, the scores and some samples at the marks of its plan."""

import time
from functools import singledispatch
from typing import Any, final

import pytorch_lightning as pl
import torch
from torchmetrics import MetricCollection

from mixnash.core.random import Purpose, stream
from mixnash.data.base import AbstractDataModule, AbstractImageData, AbstractMixtureData
from mixnash.lit.base import AbstractGAN
from mixnash.lit.extractors import training_extractor
from mixnash.lit.observation import Observer
from mixnash.lit.scores import evaluation_metrics, training_metrics
from mixnash.metrics.features.base import AbstractExtractor
from mixnash.metrics.mode_coverage import ModeCoverage
from mixnash.metrics.perfect import PerfectSamplerTest
from mixnash.metrics.transport import Wasserstein2
from mixnash.reproduction.gradient_count import Count
from mixnash.reproduction.plan import Mark, Plan, Points, Unit

SHOWN = 1_500
"""Samples kept for pictures, if they are points."""
IMAGES_SHOWN = 100
"""Samples kept for pictures, if they are images."""


@singledispatch
def mark_metrics(data: AbstractDataModule, extractor: AbstractExtractor | None) -> MetricCollection:
    """What is scored at every mark: the distances to held-out samples, without the exact one that takes seconds."""
    del extractor
    chosen = {name: one for name, one in evaluation_metrics(data).items() if not isinstance(one, Wasserstein2)}
    return MetricCollection(dict(chosen))


@mark_metrics.register
def _(data: AbstractImageData, extractor: AbstractExtractor | None) -> MetricCollection:
    return training_metrics(data, extractor)


@mark_metrics.register
def _(data: AbstractMixtureData, extractor: AbstractExtractor | None) -> MetricCollection:
    del extractor
    metrics = evaluation_metrics(data).items()
    return MetricCollection({name: one for name, one in metrics if isinstance(one, ModeCoverage | PerfectSamplerTest)})


@final
class Recorder(pl.Callback):
    """Scores the generators' moving averages at the marks of a plan, and ends the training at the last.

    Time is the CPU time of this process, so it depends little on what else the machine does; what this recorder does
    itself is left out. A step is not interrupted: a mark is looked at after the step that reaches it.

    Args:
        plan: when to look.
        data: what the samples are compared with.
        count: gradient evaluations so far.
    """

    def __init__(self, plan: Plan, data: AbstractDataModule, count: Count) -> None:
        self._plan, self._data, self._count = plan, data, count
        self._waiting = list(plan.marks)
        extractor = training_extractor(data)
        self._observer, self._metrics = Observer(extractor), mark_metrics(data, extractor)
        self._seconds = self._since = 0.0
        self.marks: list[Mark] = []
        """What was seen so far."""
        self.points: dict[float, Points] = {}
        """Samples kept so far, by planned mark."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        del trainer, pl_module
        self._since = time.process_time()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop the clock, look if it is time, and start the clock again."""
        del outputs, batch, batch_idx
        assert isinstance(pl_module, AbstractGAN)
        self._seconds += time.process_time() - self._since
        steps = trainer.global_step
        spent = {Unit.STEPS: float(steps), Unit.SECONDS: self._seconds}[self._plan.unit]
        passed = [mark for mark in self._waiting if mark <= spent]
        if passed:
            self._look(pl_module, steps, passed)
            self._waiting = self._waiting[len(passed) :]
        trainer.should_stop = not self._waiting
        self._since = time.process_time()

    def _look(self, module: AbstractGAN, steps: int, passed: list[float]) -> None:
        module.check_finite()
        device = module.device
        samples = module.sample(self._plan.samples, stream(device, module.seed, Purpose.EVALUATION))
        self._metrics.reset()
        self._metrics.update(**self._observer(samples.values, self._data.held_out(self._plan.samples).to(device), 0))
        scores = {name: float(score) for name, score in self._metrics.compute().items()}
        self.marks.append(Mark(passed[-1], steps, self._count(), self._seconds, scores))
        shown = IMAGES_SHOWN if isinstance(self._data, AbstractImageData) else SHOWN
        for mark in set(passed) & set(self._plan.pictures):
            values, particle = (part[:shown].cpu() for part in samples)
            self.points[mark] = Points(torch.as_tensor(values).numpy(), particle.numpy())
