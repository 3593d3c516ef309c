"""Run folders, metric lines and checkpoints on disk."""

import json
import threading

import pytest
import torch

from mixnash.core.errors import InvalidInputError
from mixnash.lit.callbacks.last_checkpoint import LastCheckpoint
from mixnash.lit.checkpoints import CONFIG, check_fits, read_checkpoint
from mixnash.lit.jsonl_logger import JsonLinesLogger
from mixnash.lit.run_folder import CLAIMED, claim_run_folder, discard_unused, shared_run_folder
from training import adam_dynamics, make_trainer, mixed_gan, ring, wgan


def test_runs_are_numbered_from_the_highest_number_there_is(tmp_path):
    assert claim_run_folder(str(tmp_path), "ring", None) == tmp_path / "ring" / "version_0"
    (tmp_path / "ring" / "version_7").mkdir()
    (tmp_path / "ring" / "version_old").mkdir()
    assert claim_run_folder(str(tmp_path), "ring", None) == tmp_path / "ring" / "version_8"


def test_claims_made_at_once_give_distinct_folders(tmp_path):
    start, claimed = threading.Barrier(8), []

    def claim():
        start.wait()
        claimed.append(claim_run_folder(str(tmp_path), "ring", None))

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(claimed)) == 8
    assert all(folder.is_dir() for folder in claimed)


def test_named_version_is_claimed_once(tmp_path):
    assert claim_run_folder(str(tmp_path), "ring", "a-1") == tmp_path / "ring" / "a-1"
    with pytest.raises(InvalidInputError, match=r"'.*ring/a-1' exists already and is left untouched"):
        claim_run_folder(str(tmp_path), "ring", "a-1")


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "a b", "-x"])
def test_names_that_are_not_one_plain_component_are_refused(name, tmp_path):
    with pytest.raises(InvalidInputError, match="The version must be a plain folder name"):
        claim_run_folder(str(tmp_path), "ring", name)
    with pytest.raises(InvalidInputError, match="The experiment must be a plain folder name"):
        claim_run_folder(str(tmp_path), name, "a")
    assert not list(tmp_path.iterdir())


def test_place_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InvalidInputError, match=r"cannot be written \(Not a directory\). Choose another place"):
        claim_run_folder(str(tmp_path / "file" / "runs"), "ring", None)


def test_only_unused_folders_are_discarded(tmp_path):
    for name in ("metrics", "checkpoints", "unused"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").write_text("x")
    (tmp_path / "metrics" / "metrics.jsonl").write_text("{}")
    (tmp_path / "checkpoints" / "checkpoints").mkdir()
    for folder in list(tmp_path.iterdir()):
        discard_unused(folder)
    assert {folder.name for folder in tmp_path.iterdir()} == {"metrics", "checkpoints"}


def test_folder_is_shared_through_the_environment(monkeypatch, tmp_path):
    monkeypatch.delenv(CLAIMED, raising=False)
    assert shared_run_folder() is None
    monkeypatch.setenv(CLAIMED, str(tmp_path))
    assert shared_run_folder() == tmp_path


def test_metric_lines_hold_step_seconds_and_metrics_without_the_epoch(tmp_path):
    logger = JsonLinesLogger(tmp_path)
    logger.log_metrics({"loss": 0.5, "epoch": 0.0}, 3)
    logger.log_metrics({"modes": 25.0}, 7)
    logger.log_hyperparams({"unused": 1})
    first, second = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert first.keys() == {"step", "seconds", "loss"}
    assert (first["step"], first["loss"], second["step"], second["modes"]) == (4, 0.5, 8, 25.0)
    assert 0 <= first["seconds"] <= second["seconds"] < 60


def test_metric_lines_of_another_session_are_appended(tmp_path):
    for step in range(2):
        JsonLinesLogger(tmp_path).log_metrics({"loss": 1.0}, step)
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 2


def test_missing_checkpoint_is_refused(tmp_path):
    with pytest.raises(InvalidInputError, match=r"There is no checkpoint '.*none.ckpt'. Checkpoints are in RUN_DIR"):
        read_checkpoint(tmp_path / "none.ckpt")


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 torn" * 50], ids=["empty", "text", "torn"])
def test_corrupt_checkpoint_is_refused_in_one_line(content, tmp_path):
    (tmp_path / "bad.ckpt").write_bytes(content)
    with pytest.raises(InvalidInputError, match="cannot be read: it is torn or not a checkpoint") as caught:
        read_checkpoint(tmp_path / "bad.ckpt")
    assert len(str(caught.value).splitlines()) == 1


def test_checkpoint_cut_short_is_refused(tmp_path):
    torch.save({CONFIG: "", "state_dict": {"a": torch.zeros(1000)}}, tmp_path / "whole.ckpt")
    whole = (tmp_path / "whole.ckpt").read_bytes()
    (tmp_path / "cut.ckpt").write_bytes(whole[: len(whole) // 2])
    assert read_checkpoint(tmp_path / "whole.ckpt")["state_dict"]["a"].shape == (1000,)
    with pytest.raises(InvalidInputError, match="cannot be read"):
        read_checkpoint(tmp_path / "cut.ckpt")


def test_checkpoint_with_pickled_code_is_refused(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "pickled.ckpt")
    with pytest.raises(InvalidInputError, match="cannot be read"):
        read_checkpoint(tmp_path / "pickled.ckpt")


@pytest.mark.parametrize("content", [{"state_dict": {}}, {CONFIG: ""}, [1, 2], torch.zeros(3)], ids=range(4))
def test_foreign_checkpoint_is_refused(content, tmp_path):
    torch.save(content, tmp_path / "foreign.ckpt")
    with pytest.raises(
        InvalidInputError, match=r"was not written by mixnash: it (holds no configuration|is no dictionary)"
    ):
        read_checkpoint(tmp_path / "foreign.ckpt")


def test_tensors_that_do_not_fit_are_counted_and_the_first_named():
    expected = {"a": torch.zeros(2), "b": torch.zeros(3, 1), "c": torch.zeros(1)}
    check_fits(expected, dict(expected))
    with pytest.raises(InvalidInputError, match=r"2 tensors differ in name or shape, the first being 'b'"):
        check_fits(expected, {"a": torch.ones(2), "b": torch.zeros(1, 3)})


MODELS = {
    "three generators": lambda: mixed_gan(adam_dynamics()),
    "two generators": lambda: mixed_gan(adam_dynamics(), generators=2),
    "WGAN": wgan,
}


@pytest.mark.parametrize(
    ("writer", "reader", "message"),
    [
        ("three generators", "two generators", "9 tensors differ in name or shape"),
        ("WGAN", "three generators", "training cannot go on from it"),
        ("three generators", "WGAN", "does not fit this configuration"),
    ],
)
def test_checkpoint_of_another_model_is_refused(writer, reader, message, tmp_path):
    make_trainer(tmp_path, 1, [LastCheckpoint()]).fit(MODELS[writer](), datamodule=ring())
    with pytest.raises(InvalidInputError, match=message):
        make_trainer(tmp_path, 2).fit(
            MODELS[reader](), datamodule=ring(), ckpt_path=tmp_path / "checkpoints" / "last.ckpt", weights_only=True
        )
