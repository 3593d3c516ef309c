"""How fast a run is, on a clock that the tests turn."""

import json
import math
import resource
from pathlib import Path
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl

from mixnash.lit.callbacks import performance
from mixnash.lit.callbacks.performance import Performance
from mixnash.lit.jsonl_logger import JsonLinesLogger
from training import adam_dynamics, make_trainer, mixed_gan, ring


class Work(pl.Callback):
    """A step takes half a second, an eighth of one in exchanges of 300 bytes; an evaluation takes a hundred seconds,
    most of them in exchanges.
    """

    def __init__(self):
        self.now = 1000.0

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self._pass(pl_module, 0.5, 0.125, 300)

    def on_validation_end(self, trainer, pl_module):
        self._pass(pl_module, 100.0, 90.0, 10**9)

    def _pass(self, module, seconds, waited, sent):
        self.now += seconds
        module.traffic.seconds += waited
        module.traffic.bytes_sent += sent


class Pause(pl.Callback):
    """Takes a second and a half after the third step."""

    def __init__(self, work):
        self._work = work

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self._work.now += 1.5 if trainer.global_step == 3 else 0.0


def readings(folder, monkeypatch, steps=6, log_every=2, evaluate_every=None, pause=False):
    """What is logged of the first process, line by line."""
    work = Work()
    monkeypatch.setattr(performance, "time", SimpleNamespace(perf_counter=lambda: work.now))
    callbacks = [work, Performance(), *([Pause(work)] if pause else [])]
    module = mixed_gan(adam_dynamics(critic_steps=2))
    make_trainer(folder, steps, callbacks, [JsonLinesLogger(folder)], evaluate_every, log_every).fit(
        module, datamodule=ring()
    )
    log = folder / "metrics.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    start = "performance/rank_0/"
    found = [
        {name.removeprefix(start): value for name, value in one.items() if name.startswith(start)} for one in lines
    ]
    return [one for one in found if one], module.draws_per_step


def test_numbers_are_those_of_the_steps_since_the_last_log_step(tmp_path, monkeypatch):
    found, draws = readings(tmp_path, monkeypatch)
    assert len(found) == 3
    for one in found:
        assert one.pop("memory_gib") > 0
        assert one == {
            "steps_per_second": 2.0,
            "samples_per_second": 2.0 * 24 * draws,
            "communication_share": 0.25,
            "bytes_per_step": 300.0,
        }


def test_evaluations_and_what_is_exchanged_for_them_do_not_count(tmp_path, monkeypatch):
    found, _ = readings(tmp_path, monkeypatch, evaluate_every=3)
    assert [one["steps_per_second"] for one in found] == [2.0, 2.0, 2.0]
    assert [one["communication_share"] for one in found] == [0.25, 0.25, 0.25]
    assert [one["bytes_per_step"] for one in found] == [300.0, 300.0, 300.0]


def test_what_callbacks_do_between_steps_counts(tmp_path, monkeypatch):
    found, _ = readings(tmp_path, monkeypatch, pause=True)
    assert [one["steps_per_second"] for one in found] == [2.0, pytest.approx(2 / 2.5), 2.0]
    assert found[1]["communication_share"] == pytest.approx(0.1)


def test_nothing_is_logged_where_the_trainer_wants_no_losses(tmp_path, monkeypatch):
    found, _ = readings(tmp_path, monkeypatch, log_every=0)
    assert found == []


def test_memory_is_what_the_process_occupies(tmp_path, monkeypatch):
    (one,), _ = readings(tmp_path, monkeypatch, steps=2)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # of KiB
    assert 0.1 * most < one["memory_gib"] <= 1.01 * most


def test_memory_is_left_out_where_the_system_does_not_tell(tmp_path, monkeypatch):
    monkeypatch.setattr(performance, "STATISTICS", Path("/nowhere"))
    (one,), _ = readings(tmp_path, monkeypatch, steps=2)
    assert "memory_gib" not in one
    assert not any(math.isnan(value) for value in one.values())
