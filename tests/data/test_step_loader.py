"""Resuming: the trainer sees the batch of step n after n steps, whatever was fetched before the checkpoint."""

import itertools

import pytest
import pytorch_lightning as pl
import torch

from mixnash.core.errors import InvalidInputError
from mixnash.data.digits import Digits
from mixnash.data.mixtures import PresetMixture
from mixnash.data.step_loader import StepLoader, chunk_loader

pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning")  # Lightning 2.6 with torch 2.13


class Recorder(pl.LightningModule):
    """Keeps every batch; one optimiser step each."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.training_batches, self.validation_batches = [], []

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def training_step(self, batch, index):
        self.training_batches.append(batch.clone())
        return self.weight * batch.mean()

    def validation_step(self, batch, index):
        self.validation_batches.append(batch.clone())


class SaveEveryStep(pl.Callback):
    """Writes STEP.ckpt after every step."""

    def __init__(self, folder):
        self.folder = folder

    def on_train_batch_end(self, trainer, module, outputs, batch, index):
        trainer.save_checkpoint(self.folder / f"{trainer.global_step}.ckpt")


def fit(data, max_steps, callbacks=(), checkpoint=None, **options):
    """The module and the trainer after training to a step."""
    module = Recorder()
    trainer = pl.Trainer(
        accelerator="cpu",
        max_steps=max_steps,
        logger=False,
        callbacks=list(callbacks),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )
    trainer.fit(module, data, ckpt_path=checkpoint)
    return module, trainer


MAKERS = {
    "fresh": lambda: PresetMixture("pacgan-ring", batch_size=4, validation_size=10, seed=5),
    "fixed": lambda: PresetMixture("pacgan-ring", fixed_size=11, batch_size=4, validation_size=10, seed=5),
    "digits": lambda: Digits(batch_size=4, validation_size=10, seed=5),
}
OPTIONS = {"one endless epoch": {}, "epochs of four steps": {"limit_train_batches": 4}}


def assert_batches(batches, data, steps):
    assert len(batches) == len(steps)
    for batch, step in zip(batches, steps, strict=True):
        assert torch.equal(batch, data.training_batch(step))


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())
def test_five_steps_and_a_resume_to_nine_equal_nine_straight(make, options, tmp_path):
    straight, _ = fit(make(), 9, **options)
    first, trainer = fit(make(), 5, **options)
    trainer.save_checkpoint(tmp_path / "five.ckpt")
    second, trainer = fit(make(), 9, checkpoint=tmp_path / "five.ckpt", **options)
    assert trainer.global_step == 9
    assert_batches(first.training_batches + second.training_batches, make(), range(9))
    assert_batches(straight.training_batches, make(), range(9))
    assert torch.equal(straight.weight, second.weight)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_a_checkpoint_written_in_mid_run_saves_the_steps_done_and_not_the_batches_fetched(options, tmp_path):
    make = MAKERS["fixed"]
    fit(make(), 9, callbacks=[SaveEveryStep(tmp_path)], **options)
    for step in (3, 4, 6):
        path = tmp_path / f"{step}.ckpt"
        assert torch.load(path, weights_only=True)["loops"]["fit_loop"]["state_dict"]["combined_loader"] == [
            {"step": step}
        ]
        resumed, _ = fit(make(), 9, checkpoint=path, **options)
        assert_batches(resumed.training_batches, make(), range(step, 9))


def test_validation_and_its_interval_do_not_move_training():
    quiet, _ = fit(MAKERS["fixed"](), 6, limit_val_batches=0)
    busy, _ = fit(MAKERS["fixed"](), 6, val_check_interval=2, check_val_every_n_epoch=None)
    assert not quiet.validation_batches
    assert len(busy.validation_batches) >= 3
    for batch in busy.validation_batches:
        assert torch.equal(batch, MAKERS["fixed"]().held_out(10))
    assert_batches(quiet.training_batches, MAKERS["fixed"](), range(6))
    assert_batches(busy.training_batches, MAKERS["fixed"](), range(6))


def test_a_second_fit_of_the_same_trainer_goes_on_with_the_next_step():
    data = MAKERS["fresh"]()
    module, trainer = fit(data, 3)
    trainer.fit_loop.epoch_loop.max_steps = 5
    trainer.fit(module, data)
    assert_batches(module.training_batches, MAKERS["fresh"](), range(5))


def test_the_trainer_refuses_several_batches_for_one_step():
    with pytest.raises(InvalidInputError, match="accumulate_grad_batches=2"):
        fit(MAKERS["fresh"](), 2, accumulate_grad_batches=2)


def test_a_restored_position_holds_for_one_pass():
    done = 4
    loader = StepLoader(torch.tensor, lambda: done)

    def first_batches():
        return [int(batch) for batch in itertools.islice(loader, 3)]

    assert loader.state_dict() == {"step": 4}
    assert first_batches() == [4, 5, 6]
    loader.load_state_dict({"step": 2})
    assert loader.state_dict() == {"step": 2}
    assert first_batches() == [2, 3, 4]
    done = 8
    assert loader.state_dict() == {"step": 8}
    assert first_batches() == [8, 9, 10]


def test_chunks_come_in_order_at_every_pass():
    loader = chunk_loader([torch.tensor([1.0, 2.0]), torch.tensor([3.0])])
    for _ in range(2):
        assert [chunk.tolist() for chunk in loader] == [[1.0, 2.0], [3.0]]
