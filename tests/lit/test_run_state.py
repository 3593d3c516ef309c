"""A run says what it is doing, and how it ended."""

import json
import os
import socket
import warnings
from datetime import UTC, datetime

import pytest
import pytorch_lightning as pl
from pytorch_lightning.utilities.exceptions import SIGTERMException

from mixnash.cli import train
from mixnash.core.errors import NonFiniteError
from mixnash.lit.callbacks import run_state
from mixnash.lit.callbacks.run_state import RunState
from mixnash.lit.run_status import RunStatus, State, now, read_status, write_status
from training import make_trainer, ring, tiny_config, wgan

EARLIER = RunStatus(
    State.STOPPED,
    "SIGTERM",
    3,
    4,
    datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC),
    datetime(2026, 3, 4, 6, 6, 7, tzinfo=UTC),
    1,
    "elsewhere",
    4,
    {"val/modes": 9.0, "val/sliced_wasserstein2": 1e-6},
)


class After(pl.Callback):
    """Does something after three steps."""

    def __init__(self, act):
        self._act = act

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.global_step == 3:
            self._act(trainer)


def raised(error):
    def act(trainer):
        raise error

    return act


def fit(folder, *callbacks, steps=6, evaluate_every=None):
    trainer = make_trainer(folder, steps, callbacks, evaluate_every=evaluate_every)
    trainer.fit(wgan(), datamodule=ring())


def steps_seen(folder, monkeypatch, heartbeat, evaluate_every=None):
    monkeypatch.setattr(run_state, "HEARTBEAT", heartbeat)
    seen = []

    class Look(pl.Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            seen.append(read_status(folder))

    fit(folder, RunState(), Look(), evaluate_every=evaluate_every)
    return seen


def test_run_is_running_until_it_is_finished(tmp_path, monkeypatch):
    begin = now()
    seen = steps_seen(tmp_path, monkeypatch, heartbeat=0.0)
    assert {status.state for status in seen} == {State.RUNNING}
    assert [status.step for status in seen] == [0, 1, 2, 3, 4, 5]
    end = read_status(tmp_path)
    assert end.state is State.FINISHED
    assert (end.reason, end.step, end.max_steps, end.world_size) == ("", 6, 6, 1)
    assert (end.pid, end.host) == (os.getpid(), socket.gethostname())
    assert begin <= end.started <= end.updated <= now()


def test_between_evaluations_it_writes_only_when_its_time_has_come(tmp_path, monkeypatch):
    seen = steps_seen(tmp_path, monkeypatch, heartbeat=1e9, evaluate_every=4)
    assert [status.step for status in seen] == [0, 0, 0, 0, 4, 4]
    assert seen[3].best == {}
    assert set(seen[4].best) == {"val/modes", "val/high_quality", "val/sliced_wasserstein2"}
    assert read_status(tmp_path).step == 6


FAILURES = {
    "ours": (NonFiniteError("The loss of critic 0 became non-finite at step 3."), "The loss of critic 0 became non-fi"),
    "somebody else's": (ValueError("what it says\non two lines"), "ValueError: what it says"),
    "without a word": (ArithmeticError(), "ArithmeticError"),
}


@pytest.mark.parametrize(("error", "reason"), FAILURES.values(), ids=list(FAILURES))
def test_failed_run_says_why(error, reason, tmp_path):
    with pytest.raises(type(error)):
        fit(tmp_path, RunState(), After(raised(error)))
    status = read_status(tmp_path)
    assert (status.state, status.step) == (State.FAILED, 3)
    assert status.reason.startswith(reason)
    assert len(status.reason.splitlines()) == 1


SIGNALS = {
    "SIGTERM": (SIGTERMException(), "SIGTERM"),
    "exit after SIGTERM": (SystemExit(143), "SIGTERM"),
    "exit after SIGINT": (SystemExit(130), "SIGINT"),
    "Ctrl-C": (KeyboardInterrupt(), "SIGINT"),
}


@pytest.mark.parametrize(("error", "name"), SIGNALS.values(), ids=list(SIGNALS))
def test_run_that_a_signal_ended_is_stopped(error, name, tmp_path):
    with pytest.raises((SIGTERMException, SystemExit, KeyboardInterrupt)):
        fit(tmp_path, RunState(), After(raised(error)))
    status = read_status(tmp_path)
    assert (status.state, status.reason, status.step) == (State.STOPPED, name, 3)


def test_exit_with_another_code_is_a_failure(tmp_path):
    with pytest.raises(SystemExit):
        fit(tmp_path, RunState(), After(raised(SystemExit(7))))
    status = read_status(tmp_path)
    assert (status.state, status.reason) == (State.FAILED, "SystemExit: 7")


def test_run_that_a_signal_ended_in_good_order_is_stopped(tmp_path):
    state = RunState()

    def stop(trainer):
        state.stopped_by("SIGTERM")
        trainer.should_stop = True

    fit(tmp_path, state, After(stop))
    status = read_status(tmp_path)
    assert (status.state, status.reason, status.step) == (State.STOPPED, "SIGTERM", 3)


def test_resumed_run_keeps_its_start_and_its_best_figures(tmp_path):
    write_status(tmp_path, EARLIER)
    fit(tmp_path, RunState(), evaluate_every=2)
    status = read_status(tmp_path)
    assert status.state is State.FINISHED
    assert status.started == EARLIER.started
    assert status.best["val/modes"] == 9.0
    assert status.best["val/sliced_wasserstein2"] == 1e-6
    assert 0 <= status.best["val/high_quality"] <= 1


def test_damaged_status_is_replaced(tmp_path):
    (tmp_path / "status.json").write_text("{")
    fit(tmp_path, RunState())
    assert read_status(tmp_path).state is State.FINISHED


def test_run_that_cannot_say_what_it_does_goes_on_and_warns_once(tmp_path, monkeypatch):
    monkeypatch.setattr(run_state, "HEARTBEAT", 0.0)
    (tmp_path / "status.json").mkdir()
    trainer = make_trainer(tmp_path, 6, [RunState()])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trainer.fit(wgan(), datamodule=ring())
    told = [str(one.message) for one in caught if "status.json" in str(one.message)]
    assert len(told) == 1
    assert told[0].startswith("The run goes on, but others cannot see how it is doing: status.json cannot be written (")
    assert trainer.global_step == 6


def test_other_processes_write_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(pl.Trainer, "is_global_zero", property(lambda trainer: False))
    fit(tmp_path, RunState())
    assert not (tmp_path / "status.json").exists()


def test_best_figures_of_a_run_are_those_of_all_its_sessions(tmp_path):
    callbacks = [
        {"class_path": "mixnash.lit.callbacks.last_checkpoint.LastCheckpoint"},
        {"class_path": "mixnash.lit.callbacks.run_state.RunState"},
    ]
    config = tiny_config(tmp_path, {"trainer": {"callbacks": callbacks, "max_steps": 4, "val_check_interval": 2}})
    folder = train(["fit", f"--config={config}", f"--runs_dir={tmp_path}"]).run_folder
    first = read_status(folder)
    train(["fit", f"--resume={folder}", "--trainer.max_steps=8"])
    second = read_status(folder)
    assert (first.step, second.step, second.max_steps) == (4, 8, 8)
    assert first.started == second.started
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    distances = [line["val/sliced_wasserstein2"] for line in lines if "val/sliced_wasserstein2" in line]
    assert len(distances) == 4
    assert first.best["val/sliced_wasserstein2"] == pytest.approx(min(distances[:2]))
    assert second.best["val/sliced_wasserstein2"] == pytest.approx(min(distances))
