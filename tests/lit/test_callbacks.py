"""What is shown, timed and drawn while a run trains."""

import json
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mixnash.core.errors import InvalidInputError
from mixnash.core.games.hinge import Hinge
from mixnash.data.base import AbstractDataModule
from mixnash.data.digits import Digits
from mixnash.data.shapes import SwissRoll
from mixnash.lit.base import AbstractGAN
from mixnash.lit.callbacks import pictures
from mixnash.lit.callbacks.clock import TrainingClock, TrainingTimeLimit
from mixnash.lit.callbacks.pictures import Pictures
from mixnash.lit.callbacks.progress import StepProgress
from mixnash.lit.jsonl_logger import JsonLinesLogger
from mixnash.lit.mixed_gan import MixedGAN
from mixnash.lit.tensorboard import StepTensorBoardLogger
from training import adam_dynamics, make_trainer, mixed_gan, ring, small_critic, small_generator, wgan


def drawn(module: AbstractGAN, data: AbstractDataModule, folder: Path, callback: pl.Callback, steps: int = 2):
    """The events of a run that is evaluated after every step."""
    trainer = make_trainer(folder, steps, [callback], [StepTensorBoardLogger(folder)], evaluate_every=1, log_every=1)
    trainer.fit(module, datamodule=data)
    events = EventAccumulator(str(folder), size_guidance={"images": 0, "histograms": 0})
    events.Reload()
    return events


PLANE = {"pictures/samples", "pictures/critic", "pictures/payoffs", "pictures/weights"}
MIXTURE = PLANE | {"pictures/particles", "pictures/modes"}
IMAGES = {"pictures/samples", "pictures/payoffs", "pictures/weights"}


def digits_gan() -> MixedGAN:
    return MixedGAN((1, 8, 8), small_generator, small_critic, Hinge(), adam_dynamics(), 2, 1)


@pytest.mark.parametrize(
    ("module", "data", "expected"),
    [
        (lambda: mixed_gan(adam_dynamics()), ring, MIXTURE),
        (wgan, ring, MIXTURE),
        (lambda: mixed_gan(adam_dynamics()), lambda: SwissRoll(batch_size=24, validation_size=50), PLANE),
        (digits_gan, lambda: Digits(batch_size=24, validation_size=50), IMAGES),
    ],
    ids=["mixture", "mixture by WGAN", "curve", "images"],
)
def test_tensorboard_shows_the_pictures_that_fit_the_data_at_the_first_and_the_last_evaluation(
    module, data, expected, tmp_path
):
    events = drawn(module(), data(), tmp_path, Pictures(every_n_evaluations=5))
    assert set(events.Tags()["images"]) == expected
    for tag in expected:
        images = events.Images(tag)
        assert [image.step for image in images] == [1, 2]
        assert min(images[0].width, images[0].height) >= 100


def test_tensorboard_shows_losses_payoffs_weights_step_sizes_and_no_epoch(tmp_path):
    events = drawn(mixed_gan(adam_dynamics()), ring(), tmp_path, TrainingClock())
    expected = {
        *(f"loss/{player}" for player in ("generators", "critics")),
        *("payoff/mean", "payoff/spread", "time/training_seconds"),
        *(f"weights/{player}_{name}" for player in ("generator", "critic") for name in ("entropy", "effective_size")),
        *(f"rules/{player}/step_size" for player in ("generators", "critics")),
        *("val/modes", "val/high_quality", "val/reverse_kl", "val/sliced_wasserstein2"),
    }
    assert expected <= set(events.Tags()["scalars"])
    assert "epoch" not in events.Tags()["scalars"]
    assert events.Scalars("weights/generator_effective_size")[0].value == pytest.approx(3.0, rel=1e-5)
    assert events.Scalars("rules/generators/step_size")[0].value == pytest.approx(2e-3)


