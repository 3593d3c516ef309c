"""A run that was interrupted and resumed is the run that was not, bit for bit."""

import json
import warnings
from pathlib import Path

import pytest
import torch
import yaml

from mixnash.cli import main, train
from mixnash.core.dynamics.alternating import Alternating
from mixnash.core.dynamics.birth_death import BirthDeath
from mixnash.core.dynamics.extragradient import Extragradient
from mixnash.core.dynamics.simultaneous import Simultaneous
from mixnash.core.rules.adam import Adam
from mixnash.core.rules.entropic import EntropicMirrorDescent
from mixnash.core.rules.langevin import Langevin
from mixnash.core.rules.preconditioned_langevin import PreconditionedLangevin
from mixnash.core.rules.softmax_descent import SoftmaxDescent
from mixnash.core.rules.stochastic_gradient_hmc import StochasticGradientHMC
from mixnash.core.schedules import Cosine, Polynomial
from mixnash.lit.base import AbstractGAN
from mixnash.lit.callbacks.last_checkpoint import LastCheckpoint
from mixnash.lit.run_lock import held
from training import (
    PowerCutError,
    SaveAt,
    adam_dynamics,
    assert_same,
    make_trainer,
    mgan,
    mixed_gan,
    ring,
    rules,
    tiny_config,
    wgan,
)

pytestmark = pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty:UserWarning")

STEPS, EVALUATE_EVERY, INTERRUPTED = 11, 4, 6


def alternating_adam() -> AbstractGAN:
    return mixed_gan(adam_dynamics(critic_steps=2))


def extragradient_langevin_with_entropic_weights() -> AbstractGAN:
    return mixed_gan(
        Extragradient(
            rules(PreconditionedLangevin(Cosine(1e-3, 1e-4, steps=10), 1e-4), EntropicMirrorDescent(0.3, entropy=0.1)),
            rules(PreconditionedLangevin(2e-3, 1e-5), EntropicMirrorDescent(0.2)),
        )
    )


def simultaneous_langevin() -> AbstractGAN:
    position = Langevin(1e-2, Polynomial(1e-3, 1.0, timescale=5.0))
    return mixed_gan(Simultaneous(rules(position, EntropicMirrorDescent(0.4)), rules(position)))


def plain_wgan() -> AbstractGAN:
    return wgan(critic_steps=2)


def mgan_with_two_critic_steps() -> AbstractGAN:
    return mgan(critic_steps=2)


def bayesian_with_softmax_weights() -> AbstractGAN:
    sampled = StochasticGradientHMC(Cosine(1e-2, 1e-3, steps=10), 0.3, 1e-4)
    learnt = SoftmaxDescent(Adam(1e-2, 0.5), 0.1)
    return mixed_gan(Alternating(rules(sampled, learnt), rules(sampled, learnt)))


def births_with_a_moving_average() -> AbstractGAN:
    base = Simultaneous(rules(Adam(2e-3), EntropicMirrorDescent(30.0)), rules(Adam(1e-3)))
    return mixed_gan(BirthDeath(base, 3, 0.15, jitter=0.1, critics=False), ema_decay=0.99)


MODELS = [
    alternating_adam,
    extragradient_langevin_with_entropic_weights,
    simultaneous_langevin,
    plain_wgan,
    mgan_with_two_critic_steps,
    bayesian_with_softmax_weights,
    births_with_a_moving_average,
]


def outcome(folder: Path) -> dict[str, object]:
    """Everything at the end of a run that the next step would start from."""
    checkpoint = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    return {name: checkpoint.get(name) for name in ("global_step", "state_dict", "optimizer_states", "mixnash_state")}


def run(make, folder: Path, steps: int = STEPS, evaluate: bool = True, resume_from: Path | None = None) -> None:
    callbacks = [SaveAt(INTERRUPTED, folder / "between.ckpt"), LastCheckpoint()]
    trainer = make_trainer(folder, steps, callbacks, evaluate_every=EVALUATE_EVERY if evaluate else None)
    torch.manual_seed(len(str(folder)) + steps)  # nothing may come from the global generator
    trainer.fit(make(), datamodule=ring(), ckpt_path=resume_from, weights_only=True)


