"""Checkpoint files: whole or refused, whatever happens to them, to the disk or to the process that writes."""

import errno
import os
import random
import resource
import signal
import zipfile
from pathlib import Path

import pytest
import torch

from mixnash.core.errors import InvalidInputError, UnwritableError
from mixnash.lit.checkpoint_files import (
    FORMAT,
    FORMAT_KEY,
    MIGRATIONS,
    discard_unfinished,
    read_whole,
    write_checkpoint,
)
from mixnash.lit.checkpoint_plugin import CheckpointFiles
from mixnash.lit.checkpoints import CONFIG, read_checkpoint
from training import assert_same

SEAL = len(b"mixnash-sha256:") + 64
END = 22
"""Bytes of a zip archive's end record without its comment."""


def content(step: int = 1) -> dict[str, object]:
    return {CONFIG: "a: 1", "state_dict": {"a": torch.arange(step, step + 200.0)}, "global_step": step, "loops": {}}


@pytest.fixture
def path(tmp_path) -> Path:
    file = tmp_path / "last.ckpt"
    write_checkpoint(content(), file)
    return file


def refusal(path: Path, data: bytes) -> str:
    """The sentence by which a file with these bytes is refused."""
    path.write_bytes(data)
    with pytest.raises(InvalidInputError) as caught:
        read_checkpoint(path)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_content_is_read_back_and_plain_torch_and_zip_read_the_file_too(path):
    expected = content() | {FORMAT_KEY: FORMAT}
    assert_same(read_checkpoint(path), expected)
    for mmap in (False, True):
        assert_same(torch.load(path, weights_only=True, mmap=mmap), expected)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert len(archive.comment) == SEAL
    assert [one.name for one in path.parent.iterdir()] == ["last.ckpt"]


def flipped(data: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(data))
    return data[:place] + bytes([data[place] ^ (1 << rng.randrange(8))]) + data[place + 1 :]


def cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data))]


def zeroed(data: bytes, rng: random.Random) -> bytes:
    place, size = rng.randrange(len(data)), rng.randrange(1, 600)
    return data[:place] + bytes(len(data[place : place + size])) + data[place + size :]


def appended(data: bytes, rng: random.Random) -> bytes:
    return data + rng.choice([rng.randbytes(rng.randrange(1, 300)), data[-SEAL - 2 :], data])


def without_a_part(data: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(data))
    return data[:place] + data[place + rng.randrange(1, 300) :]


@pytest.mark.parametrize("damage", [flipped, cut, zeroed, appended, without_a_part])
def test_all_randomly_damaged_files_are_refused(damage, path):
    whole, rng, found = path.read_bytes(), random.Random(len(damage.__name__)), 0
    while found < 50:
        data = damage(whole, rng)
        if data != whole:  # zeros may be what was there
            refusal(path, data)
            found += 1


def test_every_byte_of_the_end_record_and_of_the_seal_counts(path):
    whole = path.read_bytes()
    for place in range(len(whole) - END - SEAL, len(whole)):
        refusal(path, whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])


def test_file_without_its_seal_is_refused_as_such_although_torch_reads_it(path):
    data = path.read_bytes()[:-SEAL]
    assert_matches_all(("has lost its hash", "another one from its folder"), refusal(path, data))
    assert torch.load(path, weights_only=True)["global_step"] == 1


def assert_matches_all(parts: tuple[str, ...], sentence: str) -> None:
    assert all(part in sentence for part in parts), sentence


def test_changed_tensor_is_refused_although_torch_reads_it(path):
    whole = path.read_bytes()
    place = whole.index(torch.arange(1, 201.0).numpy().tobytes()) + 40
    assert_matches_all(("is damaged",), refusal(path, whole[:place] + b"\1" + whole[place + 1 :]))
    assert torch.load(path, weights_only=True)["global_step"] == 1


@pytest.mark.parametrize("number", [FORMAT + 1, 99])
def test_newer_format_is_refused(number, path):
    torch.save(content() | {FORMAT_KEY: number}, path)
    assert_matches_all(
        ("was written by a newer version of mixnash", f"its format is {number}"), refusal(path, path.read_bytes())
    )


@pytest.mark.parametrize("number", [0, True, "2", None, -1, 1.5])
def test_format_that_is_no_format_is_refused(number, path):
    torch.save(content() | {FORMAT_KEY: number}, path)
    refusal(path, path.read_bytes())


def test_every_earlier_format_is_migrated():
    assert set(MIGRATIONS) == set(range(1, FORMAT))


# --- writing


