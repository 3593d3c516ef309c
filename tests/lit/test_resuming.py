"""Which run goes on, and from which checkpoint; and that nobody else goes on with it."""

import errno
import fcntl
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

from mixnash.core.errors import InvalidInputError
from mixnash.lit.checkpoint_files import FORMAT_KEY, write_checkpoint
from mixnash.lit.resume_option import CHECKPOINT, expand_resume
from mixnash.lit.resuming import newest_run, resumable_run
from mixnash.lit.run_folder import CLAIMED
from mixnash.lit.run_lock import FILE, held
from training import REPOSITORY


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """What a process tells those that it starts does not reach the next test."""
    for name in (CHECKPOINT, CLAIMED):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def make_run(folder: Path, time: int = 0, **steps: int) -> Path:
    """A run's folder with checkpoints of these names after so many steps, written at this second."""
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "config.yaml").write_text("a: 1\n")
    for name, step in steps.items():
        path = folder / "checkpoints" / f"{name}.ckpt"
        write_checkpoint({"loops": {}, "global_step": step, "weights": torch.zeros(50)}, path)
        os.utime(path, (time, time))
    return folder


def damage(run: Path, name: str) -> None:
    """Change a byte in the middle, which a quick look does not see."""
    path = run / "checkpoints" / f"{name}.ckpt"
    data = path.read_bytes()
    place = data.index(bytes(4 * 50)) + 7
    path.write_bytes(data[:place] + b"\1" + data[place + 1 :])


# --- one run


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ({"last": 7}, "last"),
        ({"last": 7, "previous": 5, "best": 6}, "last"),
        ({"last": 7, "previous": 7, "best": 7}, "last"),
        ({"best": 9, "last": 7}, "best"),
        ({"previous": 5, "best": 3}, "previous"),
    ],
)
def test_checkpoint_after_the_most_steps_is_used(steps, expected, tmp_path):
    found = resumable_run(make_run(tmp_path / "run", **steps))
    assert found == (tmp_path / "run", tmp_path / "run" / "checkpoints" / f"{expected}.ckpt", steps[expected])


def test_damaged_checkpoints_are_passed_over_with_one_warning_that_names_them(tmp_path):
    run = make_run(tmp_path, last=9, previous=7, best=8)
    damage(run, "last")
    (run / "checkpoints" / "best.ckpt").write_bytes(b"torn")
    with pytest.warns(
        UserWarning, match=r"best\.ckpt and checkpoints/last\.ckpt of the run .*previous\.ckpt\.$"
    ) as seen:
        assert resumable_run(run).checkpoint.name == "previous.ckpt"
    assert len(seen) == 1


def test_checkpoint_that_another_version_wrote_is_passed_over_if_there_is_an_older_one(tmp_path):
    run = make_run(tmp_path, previous=7)
    torch.save({"loops": {}, "global_step": 9, FORMAT_KEY: 99}, run / "checkpoints" / "last.ckpt")
    with pytest.warns(UserWarning, match="damaged, or written by a newer version"):
        assert resumable_run(run).step == 7


def test_run_without_a_whole_checkpoint_is_refused(tmp_path):
    with pytest.raises(InvalidInputError, match=r"is not a run folder: it has no config\.yaml"):
        resumable_run(tmp_path)
    run = make_run(tmp_path / "run")
    with pytest.raises(InvalidInputError, match=r"cannot be resumed: it has no checkpoint that .* Start it anew"):
        resumable_run(run)
    (run / "checkpoints" / "last.ckpt").write_bytes(b"torn")
    with pytest.raises(InvalidInputError, match=r"checkpoints/last\.ckpt cannot be read .*no other checkpoint"):
        resumable_run(run)


def test_checkpoint_for_evaluation_alone_is_not_resumed(tmp_path):
    run = make_run(tmp_path)
    write_checkpoint({"state_dict": {}, "global_step": 5}, run / "checkpoints" / "last.ckpt")
    with pytest.raises(InvalidInputError, match="it has no checkpoint that training could go on from"):
        resumable_run(run)


# --- the newest run


def test_run_that_saved_last_is_the_newest_whatever_its_name(tmp_path):
    for number, time in ((0, 100), (1, 300), (2, 200)):
        make_run(tmp_path / f"version_{number}", time, last=5, best=3)
    assert newest_run(tmp_path).folder == tmp_path / "version_1"


def test_runs_without_a_whole_checkpoint_and_distilled_ones_are_not_the_newest(tmp_path):
    old = make_run(tmp_path / "version_0", 100, last=5)
    make_run(tmp_path / "version_1")
    damage(make_run(tmp_path / "version_2", 300, last=5), "last")
    distilled = make_run(tmp_path / "distilled")
    write_checkpoint({"state_dict": {}, "global_step": 5}, distilled / "checkpoints" / "last.ckpt")
    with pytest.warns(UserWarning, match=r"version_2' cannot be resumed: .* It is passed over\.$") as seen:
        assert newest_run(tmp_path).folder == old
    assert len(seen) == 1


def test_experiment_without_runs_has_no_newest_one(tmp_path):
    assert newest_run(tmp_path / "none") is None


# --- words


def expanded(*words: str) -> list[str]:
    return expand_resume(["fit", *words])


def test_words_without_the_option_stay_as_they_are():
    assert expanded("--config", "a.yaml", "--ckpt_path=b.ckpt") == ["fit", "--config", "a.yaml", "--ckpt_path=b.ckpt"]


