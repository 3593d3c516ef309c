"""Memory, disks, data and processes that are lost end a run in one sentence, and what was saved stays whole."""

import errno
import json
import os

import pytest
import torch
from tensorboard.summary.writer.record_writer import RecordWriter
from torchvision.io import write_png

from faults import finished
from image_files import pixels
from mixnash.cli import main
from mixnash.core.errors import InvalidInputError, NonFiniteError, ProcessLostError, RunFailedError
from mixnash.lit.faults import causes_of, failure_of
from mixnash.lit.jsonl_logger import JsonLinesLogger
from training import tiny_config

LONG = {"trainer": {"max_steps": 8, "val_check_interval": 4}}


def callback(kind, /, **arguments):
    return "--trainer.callbacks+=" + json.dumps({"class_path": f"faults.{kind}", "init_args": arguments})


def started(folder, *more):
    config = tiny_config(folder, LONG)
    return ["fit", f"--config={config}", f"--runs_dir={folder / 'runs'}", "--version=run", *more]


def failure(words, capsys):
    """Exit code and the only line on stderr of a run in this process."""
    with pytest.raises(SystemExit) as caught:
        main(words)
    (line,) = capsys.readouterr().err.strip().splitlines()
    return caught.value.code, line


def steps_saved(folder):
    """Steps of last.ckpt, which must be whole."""
    return torch.load(folder / "runs" / "tiny" / "run" / "checkpoints" / "last.ckpt", weights_only=True)["global_step"]


@pytest.mark.parametrize("kind", ["accelerator", "machine", "python"])
def test_step_that_does_not_fit_into_memory_names_the_knobs(kind, tmp_path, capsys):
    code, line = failure(started(tmp_path, callback("FailAt", step=5, kind=kind)), capsys)
    assert code == 3
    assert line.startswith("error: A step does not fit into memory (")
    for knob in (
        "memory_limit",
        "batch_size",
        "generator_samples",
        "num_generators",
        "num_critics",
        "particle_parallel",
    ):
        assert knob in line
    assert steps_saved(tmp_path) == 4


@pytest.fixture
def full_disk(monkeypatch):
    """Metrics cannot be appended to after the fifth step."""
    write = JsonLinesLogger.log_metrics

    def refuse(self, metrics, step=None):
        if step is not None and step > 4:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(self, metrics, step)

    monkeypatch.setattr(JsonLinesLogger, "log_metrics", refuse)


def test_full_disk_under_the_metrics_ends_in_a_sentence_and_keeps_the_checkpoint(full_disk, tmp_path, capsys):
    code, line = failure(started(tmp_path), capsys)
    run = tmp_path / "runs" / "tiny" / "run"
    assert code == 3
    assert line == (
        "error: A file cannot be written or read ([Errno 28] No space left on device): make room on the disk, or see "
        f"what became of the folder. Checkpoints written before are intact: continue with --resume {run}."
    )
    assert steps_saved(tmp_path) == 4


def test_full_disk_under_tensorboard_ends_in_a_sentence_without_its_threads_traceback(tmp_path, capsys, monkeypatch):
    write, written = RecordWriter.write, []

    def refuse(self, data):
        written.append(data)
        if len(written) > 8:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(self, data)

    monkeypatch.setattr(RecordWriter, "write", refuse)
    code, line = failure(started(tmp_path), capsys)
    assert code == 3
    assert line.startswith("error: A file cannot be written or read ([Errno 28] No space left on device): ")


def test_run_folder_that_becomes_a_file_ends_the_run_in_a_sentence(tmp_path, capsys):
    run = tmp_path / "runs" / "tiny" / "run"
    code, line = failure(started(tmp_path, callback("RemoveAt", step=5, folder=str(run), replace=True)), capsys)
    assert code == 3
    assert line.startswith(f"error: A file cannot be written or read ([Errno 20] Not a directory: '{run}")
    assert line.endswith("There is no checkpoint yet: start anew.")


