"""Training an experiment by plan, in this process, and keeping what was seen of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pytorch_lightning as pl
import torch

from mixnash.core.errors import NonFiniteError
from mixnash.core.population import stored_numbers
from mixnash.data.base import AbstractDataModule
from mixnash.lit.base import AbstractGAN
from mixnash.lit.deviations import SearchPlan, measure_gap
from mixnash.lit.quiet import quiet_trainer
from mixnash.reproduction.experiments import Experiment
from mixnash.reproduction.gradient_count import count_gradients
from mixnash.reproduction.plan import Plan, Trained, Unit
from mixnash.reproduction.recorder import Recorder


class Fitted(NamedTuple):
    """A training that has ended, with its objects."""

    module: AbstractGAN
    data: AbstractDataModule
    recorder: Recorder
    failure: str | None
    """What stopped being finite, if anything did."""


def train(plan: Plan, experiment: Experiment) -> Trained:
    """Train by plan on one thread.

    Time is CPU time of this process with one thread, evaluation excluded, because the machines that these experiments
    run on are shared: wall-clock time would measure the neighbours. A training whose losses or positions stop being
    finite is a result, not an error: it ends there.

    Args:
        plan: what to train, and when to look.
        experiment: the plan's experiment with its overrides.

    Raises:
        InvalidInputError: when model or data refuse their arguments.
    """
    module, data, recorder, failure = fit(plan, experiment)
    gap = None
    if plan.gap is not None and failure is None:
        with one_thread():
            gap = _gap(module, data, plan.gap, plan.seed, recorder.marks[-1].steps)
    return Trained(tuple(recorder.marks), _parameters(module), failure, gap, recorder.points)


def fit(plan: Plan, experiment: Experiment) -> Fitted:
    """The training of `train`, without the search for deviations.

    Raises:
        InvalidInputError: when model or data refuse their arguments.
    """
    module, data = experiment.build()
    recorder = Recorder(plan, data, count_gradients(module, data))
    failure = None
    with quiet_trainer(), one_thread():
        trainer = pl.Trainer(
            accelerator="cpu",
            devices=1,
            max_epochs=-1,
            max_steps=int(plan.marks[-1]) if plan.unit is Unit.STEPS else -1,
            callbacks=[recorder],
            logger=False,
            limit_val_batches=0,
            num_sanity_val_steps=0,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
        )
        try:
            trainer.fit(module, datamodule=data)
        except NonFiniteError as error:
            failure = str(error)
    return Fitted(module, data, recorder, failure)


def _gap(module: AbstractGAN, data: AbstractDataModule, search: SearchPlan, seed: int, step: int) -> dict[str, float]:
    """The distance from equilibrium of the generators' moving averages and the critics."""
    found = measure_gap(module, data, search, seed, step, averaged=True)
    return {
        "lower_bound": found.gap.value,
        "low": found.gap.low,
        "high": found.gap.high,
        "generators": found.generators.value,
        "critics": found.critics.value,
        "restricted": found.restricted,
    }


def _parameters(module: AbstractGAN) -> dict[str, int]:
    generators, critics = (stored_numbers(one.params) for one in module.profile(averaged=False))
    return {"generators": generators, "critics": critics}


@contextmanager
def one_thread() -> Iterator[None]:
    """As many threads as there are processes to be compared: one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