@pytest.mark.parametrize("make", MODELS)
def test_run_resumed_between_evaluations_equals_the_run_without_interruption(make, tmp_path):
    run(make, tmp_path / "straight")
    run(make, tmp_path / "resumed", resume_from=tmp_path / "straight" / "between.ckpt")
    assert_same(outcome(tmp_path / "straight"), outcome(tmp_path / "resumed"))


@pytest.mark.parametrize("make", MODELS)
def test_finished_run_that_is_prolonged_equals_the_long_run(make, tmp_path):
    run(make, tmp_path / "straight")
    run(make, tmp_path / "short", steps=INTERRUPTED)
    run(make, tmp_path / "prolonged", resume_from=tmp_path / "short" / "checkpoints" / "last.ckpt")
    assert_same(outcome(tmp_path / "straight"), outcome(tmp_path / "prolonged"))


@pytest.mark.parametrize("make", MODELS)
def test_evaluation_does_not_disturb_training(make, tmp_path):
    run(make, tmp_path / "with")
    run(make, tmp_path / "without", evaluate=False)
    assert_same(outcome(tmp_path / "with"), outcome(tmp_path / "without"))


@pytest.mark.parametrize("make", MODELS)
def test_state_moves_between_the_interruption_and_the_end(make, tmp_path):
    run(make, tmp_path)
    at_interruption = torch.load(tmp_path / "between.ckpt", weights_only=True)["state_dict"]
    at_end = outcome(tmp_path)["state_dict"]
    still = {name for name in at_end if torch.equal(at_end[name], at_interruption[name])}
    # A Wasserstein critic's last bias has no effect, so no gradient, and some weights are frozen.
    assert all(name.endswith(("layers.2.bias", "layers/2/bias", "log_weights")) for name in still)


