"""Two processes are observed as one run: the numbers of both, one status, a profile each."""

import json
import os
import re
import subprocess
import sys

import pytest

from mixnash.commands import main
from mixnash.lit.run_status import State, read_status
from training import REPOSITORY, tiny_config

CALLBACKS = [
    {"class_path": f"mixnash.lit.callbacks.{name}"}
    for name in ("last_checkpoint.LastCheckpoint", "performance.Performance", "run_state.RunState")
]
SETTINGS = {"max_steps": 12, "val_check_interval": 6, "log_every_n_steps": 4, "callbacks": CALLBACKS}


@pytest.mark.distributed
@pytest.mark.slow
def test_both_processes_are_timed_profiled_and_listed(tmp_path, capsys):
    config = tiny_config(tmp_path, {"trainer": SETTINGS})
    words = ["fit", f"--config={config}", f"--runs_dir={tmp_path / 'runs'}", "--version=two", "--profile=true"]
    done = subprocess.run(
        [
            sys.executable,
            str(REPOSITORY / "train.py"),
            *words,
            "--trainer.devices=2",
            "--trainer.strategy=data_parallel",
        ],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "runs" / "tiny" / "two"
    assert_both_are_timed(folder)
    assert_both_are_profiled(folder)
    status = read_status(folder)
    assert (status.state, status.step, status.world_size) == (State.FINISHED, 12, 2)
    assert done.stdout.count("where a step's time goes (5 recorded steps of process 0)") == 1
    main(["runs", "--runs_dir", str(tmp_path / "runs"), "--json"])
    (listed,) = json.loads(capsys.readouterr().out)
    assert (listed["run"], listed["state"], listed["processes"]) == ("tiny/two", "finished", 2)
    assert listed["best"].keys() == {"val/modes", "val/high_quality", "val/sliced_wasserstein2"}


def assert_both_are_timed(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    timed = [line for line in lines if "performance/rank_0/steps_per_second" in line]
    assert [line["step"] for line in timed] == [4, 8, 12]
    for line in timed:
        first, second = (
            {name: line[f"performance/rank_{rank}/{name}"] for name in names_of(line)} for rank in range(2)
        )
        assert first.keys() == {
            *("steps_per_second", "samples_per_second", "communication_share", "bytes_per_step", "memory_gib")
        }
        for one in (first, second):
            # Half of a batch of 16 in each of three draws: two updates of the critics, one of the generators.
            assert one["samples_per_second"] == pytest.approx(3 * 8 * one["steps_per_second"], rel=1e-5)
            assert 0 < one["communication_share"] < 1
            assert 0 < one["memory_gib"] < 64
        assert first["bytes_per_step"] == second["bytes_per_step"] > 4 * 100


def names_of(line):
    return [name.rpartition("/")[2] for name in line if name.startswith("performance/rank_1/")]


def assert_both_are_profiled(folder):
    for rank in range(2):
        trace = json.loads((folder / "profile" / f"trace_rank_{rank}.json").read_text())
        assert any(event["name"] == "mixnash/communication" for event in trace["traceEvents"])
        text = (folder / "profile" / f"table_rank_{rank}.txt").read_text()
        assert text.startswith(f"where a step's time goes (5 recorded steps of process {rank})\n")
        *shares, whole = re.findall(r"ms +(\d+\.\d) %", text)
        assert sum(round(10 * float(share)) for share in shares) == 1000
        assert whole == "100.0"
        (communication,) = re.findall(r"  communication .* (\d+\.\d) %", text)
        assert float(communication) > 0