def test_weights_are_shown_as_histograms(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "portraits", lambda module, data: {})
    events = drawn(mixed_gan(adam_dynamics()), ring(), tmp_path, Pictures())
    (first, _) = events.Histograms("weights/generators")
    assert first.histogram_value.num == 3
    assert first.histogram_value.sum == pytest.approx(1.0)


@pytest.mark.parametrize(("every", "expected"), [(1, [1, 2, 3, 4, 5, 6]), (3, [1, 4, 6]), (9, [1, 6])])
def test_pictures_come_with_every_nth_evaluation_and_the_last(every, expected, tmp_path, monkeypatch):
    steps = []
    monkeypatch.setattr(pictures, "portraits", lambda module, data: steps.append(module.global_step) or {})
    drawn(wgan(), ring(), tmp_path, Pictures(every), steps=6)
    assert steps == expected


def test_pictures_do_not_disturb_training(tmp_path):
    ends = []
    for name, callback in (("with", Pictures()), ("without", TrainingClock())):
        module = wgan()
        drawn(module, ring(), tmp_path / name, callback)
        ends.append(module.state_dict())
    assert all(torch.equal(leaf, ends[1][name]) for name, leaf in ends[0].items())


def test_pictures_never_are_refused():
    with pytest.raises(InvalidInputError, match="every_n_evaluations must be at least 1, found 0"):
        Pictures(0)


class Ticks:
    """A clock that moves by one second whenever it is read."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 1.0
        return self.now


@pytest.fixture
def one_second_per_step(monkeypatch):
    monkeypatch.setattr("mixnash.lit.callbacks.clock.time.perf_counter", Ticks())


def test_training_time_is_logged_and_survives_resuming(one_second_per_step, tmp_path):
    clock = TrainingClock()
    trainer = make_trainer(tmp_path, 6, [clock], [JsonLinesLogger(tmp_path)], evaluate_every=2)
    trainer.fit(wgan(), datamodule=ring())
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["time/training_seconds"] for line in lines if "time/training_seconds" in line] == [2.0, 4.0, 6.0]
    resumed = TrainingClock()
    resumed.load_state_dict(clock.state_dict())
    resumed_folder = tmp_path / "resumed"
    resumed_folder.mkdir()
    make_trainer(resumed_folder, 2, [resumed], [JsonLinesLogger(resumed_folder)], evaluate_every=2).fit(
        wgan(), datamodule=ring()
    )
    assert '"time/training_seconds": 8.0' in (resumed_folder / "metrics.jsonl").read_text()


def test_time_limit_ends_the_run_at_the_first_evaluation_past_it(one_second_per_step, tmp_path):
    trainer = make_trainer(tmp_path, 20, [TrainingClock(), TrainingTimeLimit(5.0)], evaluate_every=2)
    trainer.fit(wgan(), datamodule=ring())
    assert trainer.global_step == 6


def test_time_limit_that_is_not_positive_is_refused():
    with pytest.raises(InvalidInputError, match="must be positive, found 0"):
        TrainingTimeLimit(0.0)


def test_progress_bar_ends_with_the_steps_made_and_the_last_scores(tmp_path, capsys):
    trainer = make_trainer(tmp_path, 4, [StepProgress(refresh_seconds=1e-6)], evaluate_every=2)
    trainer.fit(wgan(), datamodule=ring())
    last = capsys.readouterr().out.strip().splitlines()[-1]
    assert "4/4" in last
    for text in ("done", "modes", "quality", "SW2"):
        assert text in last


def test_progress_bar_gives_the_terminal_back_when_a_run_fails(tmp_path):
    class Failure(pl.Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            raise ArithmeticError

    bar = StepProgress()
    for _ in range(2):  # a bar left open would refuse the second one
        with pytest.raises(ArithmeticError):
            make_trainer(tmp_path, 4, [bar, Failure()]).fit(wgan(), datamodule=ring())


def test_disabled_progress_bar_is_silent(tmp_path, capsys):
    bar = StepProgress()
    bar.disable()
    make_trainer(tmp_path, 2, [bar]).fit(wgan(), datamodule=ring())
    assert capsys.readouterr().out == ""
