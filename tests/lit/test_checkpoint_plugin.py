"""Checkpoint files in a trainer: those of versions before, damaged ones, and when they are written."""

import warnings
from pathlib import Path

import pytest
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

from mixnash.core.dynamics.simultaneous import Simultaneous
from mixnash.core.errors import InvalidInputError
from mixnash.core.rules.adam import Adam
from mixnash.core.rules.entropic import EntropicMirrorDescent
from mixnash.core.rules.langevin import Langevin
from mixnash.lit.callbacks.last_checkpoint import LastCheckpoint
from mixnash.lit.checkpoint_files import FORMAT, FORMAT_KEY, read_whole
from mixnash.lit.checkpoint_plugin import CheckpointFiles
from training import adam_dynamics, make_trainer, mixed_gan, ring, rules


def langevin():
    """The model of data/format_1.ckpt, written after four steps by the version before format 2."""
    return mixed_gan(Simultaneous(rules(Langevin(1e-2, 1e-3), EntropicMirrorDescent(0.4)), rules(Adam(1e-3))), 2, 1)


def test_checkpoint_of_format_1_is_read_in_silence_and_resumed_with_one_warning(tmp_path):
    old = Path(__file__).parent / "data" / "format_1.ckpt"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = read_whole(old)
    assert (found.written_as, found.content["global_step"], found.content[FORMAT_KEY]) == (1, 4, FORMAT)
    trainer = make_trainer(tmp_path, 6, [LastCheckpoint()])
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        trainer.fit(langevin(), datamodule=ring(), ckpt_path=old, weights_only=True)
    assert sum("written by an earlier version of mixnash. The run goes on" in str(one.message) for one in seen) == 1
    ours = read_whole(tmp_path / "checkpoints" / "last.ckpt")
    assert (ours.written_as, ours.content["global_step"]) == (FORMAT, 6)
    position = "generators.layers/0/weight"
    assert not torch.equal(ours.content["state_dict"][position], found.content["state_dict"][position])


def test_trainer_refuses_a_damaged_checkpoint(tmp_path):
    make_trainer(tmp_path, 1, [LastCheckpoint()]).fit(mixed_gan(adam_dynamics()), datamodule=ring())
    path = tmp_path / "checkpoints" / "last.ckpt"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InvalidInputError, match="has lost its hash"):
        make_trainer(tmp_path, 2).fit(mixed_gan(adam_dynamics()), datamodule=ring(), ckpt_path=path, weights_only=True)


@pytest.mark.filterwarnings("ignore:Using ModelCheckpoint with manual optimization:UserWarning")
def test_saves_between_evaluations_are_made_once_each_and_know_the_best_checkpoint(tmp_path, monkeypatch):
    saved = []

    def save(self, checkpoint, path, storage_options=None):
        saved.append((Path(path).name, checkpoint["global_step"]))
        return plain(self, checkpoint, path, storage_options)

    plain = CheckpointFiles.save_checkpoint
    monkeypatch.setattr(CheckpointFiles, "save_checkpoint", save)

    def run(steps, resume_from=None):
        best = ModelCheckpoint(
            tmp_path / "checkpoints", "best", "val/sliced_wasserstein2", enable_version_counter=False
        )
        trainer = make_trainer(tmp_path, steps, [best, LastCheckpoint(3)], evaluate_every=4)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty")
            trainer.fit(mixed_gan(adam_dynamics()), datamodule=ring(), ckpt_path=resume_from, weights_only=True)

    run(7)
    assert [step for name, step in saved if name == "last.ckpt"] == [3, 4, 6, 7]
    assert read_whole(tmp_path / "checkpoints" / "previous.ckpt").content["global_step"] == 6
    saved.clear()
    run(12, tmp_path / "checkpoints" / "last.ckpt")
    assert [step for name, step in saved if name == "last.ckpt"] == [8, 9, 12]
    callbacks = read_whole(tmp_path / "checkpoints" / "last.ckpt").content["callbacks"]
    (state,) = [one for name, one in callbacks.items() if name.startswith("ModelCheckpoint")]
    best = read_whole(Path(state["best_model_path"])).content
    assert best["global_step"] in {4, 8, 12}
    assert list(state["best_k_models"]) == [str(tmp_path / "checkpoints" / "best.ckpt")]


@pytest.mark.parametrize("steps", [0, -2])
def test_interval_that_is_not_positive_is_refused(steps):
    with pytest.raises(InvalidInputError, match=f"every_n_steps must be at least 1, .* found {steps}"):
        LastCheckpoint(steps)
