"""The folder of files that are made once, and writing to it."""

from pathlib import Path

import pytest

from mixnash.cache_folder import cache_folder, write_atomically
from mixnash.core.errors import InvalidInputError


def test_the_variable_moves_the_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("MIXNASH_HOME", raising=False)
    assert cache_folder() == tmp_path / ".cache" / "mixnash"
    monkeypatch.setenv("MIXNASH_HOME", "~/elsewhere")
    assert cache_folder() == tmp_path / "elsewhere"
    monkeypatch.setenv("MIXNASH_HOME", "")
    assert cache_folder() == tmp_path / ".cache" / "mixnash"


def test_writing_makes_the_folder_and_replaces_the_file(tmp_path):
    path = tmp_path / "a" / "b" / "x.bin"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(monkeypatch, tmp_path):
    path = tmp_path / "x.bin"
    write_atomically(path, b"old")
    write = Path.write_bytes

    def half(self, content):
        write(self, content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(
        InvalidInputError, match=r"x\.bin' cannot be written \(No space left on device\)\. .*MIXNASH_HOME"
    ):
        write_atomically(path, b"newer")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_a_file_is_said(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InvalidInputError, match=r"cannot be written \((Not a directory|File exists)\)"):
        write_atomically(tmp_path / "file" / "x.bin", b"")