def metric_lines(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_resume_option_continues_the_same_folder_to_the_same_end(tmp_path):
    config = tiny_config(tmp_path, {"trainer": {"max_steps": 11, "val_check_interval": 4, "log_every_n_steps": 1}})
    words = ["fit", "--config", str(config), "--runs_dir", str(tmp_path / "runs")]
    train([*words, "--version", "straight"])
    cut = json.dumps({"class_path": "training.PowerCut", "init_args": {"at": 7}})
    with pytest.raises(PowerCutError):
        train([*words, "--version", "cut", f"--trainer.callbacks+={cut}"])
    straight, resumed = tmp_path / "runs" / "tiny" / "straight", tmp_path / "runs" / "tiny" / "cut"
    text = (resumed / "config.yaml").read_text().replace("at: 7", "at: -1")
    (resumed / "config.yaml").write_text(text)
    train(["fit", "--resume", str(resumed)])
    assert_same(outcome(straight), outcome(resumed))
    assert sorted(path.name for path in (tmp_path / "runs" / "tiny").iterdir()) == ["cut", "straight"]
    steps = [line["step"] for line in metric_lines(resumed) if "loss/critics" in line]
    assert steps == [*range(1, 8), *range(5, 12)]
    last = [{**line, "seconds": 0} for line in metric_lines(resumed)[-1:]]
    assert last == [{**line, "seconds": 0} for line in metric_lines(straight)[-1:]]


AUTO = ["--resume", "auto"]


def trees(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_one_command_line_begins_a_run_continues_it_and_rests_when_it_is_finished(tmp_path, capsys):
    words = ["fit", "--config", str(tiny_config(tmp_path)), "--runs_dir", str(tmp_path / "runs")]
    cut = json.dumps({"class_path": "training.PowerCut", "init_args": {"at": 2}})
    with pytest.raises(PowerCutError):
        train([*words, *AUTO, f"--trainer.callbacks+={cut}"])
    assert "so a new one begins" in capsys.readouterr().out
    folder = tmp_path / "runs" / "tiny" / "version_0"
    (folder / "config.yaml").write_text((folder / "config.yaml").read_text().replace("at: 2", "at: -1"))
    (folder / "checkpoints" / ".last.ckpt.1.unfinished").write_bytes(b"killed here")
    train([*words, *AUTO, f"--trainer.callbacks+={cut}"])
    assert "goes on after step 2 (last.ckpt)" in capsys.readouterr().out
    assert outcome(folder)["global_step"] == 3
    assert not list((folder / "checkpoints").glob("*.unfinished"))
    before = trees(tmp_path / "runs")
    for again in (AUTO, ["--resume", str(folder)]):
        with pytest.raises(SystemExit) as caught:
            main([*words, *again])
        assert caught.value.code == 0
        assert "has made its 3 steps. To go on, raise --trainer.max_steps." in capsys.readouterr().out
    assert trees(tmp_path / "runs") == before
    train([*words, *AUTO, "--trainer.max_steps=4"])
    assert outcome(folder)["global_step"] == 4
    assert [path.name for path in (tmp_path / "runs" / "tiny").iterdir()] == ["version_0"]


def test_run_goes_on_from_the_checkpoint_before_a_damaged_one_to_the_same_end(tmp_path):
    config = tiny_config(tmp_path, {"trainer": {"max_steps": 5}})
    folder = train(["fit", "--config", str(config), "--runs_dir", str(tmp_path / "runs")]).run_folder
    expected = outcome(folder)
    last = folder / "checkpoints" / "last.ckpt"
    last.write_bytes(last.read_bytes()[:-1])
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        train(["fit", "--resume", str(folder)])
    assert sum("checkpoints/last.ckpt of the run" in str(one.message) for one in seen) == 1
    assert_same(outcome(folder), expected)


def test_run_that_another_process_trains_is_left_untouched(tmp_path, capsys):
    words = ["--config", str(tiny_config(tmp_path)), "--runs_dir", str(tmp_path / "runs")]
    folder = train(["fit", *words]).run_folder
    with held(folder):
        before = trees(folder)
        with pytest.raises(SystemExit) as caught:
            main(["fit", "--resume", str(folder), "--trainer.max_steps=5"])
        assert caught.value.code == 2
        assert "is being trained by process" in capsys.readouterr().err
        assert trees(folder) == before


@pytest.mark.parametrize("given", [True, False])
def test_checkpoints_are_sealed_unless_another_plugin_is_given(given, tmp_path):
    plugin = ["--trainer.plugins=pytorch_lightning.plugins.io.TorchCheckpointIO"] if given else []
    words = ["--config", str(tiny_config(tmp_path)), "--runs_dir", str(tmp_path / "runs"), "--trainer.max_steps=1"]
    folder = train(["fit", *words, *plugin]).run_folder
    assert (b"mixnash-sha256:" in (folder / "checkpoints" / "last.ckpt").read_bytes()) != given


def test_resumed_run_leaves_a_configuration_that_starts_anew(tmp_path):
    config = tiny_config(tmp_path)
    train(["fit", "--config", str(config), "--runs_dir", str(tmp_path / "runs")])
    folder = tmp_path / "runs" / "tiny" / "version_0"
    train(["fit", "--resume", str(folder), "--trainer.max_steps", "5"])
    saved = yaml.safe_load((folder / "config.yaml").read_text())
    assert saved["trainer"]["max_steps"] == 5
    assert saved["ckpt_path"] is None
    assert saved["resume"] is None
    assert outcome(folder)["global_step"] == 5


@pytest.mark.filterwarnings("ignore:The dirpath has changed:UserWarning")
def test_run_resumed_from_a_moved_folder_goes_on_with_its_newest_checkpoint(tmp_path, monkeypatch):
    config = tiny_config(tmp_path)
    train(["fit", "--config", str(config), "--runs_dir", str(tmp_path / "runs")])
    (tmp_path / "runs" / "tiny" / "version_0").rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path)
    for steps in (5, 7):
        train(["fit", "--resume", "moved", "--trainer.max_steps", str(steps)])
        assert outcome(tmp_path / "moved")["global_step"] == steps
    names = {path.name for path in (tmp_path / "moved" / "checkpoints").iterdir()}
    assert sum(name.startswith("last") for name in names) == 1
