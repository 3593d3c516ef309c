"""SIGTERM and SIGINT finish the step, save, and end with their exit code; the resumed run is the same run."""

import json
import signal

import pytest
import torch

from faults import finished
from mixnash.cli import main, train
from mixnash.lit.run_status import State, read_status
from training import assert_same, tiny_config

STEPS = {"trainer": {"max_steps": 11, "val_check_interval": 4}}


def started(folder, name, *more):
    config = tiny_config(folder, STEPS)
    return ["fit", f"--config={config}", f"--runs_dir={folder / 'runs'}", f"--version={name}", *more]


def callback(**arguments):
    return "--trainer.callbacks+=" + json.dumps({"class_path": "faults.SignalAt", "init_args": arguments})


def state(folder):
    saved = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    return {name: saved[name] for name in ("global_step", "state_dict", "optimizer_states", "mixnash_state")}


def stopped(words):
    """The exit code of a run in this process."""
    with pytest.raises(SystemExit) as caught:
        main(words)
    return caught.value.code


RUN_STATE = "--trainer.callbacks+=mixnash.lit.callbacks.run_state.RunState"


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_signal_finishes_the_step_saves_and_exits_with_its_code(name, code, tmp_path, capsys):
    folder = tmp_path / "runs" / "tiny" / "cut"
    assert stopped(started(tmp_path, "cut", RUN_STATE, callback(step=5, name=name))) == code
    assert state(folder)["global_step"] == 6
    assert f"Stopped by {name} after step 6: continue with --resume {folder}.\n" in capsys.readouterr().err
    status = read_status(folder)
    assert (status.state, status.reason, status.step) == (State.STOPPED, name, 6)


def test_run_that_was_stopped_and_resumed_is_the_run_that_was_not(tmp_path):
    train(started(tmp_path, "straight"))
    assert stopped(started(tmp_path, "cut", callback(step=5))) == 143
    straight, cut = (tmp_path / "runs" / "tiny" / name for name in ("straight", "cut"))
    train(["fit", "--resume", str(cut)])
    assert_same(state(straight), state(cut))
    evaluated = [
        [
            line["step"]
            for text in (one / "metrics.jsonl").read_text().splitlines()
            if "val/modes" in (line := json.loads(text))
        ]
        for one in (straight, cut)
    ]
    assert evaluated == [[4, 8], [4, 8]]  # none because of the signal


def test_evaluation_that_is_due_after_the_step_is_made_before_the_run_ends(tmp_path):
    assert stopped(started(tmp_path, "cut", callback(step=3))) == 143
    folder = tmp_path / "runs" / "tiny" / "cut"
    assert state(folder)["global_step"] == 4
    assert any("val/modes" in line for line in (folder / "metrics.jsonl").read_text().splitlines())


def test_signal_during_an_evaluation_ends_the_run_after_it_without_another_step(tmp_path):
    assert stopped(started(tmp_path, "cut", callback(step=4, evaluating=True))) == 143
    folder = tmp_path / "runs" / "tiny" / "cut"
    assert state(folder)["global_step"] == 4
    assert any("val/modes" in line for line in (folder / "metrics.jsonl").read_text().splitlines())


def test_signal_during_the_last_step_changes_nothing(tmp_path, capsys):
    main(started(tmp_path, "whole", callback(step=10)))
    assert state(tmp_path / "runs" / "tiny" / "whole")["global_step"] == 11
    assert "Stopped" not in capsys.readouterr().err


def test_run_stops_although_it_was_asked_for_a_least_number_of_steps(tmp_path):
    words = started(tmp_path, "cut", callback(step=5), "--trainer.min_steps=9", "--trainer.min_epochs=1")
    assert stopped(words) == 143
    assert state(tmp_path / "runs" / "tiny" / "cut")["global_step"] == 6


def test_old_handlers_are_back_after_a_run_that_ended_well_or_badly(tmp_path):
    before = [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)]
    train(started(tmp_path, "well"))
    assert [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)] == before
    spoil = json.dumps({"class_path": "faults.SpoilAt", "init_args": {"step": 2}})
    assert stopped(started(tmp_path, "badly", f"--trainer.callbacks+={spoil}")) == 3
    assert [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)] == before


@pytest.mark.distributed
@pytest.mark.slow
@pytest.mark.parametrize(("strategy", "rank"), [("data_parallel", 0), ("particle_parallel", 1)])
def test_both_processes_stop_after_the_same_step_although_one_is_told(strategy, rank, tmp_path):
    done = finished(*started(tmp_path, "cut", callback(step=5, rank=rank)), processes=2, strategy=strategy)
    assert done.returncode == 143, done.stderr
    folder = tmp_path / "runs" / "tiny" / "cut"
    assert state(folder)["global_step"] == 7  # a step later, which the exchange had to travel
    assert done.stderr.count("Stopped by SIGTERM after step 7: continue with") == 1, done.stderr
    assert "Traceback" not in done.stderr
