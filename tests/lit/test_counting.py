"""Everything that counts, counts generator updates: five critic updates in between do not show."""

import json

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mixnash.lit.callbacks.last_checkpoint import LastCheckpoint
from mixnash.lit.jsonl_logger import JsonLinesLogger
from mixnash.lit.tensorboard import StepTensorBoardLogger
from training import PowerCut, PowerCutError, adam_dynamics, make_trainer, mixed_gan, ring, wgan

MONITOR = "val/sliced_wasserstein2"
MODELS = {"MixedGAN": lambda: mixed_gan(adam_dynamics(critic_steps=5)), "WGAN": lambda: wgan(critic_steps=5)}
EVALUATED, LOGGED = [4, 8, 12, 16], [5, 10, 15]

# Lightning would have us save the state before the step; the state after it is what we want.
pytestmark = pytest.mark.filterwarnings("ignore:Using ModelCheckpoint with manual optimization:UserWarning")


@pytest.fixture(scope="module", params=MODELS, ids=list(MODELS))
def run(request, tmp_path_factory):
    """A run of up to 23 steps that early stopping ends at the fourth evaluation."""
    folder = tmp_path_factory.mktemp("run")
    callbacks = [
        ModelCheckpoint(folder / "every", every_n_train_steps=6, save_top_k=-1, filename="{step}"),
        ModelCheckpoint(folder / "best", "best-{step}", MONITOR, mode="max", save_top_k=2),
        LastCheckpoint(),
        EarlyStopping(MONITOR, mode="min", patience=3, min_delta=1e9),
    ]
    trainer = make_trainer(
        folder,
        23,
        callbacks,
        loggers=[StepTensorBoardLogger(folder), JsonLinesLogger(folder)],
        evaluate_every=4,
        log_every=5,
    )
    trainer.fit(MODELS[request.param](), datamodule=ring())
    return trainer, folder


@pytest.mark.parametrize("make", MODELS.values(), ids=list(MODELS))
def test_max_steps_counts_generator_updates(make, tmp_path):
    trainer = make_trainer(tmp_path, 7)
    trainer.fit(make(), datamodule=ring())
    assert trainer.global_step == 7


def test_early_stopping_ends_the_run_at_the_evaluation_that_exhausts_its_patience(run):
    trainer, _ = run
    assert trainer.global_step == 16


def test_checkpoints_every_n_steps_are_named_by_generator_updates_and_hold_them(run):
    _, folder = run
    names = sorted(path.name for path in (folder / "every").iterdir())
    assert names == ["step=12.ckpt", "step=6.ckpt"]
    held = [torch.load(folder / "every" / name, weights_only=True)["global_step"] for name in names]
    assert held == [12, 6]


def test_best_checkpoints_are_those_of_the_best_evaluations(run):
    _, folder = run
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    scores = dict(zip(EVALUATED, (line[MONITOR] for line in lines if MONITOR in line), strict=True))
    best = sorted(scores, key=scores.__getitem__, reverse=True)[:2]
    assert {path.name for path in (folder / "best").iterdir()} == {f"best-step={step}.ckpt" for step in best}


class Falling(pl.Callback):
    """Logs a score that gets worse from evaluation to evaluation."""

    def on_validation_epoch_end(self, trainer, pl_module):
        pl_module.log("falling", -float(trainer.global_step))


def last_step(folder):
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["global_step"]


@pytest.mark.parametrize("make", MODELS.values(), ids=list(MODELS))
def test_last_checkpoint_is_of_the_last_evaluation_even_if_it_was_not_the_best(make, tmp_path):
    best = ModelCheckpoint(tmp_path / "best", "best-{step}", "falling", mode="max", save_top_k=1)
    callbacks = [Falling(), best, LastCheckpoint(), PowerCut(9)]
    with pytest.raises(PowerCutError):
        make_trainer(tmp_path, 23, callbacks, evaluate_every=4).fit(make(), datamodule=ring())
    assert [path.name for path in (tmp_path / "best").iterdir()] == ["best-step=4.ckpt"]
    assert last_step(tmp_path) == 8


def test_last_checkpoint_holds_the_steps_after_the_last_evaluation(tmp_path):
    make_trainer(tmp_path, 7, [LastCheckpoint()], evaluate_every=4).fit(wgan(), datamodule=ring())
    assert last_step(tmp_path) == 7


def test_tensorboard_axis_counts_generator_updates(run):
    _, folder = run
    events = EventAccumulator(str(folder))
    events.Reload()
    for tag, steps in ((MONITOR, EVALUATED), ("val/modes", EVALUATED), ("loss/critics", LOGGED)):
        assert [event.step for event in events.Scalars(tag)] == steps


def test_metrics_lines_count_generator_updates(run):
    _, folder = run
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if MONITOR in line] == EVALUATED
    assert [line["step"] for line in lines if "loss/generators" in line] == LOGGED