@pytest.mark.parametrize("as_one", [True, False])
def test_folder_stands_for_its_configuration_and_its_newest_whole_checkpoint(as_one, tmp_path):
    run = make_run(tmp_path / "run", last=5, previous=4)
    option = [f"--resume={run}"] if as_one else ["--resume", str(run)]
    words = expanded("--config=more.yaml", *option, "--trainer.max_steps", "9")
    own, checkpoint = ["--config", str(run / "config.yaml")], str(run / "checkpoints" / "last.ckpt")
    rest = ["--config=more.yaml", "--trainer.max_steps", "9", "--resume", str(run), "--ckpt_path", checkpoint]
    assert words == ["fit", *own, *rest]


@pytest.mark.parametrize("word", ["--resume", "--resume="])
def test_option_needs_a_value(word):
    with pytest.raises(InvalidInputError, match="--resume needs the folder of a run, or auto"):
        expanded(word)


def test_option_and_a_checkpoint_exclude_each_other(tmp_path):
    with pytest.raises(InvalidInputError, match="leave --ckpt_path out"):
        expanded("--resume", str(tmp_path), "--ckpt_path=a.ckpt")


def experiment(folder: Path, text: str = "experiment: ring\n") -> Path:
    path = folder / "given.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("experiment: ring\n", []),
        ("experiment: other\n", ["--experiment", "ring"]),
        ("{}", ["--experiment=ring"]),
    ],
)
def test_auto_finds_the_experiment_and_takes_the_runs_configuration_for_the_files(text, words, tmp_path, capsys):
    run = make_run(tmp_path / "ring" / "version_3", last=5)
    given = experiment(tmp_path, text)
    appended = ["--trainer.callbacks+={}", "--trainer.callbacks+", "{}"]
    found = expanded(
        "-c", str(given), *words, "--resume=auto", f"--runs_dir={tmp_path}", *appended, "--seed_everything=1"
    )
    own, checkpoint = ["--config", str(run / "config.yaml")], str(run / "checkpoints" / "last.ckpt")
    kept = [*words, f"--runs_dir={tmp_path}", "--seed_everything=1", "--resume", str(run), "--ckpt_path", checkpoint]
    assert found == ["fit", *own, *kept]
    assert f"'{run}' goes on after step 5 (last.ckpt)" in capsys.readouterr().out


def test_auto_begins_a_run_if_there_is_none(tmp_path, capsys):
    words = ["--config", str(experiment(tmp_path)), f"--runs_dir={tmp_path / 'runs'}"]
    assert expanded(*words, "--resume", "auto") == ["fit", *words]
    assert "no run of 'ring' under" in capsys.readouterr().out


def test_auto_with_a_version_looks_at_that_run_only(tmp_path):
    make_run(tmp_path / "ring" / "new", 900, last=5)
    words = ["--experiment=ring", f"--runs_dir={tmp_path}", "--version=mine"]
    assert expanded(*words, "--resume=auto") == ["fit", *words]
    mine = make_run(tmp_path / "ring" / "mine", 100)
    (mine / FILE).touch()  # it began, and was killed before its first checkpoint
    assert expanded(*words, "--resume=auto") == ["fit", *words, "--resume", str(mine)]
    write_checkpoint({"loops": {}, "global_step": 1}, mine / "checkpoints" / "last.ckpt")
    assert expanded(*words, "--resume=auto")[-3] == str(mine)


def test_auto_needs_the_name_of_an_experiment(tmp_path):
    with pytest.raises(InvalidInputError, match="name it with --experiment, or give a --config file that does"):
        expanded("--resume=auto", "--config", str(experiment(tmp_path, "trainer: {}\n")))
    for broken in ("a: [", "\x00"):
        with pytest.raises(InvalidInputError, match=r"given\.yaml' cannot be read, so --resume auto cannot see"):
            expanded("--resume=auto", "--config", str(experiment(tmp_path, broken)))
    with pytest.raises(InvalidInputError, match=r"cannot be read.*\(FileNotFoundError\)"):
        expanded("--resume=auto", "--config=none.yaml")


@pytest.mark.parametrize("chosen", [None, "checkpoints/previous.ckpt"])
def test_processes_that_a_run_starts_do_as_the_first_one(chosen, tmp_path, monkeypatch):
    run = make_run(tmp_path / "ring" / "version_0", last=5, previous=4)
    monkeypatch.setenv(CLAIMED, str(run))
    words = ["--experiment=ring", f"--runs_dir={tmp_path}"]
    if chosen is None:
        assert expanded(*words, "--resume=auto") == ["fit", *words]
    else:
        monkeypatch.setenv(CHECKPOINT, str(run / chosen))
        assert expanded(*words, "--resume=auto")[-1] == str(run / chosen)


# --- locks


HOLD = """
import sys, pathlib
from mixnash.lit.run_lock import held
with held(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.distributed
def test_folder_held_by_another_process_is_refused_until_that_one_is_killed(tmp_path):
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY / "src")},
    )
    try:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(
            InvalidInputError, match=f"is being trained by process {other.pid} on .*, and two runs never"
        ):
            held(tmp_path).__enter__()
    finally:
        other.kill()
        other.communicate()
    with held(tmp_path):
        assert (tmp_path / FILE).read_text().startswith(f"process {os.getpid()} on ")


def test_folder_is_free_again_after_the_block(tmp_path):
    for _ in range(2):
        with held(tmp_path), pytest.raises(InvalidInputError, match=f"process {os.getpid()} on"), held(tmp_path):
            pass


def test_filesystem_without_locks_is_warned_of(tmp_path, monkeypatch):
    def refuse(*args):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.warns(UserWarning, match=r"has no locks \(No locks available\): take care"), held(tmp_path):
        pass


def test_folder_that_cannot_be_written_is_refused(tmp_path):
    with warnings.catch_warnings(), pytest.raises(InvalidInputError, match=r"cannot be written \(No such file"):
        held(tmp_path / "none").__enter__()
