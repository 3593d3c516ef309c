"""`mixnash follow`: what a run logs, while it trains elsewhere."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading

import pytest

from mixnash.commands import main
from mixnash.lit.callbacks.run_state import RunState
from mixnash.lit.jsonl_logger import JsonLinesLogger
from mixnash.lit.run_status import RunStatus, State, now, write_status
from mixnash.runs import follow as command
from mixnash.runs.growing import GrowingFile
from mixnash.runs.lines import LineReader
from training import adam_dynamics, make_trainer, mixed_gan, ring


def status(state, reason="", step=20, pid=None):
    process = os.getpid() if pid is None else pid
    return RunStatus(state, reason, step, 20, now(), now(), process, socket.gethostname(), 1, {})


def line(step, seconds=1.0, **metrics):
    return json.dumps({"step": step, "seconds": seconds, **metrics}) + "\n"


@pytest.fixture
def between(monkeypatch):
    """Lets things happen between two looks, one after another; a look without one fails."""
    happenings = []

    def sleep(seconds):
        assert happenings, "nobody ends the run"
        happenings.pop(0)()

    monkeypatch.setattr(command.time, "sleep", sleep)
    return happenings.append


def test_half_a_line_waits_for_its_other_half(tmp_path):
    path = tmp_path / "metrics.jsonl"
    growing = GrowingFile(path)
    assert growing.new_lines() == []
    path.write_bytes(b"one\ntwo\nthr")
    assert growing.new_lines() == ["one", "two"]
    assert growing.new_lines() == []
    with path.open("ab") as file:
        file.write(b"ee \xc3\xa4\nfour")
    assert growing.new_lines() == ["three ä"]


def test_file_that_begins_anew_is_read_from_its_start(tmp_path):
    path = tmp_path / "metrics.jsonl"
    growing = GrowingFile(path)
    path.write_text("a long line\n")
    assert growing.new_lines() == ["a long line"]
    path.write_text("short\n")
    assert growing.new_lines() == ["short"]


def test_metrics_are_chosen_by_how_their_names_begin():
    metrics = {"loss/critics": -0.123456, "rules/critics/step_size": 2e-3, "val/modes": 7.0}
    logged = line(1200, 3725.9, **metrics)
    assert LineReader().told(logged) == ["step     1,200   1:02:05  loss/critics -0.1235  val/modes 7"]
    assert LineReader(["rules/"]).told(logged) == ["step     1,200   1:02:05  rules/critics/step_size 0.002"]
    assert LineReader(["equilibrium/"]).told(logged) == []
    assert LineReader([""]).told(logged)[0].count("  ") >= 3 + len(metrics)


def test_values_that_are_not_finite_are_told():
    told = LineReader([""]).told(line(3, a=float("nan"), b=float("-inf")))
    assert told == ["step         3   0:00:01  a nan  b -inf"]


@pytest.mark.parametrize("torn", ['{"step": 5, "sec', "[1, 2]", '{"loss": 1.0}', '{"step": 5, "seconds": 1, "x": "y"}'])
def test_lines_that_are_not_the_loggers_are_shown_as_they_are(torn):
    assert LineReader().told(torn) == [f"(a line that cannot be read: {torn!r})"]


def test_resumed_session_is_told_by_its_steps_or_by_its_clock():
    reader = LineReader(["a"])
    told = [
        text
        for step, seconds in ((5, 8.0), (10, 9.0), (8, 9.5), (13, 1.0))
        for text in reader.told(line(step, seconds, a=1))
    ]
    assert [text for text in told if "resumed" in text] == [
        "(the run was resumed, before step 8)",
        "(the run was resumed, before step 13)",
    ]
    assert len(told) == 6


def test_run_is_followed_from_before_its_log_exists_until_it_ends(tmp_path, between, capsys):
    log = tmp_path / "metrics.jsonl"

    def append(text):
        with log.open("a") as file:
            file.write(text)

    def end():
        append(', "loss/critics": 2.0}\n')
        write_status(tmp_path, status(State.STOPPED, "SIGTERM"))

    between(lambda: write_status(tmp_path, status(State.RUNNING)))
    between(lambda: append(line(5, 1, **{"loss/critics": 1.0})))
    between(lambda: append('{"step": 10, "seconds": 2'))
    between(end)
    main(["follow", str(tmp_path)])
    assert capsys.readouterr().out.splitlines() == [
        "note: the run does not say what it is doing: it has not begun to train, or an older version made it. Waiting "
        "for more; Ctrl-C ends this.",
        "step         5   0:00:01  loss/critics 1",
        "step        10   0:00:02  loss/critics 2",
        f"{tmp_path}: stopped by SIGTERM after step 20.",
    ]


def test_damaged_status_is_told_once_and_the_log_goes_on(tmp_path, between, capsys):
    (tmp_path / "status.json").write_text("{")
    between(lambda: None)
    between(lambda: (tmp_path / "metrics.jsonl").write_text(line(5, **{"val/modes": 3})))
    between(lambda: write_status(tmp_path, status(State.FINISHED)))
    main(["follow", str(tmp_path), "--seconds", "0.5"])
    first, second, third = capsys.readouterr().out.splitlines()
    assert first.startswith(f"note: '{tmp_path / 'status.json'}' cannot be read")
    assert second.endswith("val/modes 3")
    assert third == f"{tmp_path}: finished after step 20."


@pytest.mark.parametrize(("count", "steps"), [(0, []), (2, ["30", "40"]), (9, ["10", "20", "30", "40"])])
def test_of_what_was_logged_before_the_last_lines_are_shown(count, steps, tmp_path, capsys):
    (tmp_path / "metrics.jsonl").write_text("".join(line(step, **{"val/modes": 3}) for step in (10, 20, 30, 40)))
    write_status(tmp_path, status(State.FINISHED))
    main(["follow", str(tmp_path), "--lines", str(count), "--metrics", "val/", "--metrics", "loss/"])
    printed = capsys.readouterr().out.splitlines()
    assert [text.split()[1] for text in printed[:-1]] == steps


def test_failure_is_told_with_its_sentence_and_exit_code_3(tmp_path, capsys):
    write_status(tmp_path, status(State.FAILED, "The loss of critic 0 became non-finite at step 7."))
    with pytest.raises(SystemExit) as stop:
        main(["follow", str(tmp_path)])
    assert stop.value.code == 3
    end = f"{tmp_path}: failed after step 20. The loss of critic 0 became non-finite at step 7.\n"
    assert capsys.readouterr().out == end


def test_run_whose_process_was_killed_ends_with_exit_code_3(tmp_path, capsys):
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    write_status(tmp_path, status(State.RUNNING, step=12, pid=process.pid))
    timer = threading.Timer(0.2, process.kill)
    timer.start()
    with pytest.raises(SystemExit) as stop:
        main(["follow", str(tmp_path), "--seconds", "0.02"])
    timer.join()
    process.wait()
    assert stop.value.code == 3
    said = f"{tmp_path}: dead after step 12. Its process {process.pid} is gone without a word: continue it with"
    assert capsys.readouterr().out == f"{said} --resume.\n"


def test_last_word_of_a_process_that_is_gone_counts(tmp_path, capsys, monkeypatch):
    write_status(tmp_path, status(State.RUNNING))

    def gone(process, since):
        write_status(tmp_path, status(State.FINISHED))  # between the first reading and the look for the process
        return False

    monkeypatch.setattr("mixnash.runs.fate.is_running", gone)
    main(["follow", str(tmp_path)])
    assert capsys.readouterr().out == f"{tmp_path}: finished after step 20.\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--seconds", "0"], "--seconds must be positive, found 0.0."),
        (["--seconds", "nan"], "--seconds must be positive, found nan."),
        (["--lines=-1"], "--lines must be at least 0, found -1."),
    ],
)
def test_impossible_options_are_refused(words, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["follow", str(tmp_path), *words])
    assert stop.value.code == 2
    assert capsys.readouterr().err == f"error: {message}\n"


def test_missing_run_folder_is_refused_also_when_it_goes_away(tmp_path, between, capsys):
    folder = tmp_path / "run"
    folder.mkdir()
    between(folder.rmdir)
    for _ in range(2):
        with pytest.raises(SystemExit) as stop:
            main(["follow", str(folder)])
        assert stop.value.code == 2
        assert capsys.readouterr().err.startswith(
            f"error: There is no run folder '{folder}'. Run folders are RUNS_DIR/"
        )


def start_following(folder):
    write_status(folder, status(State.RUNNING))
    (folder / "metrics.jsonl").write_text(line(5, **{"val/modes": 3}))
    program = f"from mixnash.commands import main; main(['follow', {str(folder)!r}, '--seconds', '0.05'])"
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline().endswith("val/modes 3\n")
    return process


def test_control_c_ends_it_quietly_with_exit_code_130(tmp_path):
    process = start_following(tmp_path)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=20)
    assert (process.returncode, output, errors) == (130, "", "")


def test_closed_output_ends_it_quietly(tmp_path):
    process = start_following(tmp_path)
    process.stdout.close()
    with process.stderr:
        (tmp_path / "metrics.jsonl").write_text(line(5, **{"val/modes": 3}) + line(10, **{"val/modes": 4}))
        assert process.wait(timeout=20) == 141
        assert process.stderr.read() == ""


def test_live_training_is_followed_until_it_finishes(tmp_path, capsys):
    trainer = make_trainer(tmp_path, 60, [RunState()], [JsonLinesLogger(tmp_path)], evaluate_every=30, log_every=10)
    module, data = mixed_gan(adam_dynamics()), ring()
    training = threading.Thread(target=lambda: trainer.fit(module, datamodule=data))
    training.start()
    main(["follow", str(tmp_path), "--seconds", "0.02", "--lines", "100"])
    training.join()
    *told, end = [text for text in capsys.readouterr().out.splitlines() if not text.startswith("note: ")]
    steps = [int(text.split()[1]) for text in told]
    assert steps == [10, 20, 30, 30, 40, 50, 60, 60]
    assert sum("val/modes" in text for text in told) == 2
    assert all("loss/critics" in text for text in told if "val/modes" not in text)
    assert end == f"{tmp_path}: finished after step 60."