def image_words(folder, workers):
    """A run on pictures in a folder, which is to vanish."""
    model = {
        "init_args": {
            "num_generators": 1,
            "num_critics": 1,
            "generator": {"class_path": "mixnash.networks.dcgan.DCGANGenerator", "init_args": {"width": 4}},
            "critic": {"class_path": "mixnash.networks.dcgan.DCGANCritic", "init_args": {"width": 4}},
        }
    }
    data = {
        "class_path": "mixnash.data.image_folder.ImageFolder",
        "init_args": {
            "root": str(folder / "pictures"),
            "image_size": 16,
            "batch_size": 4,
            "validation_size": 8,
            "num_workers": workers,
        },
    }
    return tiny_config(folder, {**LONG, "model": model, "data": data})


@pytest.mark.parametrize("workers", [0, 2])
def test_vanished_data_folder_ends_the_run_in_a_sentence(workers, tmp_path, capsys):
    (tmp_path / "pictures").mkdir()
    for index in range(80):
        write_png(pixels(index, 3, 16, 16), str(tmp_path / "pictures" / f"{index}.png"))
    words = ["fit", f"--config={image_words(tmp_path, workers)}", f"--runs_dir={tmp_path / 'runs'}", "--version=run"]
    gone = callback("RemoveAt", step=5, folder=str(tmp_path / "pictures"))
    code, line = failure([*words, gone, "--trainer.max_steps=60"], capsys)
    assert code == 3
    assert line.startswith("error: The run stopped. ")
    assert "is not there (any more): put the file back" in line
    assert line.endswith(f"continue with --resume {tmp_path / 'runs' / 'tiny' / 'run'}.")
    assert steps_saved(tmp_path) in {4, 8}  # workers have some batches more in hand


def test_errors_of_the_code_are_nobody_elses_fault():
    assert failure_of(RuntimeError("shapes do not match"), None, True) is None
    assert failure_of(ValueError("too many values to unpack"), None, True) is None


def test_bad_input_stays_bad_input_before_training_and_is_a_failed_run_afterwards(tmp_path):
    error = InvalidInputError("Nothing is there.")
    assert failure_of(error, tmp_path, has_begun=False) is None
    failed = failure_of(error, tmp_path, has_begun=True)
    assert isinstance(failed, RunFailedError)
    assert str(failed) == "The run stopped. Nothing is there. There is no checkpoint yet: start anew."


def test_first_cause_counts_and_not_what_failed_while_ending():
    closing = OSError(errno.ENOSPC, "No space left on device")
    closing.__context__ = NonFiniteError("The loss became non-finite.")
    assert failure_of(closing, None, True) is closing.__context__


def test_error_that_was_kept_and_raised_again_can_come_from_itself():
    kept, other = OSError(errno.ENOSPC, "No space left on device"), ValueError("closed")
    kept.__context__, other.__context__ = other, kept
    assert list(causes_of(kept)) == [kept, other]
    assert "No space left on device" in str(failure_of(other, None, True))


def test_lost_process_is_recognised_in_exchanges_that_are_not_ours():
    gloo = RuntimeError("[../third_party/gloo/gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:80")
    assert isinstance(failure_of(gloo, None, True), ProcessLostError)


@pytest.mark.distributed
@pytest.mark.slow
@pytest.mark.parametrize(("strategy", "rank"), [("data_parallel", 1), ("particle_parallel", 0)])
def test_lost_process_ends_the_other_one_with_a_sentence(strategy, rank, tmp_path):
    lost = callback("SignalAt", step=5, name="SIGKILL", rank=rank)
    done = finished(*started(tmp_path, lost), processes=2, strategy=strategy)
    assert done.returncode == (-9 if rank == 0 else 3), done.stderr
    assert done.stderr.count("error: Another process of this run ended or stopped answering") == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert steps_saved(tmp_path) == 4