MOMENTS = {"written": 0, "linked": 1, "old one kept": 2, "renamed": 3, "folder flushed": 4}


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=list(MOMENTS))
def test_process_killed_at_any_moment_leaves_both_files_whole(moment, tmp_path):
    files = CheckpointFiles()
    for step in (1, 2):
        files.save_checkpoint(content(step), tmp_path / "last.ckpt")
    pid = os.fork()
    if pid == 0:
        calls = iter(range(100))

        def before(function):
            def called(*args):
                if next(calls) == moment:
                    os.kill(os.getpid(), signal.SIGKILL)
                return function(*args)

            return called

        os.fsync, os.link, Path.replace = before(os.fsync), before(os.link), before(Path.replace)
        files.save_checkpoint(content(3), tmp_path / "last.ckpt")
        os._exit(1)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
    last, previous = (read_whole(tmp_path / name).content for name in ("last.ckpt", "previous.ckpt"))
    assert last["global_step"] == (3 if moment == 4 else 2)
    assert previous["global_step"] == (1 if moment <= 2 else 2)
    discard_unfinished(tmp_path)
    assert {one.name for one in tmp_path.iterdir()} == {"last.ckpt", "previous.ckpt"}


def assert_old_ones_stay(files: CheckpointFiles, folder: Path, message: str) -> None:
    before = {one.name: one.read_bytes() for one in folder.iterdir()}
    with pytest.raises(UnwritableError, match=message) as caught:
        files.save_checkpoint(content(3) | {"more": torch.zeros(100_000)}, folder / "last.ckpt")
    assert len(str(caught.value).splitlines()) == 1
    assert {one.name: one.read_bytes() for one in folder.iterdir()} == before


@pytest.fixture
def files(tmp_path) -> CheckpointFiles:
    """Having written twice."""
    plugin = CheckpointFiles()
    for step in (1, 2):
        plugin.save_checkpoint(content(step), tmp_path / "last.ckpt")
    return plugin


def test_system_that_takes_no_more_bytes_leaves_the_old_files(files, tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        assert_old_ones_stay(
            files, tmp_path, r"last\.ckpt' cannot be written \(File too large\)\. Those written before"
        )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    files.save_checkpoint(content(3), tmp_path / "last.ckpt")
    assert read_whole(tmp_path / "previous.ckpt").content["global_step"] == 2


@pytest.mark.parametrize("call", ["fsync", "open"])
def test_full_disk_leaves_the_old_files(call, files, tmp_path, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = {one.name for one in tmp_path.iterdir()}
    with monkeypatch.context() as patch:
        patch.setattr(*{"fsync": (os, "fsync", full), "open": (Path, "open", full)}[call])
        with pytest.raises(UnwritableError, match=r"\(No space left on device\).* make room"):
            files.save_checkpoint(content(3), tmp_path / "last.ckpt")
    assert {one.name for one in tmp_path.iterdir()} == before
    assert read_whole(tmp_path / "last.ckpt").content["global_step"] == 2


def test_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "checkpoints").write_text("a file")
    with pytest.raises(UnwritableError, match=r"checkpoints/last\.ckpt' cannot be written \((Not|File)"):
        CheckpointFiles().save_checkpoint(content(), tmp_path / "checkpoints" / "last.ckpt")


def test_filesystem_without_hard_links_keeps_the_previous_one_too(files, tmp_path, monkeypatch):
    def refuse(*args):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    files.save_checkpoint(content(3), tmp_path / "last.ckpt")
    steps = [read_whole(tmp_path / name).content["global_step"] for name in ("last.ckpt", "previous.ckpt")]
    assert steps == [3, 2]


def test_damaged_last_checkpoint_does_not_replace_the_previous_one(tmp_path):
    for step in (1, 2):
        CheckpointFiles().save_checkpoint(content(step), tmp_path / "last.ckpt")
    (tmp_path / "last.ckpt").write_bytes(b"torn")
    CheckpointFiles().save_checkpoint(content(3), tmp_path / "last.ckpt")
    steps = [read_whole(tmp_path / name).content["global_step"] for name in ("last.ckpt", "previous.ckpt")]
    assert steps == [3, 1]


def test_only_local_files_without_options_are_written(tmp_path):
    with pytest.raises(InvalidInputError, match="Checkpoints are local files, found 's3://bucket'"):
        CheckpointFiles().save_checkpoint(content(), "s3://bucket")
    with pytest.raises(InvalidInputError, match="have no storage options"):
        CheckpointFiles().save_checkpoint(content(), tmp_path / "a.ckpt", storage_options={})
