"""`mixnash runs`: every run is listed with what became of it, however little its files say."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

from mixnash.commands import main
from mixnash.lit.run_status import RunStatus, State, now, write_status
from mixnash.runs.fate import Fate, duration, outcome_of
from mixnash.runs.found import find_runs, read_run
from mixnash.runs.process import is_running

START = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def status(state=State.FINISHED, reason="", started=START, **changes):
    best = {"val/modes": 24.0, "val/high_quality": 0.9375, "val/fd_mnist_cnn": 12.3456}
    whole = RunStatus(state, reason, 1500, 2000, started, now(), os.getpid(), socket.gethostname(), 2, best)
    return whole._replace(**changes)


@pytest.fixture
def runs(tmp_path):
    """Makes run folders in one RUNS_DIR."""

    def make(name, written=None, config=True):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        if config:
            (folder / "config.yaml").write_text("seed_everything: 0\n")
        if written is not None:
            write_status(folder, written)
        return folder

    return make


@pytest.fixture
def listed(tmp_path, capsys, monkeypatch):
    """What the command prints of them."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: False, raising=False)

    def run(*words):
        main(["runs", "--runs_dir", str(tmp_path / "runs"), *words])
        return capsys.readouterr().out

    return run


@pytest.fixture(scope="module")
def gone():
    """The number of a process that ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def row(printed, name):
    (line,) = [one for one in printed.splitlines() if one.split()[:1] == [name] and "ago" in one]
    return " ".join(line.split())


def test_finished_run_is_listed_with_steps_processes_and_best_figures(runs, listed):
    runs("gaussians25/version_0", status())
    found = row(listed(), "gaussians25/version_0")
    started = START.astimezone().strftime("%Y-%m-%d %H:%M")
    assert found.startswith(f"gaussians25/version_0 finished 1,500 of 2,000 {started} ")
    assert found.endswith(" s ago 2 modes 24 quality 0.9375 fd_mnist_cnn 12.35")


def test_latest_start_comes_first_and_one_experiment_can_be_chosen(runs, listed):
    for hours, name in ((2, "a/version_0"), (3, "a/version_1"), (1, "a/version_10"), (2.5, "b/version_0")):
        runs(name, status(started=START + timedelta(hours=hours)))
    names = [line.split()[0] for line in listed().splitlines() if "finished" in line]
    assert names == ["a/version_1", "b/version_0", "a/version_0", "a/version_10"]
    names = [line.split()[0] for line in listed("--experiment", "a").splitlines() if "finished" in line]
    assert names == ["a/version_1", "a/version_0", "a/version_10"]


def test_running_stopped_and_failed_runs_say_so(runs, listed):
    runs("a/running", status(State.RUNNING, max_steps=-1))
    runs("a/stopped", status(State.STOPPED, "SIGTERM"))
    runs("a/failed", status(State.FAILED, "The loss of critic 1 became non-finite at step 7."))
    printed = listed()
    assert row(printed, "a/running").startswith("a/running running 1,500 20")
    assert row(printed, "a/stopped").startswith("a/stopped stopped by SIGTERM 1,500 of 2,000")
    assert row(printed, "a/failed").startswith("a/failed failed 1,500 of 2,000")
    sentences = printed.splitlines()[-1:]
    assert sentences == ["a/failed failed: The loss of critic 1 became non-finite at step 7."]


def test_run_whose_process_is_gone_is_dead(runs, listed, gone):
    runs("a/killed", status(State.RUNNING, pid=gone))
    printed = listed()
    assert row(printed, "a/killed").startswith("a/killed dead 1,500 of 2,000")
    assert f"a/killed dead: Its process {gone} is gone without a word: continue it with --resume.\n" in printed


def test_number_of_a_process_that_began_after_the_last_sign_of_life_belongs_to_another_one():
    assert is_running(os.getpid(), now())
    assert not is_running(os.getpid(), now() - timedelta(days=300))


def test_process_that_ended_and_was_not_asked_for_is_gone():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    assert is_running(process.pid, now() + timedelta(seconds=1))
    process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while is_running(process.pid, now()) and time.monotonic() < deadline:
        time.sleep(0.01)
    try:
        assert not is_running(process.pid, now())  # a zombie: nobody has waited for it yet
    finally:
        process.wait()


def test_systems_that_do_not_list_processes_are_asked_whether_one_is_there(monkeypatch, tmp_path, gone):
    monkeypatch.setattr("mixnash.runs.process.PROCESSES", tmp_path)
    assert is_running(os.getpid(), now() - timedelta(days=300))
    assert not is_running(gone, now())


@pytest.mark.parametrize(("minutes", "fate"), [(29, Fate.RUNNING), (31, Fate.DEAD)])
def test_run_on_another_machine_is_judged_by_its_silence(minutes, fate, gone):
    there = status(State.RUNNING, host="elsewhere", pid=gone, updated=now() - timedelta(minutes=minutes))
    outcome = outcome_of(there)
    assert outcome.fate is fate
    assert ("on elsewhere has written nothing for 31 min." in outcome.reason) == (fate is Fate.DEAD)


def test_run_without_a_status_is_unknown_and_its_figures_are_those_of_its_log(runs, listed):
    folder = runs("old/version_3")
    lines = [
        {"step": 50, "seconds": 1.0, "loss/critics": -2.0},
        {"step": 250, "seconds": 5.0, "val/modes": 19.0, "val/high_quality": 0.5, "val/sliced_wasserstein2": 0.25},
        {"step": 500, "seconds": 9.0, "val/modes": 17.0, "val/high_quality": 0.75, "val/sliced_wasserstein2": 0.5},
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"step": 5')
    found = row(listed(), "old/version_3")
    assert found.startswith("old/version_3 unknown 500 20")
    assert found.endswith(" s ago modes 19 quality 0.75 SW2 0.25")


def test_damaged_status_is_a_row_of_its_own_and_the_others_are_listed(runs, listed):
    damaged = runs("a/damaged", status()) / "status.json"
    damaged.write_bytes(damaged.read_bytes()[:-20])
    runs("b/whole", status())
    printed = listed()
    assert row(printed, "a/damaged").startswith("a/damaged damaged 20")
    assert row(printed, "b/whole").startswith("b/whole finished")
    assert "a/damaged damaged: '" in printed
    assert "status.json' cannot be read: it is damaged or not a run's status (" in printed


def test_folders_that_are_no_runs_are_left_out(runs, listed, tmp_path):
    runs("a/version_0", config=False)
    (tmp_path / "runs" / "notes.txt").write_text("x")
    (tmp_path / "runs" / "a" / "notes.txt").write_text("x")
    assert listed() == f"There are no runs in '{tmp_path / 'runs'}' yet.\n"
    assert listed("--experiment", "a") == f"There are no runs in '{tmp_path / 'runs' / 'a'}' yet.\n"
    assert json.loads(listed("--json")) == []


def test_json_holds_the_same(runs, listed, gone):
    runs("a/killed", status(State.RUNNING, pid=gone))
    (found,) = json.loads(listed("--json"))
    updated = found.pop("updated")
    assert abs(datetime.fromisoformat(updated) - now()) < timedelta(minutes=1)
    assert found == {
        "run": "a/killed",
        "state": "dead",
        "reason": f"Its process {gone} is gone without a word: continue it with --resume.",
        "step": 1500,
        "max_steps": 2000,
        "processes": 2,
        "started": "2026-03-04T05:06:07+00:00",
        "best": {"val/modes": 24.0, "val/high_quality": 0.9375, "val/fd_mnist_cnn": 12.3456},
    }


def test_run_removed_meanwhile_does_not_end_the_list(tmp_path):
    assert read_run(tmp_path / "a" / "gone").outcome.fate is Fate.UNKNOWN


def test_missing_folders_are_refused_in_one_sentence(runs, tmp_path, capsys):
    words = ["runs", "--runs_dir", str(tmp_path / "runs")]
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    sentence = "train something first, or say where runs are with --runs_dir."
    assert capsys.readouterr().err == f"error: There is no folder '{tmp_path / 'runs'}': {sentence}\n"
    runs("a/version_0", status())
    runs("b/version_0", status())
    with pytest.raises(SystemExit) as stop:
        main([*words, "--experiment", "c"])
    assert stop.value.code == 2
    assert f"error: There is no experiment 'c' in '{tmp_path / 'runs'}', which holds a, b.\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0 s"), (59, "59 s"), (60, "1 min"), (3599, "59 min"), (7200, "2 h"), (86_399, "23 h"), (200_000, "2 d")],
)
def test_durations_are_told_in_their_largest_unit(seconds, text):
    assert duration(timedelta(seconds=seconds)) == text


def test_list_does_not_wait_for_torch_unless_a_run_is_old(runs, tmp_path):
    runs("a/version_0", status())
    program = (
        "import sys\nfrom mixnash.commands import main\n"
        f"main(['runs', '--runs_dir', {str(tmp_path / 'runs')!r}])\n"
        "sys.exit(any(one in sys.modules for one in ('torch', 'numpy', 'pytorch_lightning')))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "a/version_0" in done.stdout


def test_runs_are_found_in_the_order_of_their_start_whatever_their_names(runs, tmp_path):
    runs("z/first", status(started=START))
    runs("a/second", status(started=START + timedelta(days=1)))
    assert [run.name for run in find_runs(tmp_path / "runs", None)] == ["a/second", "z/first"]
