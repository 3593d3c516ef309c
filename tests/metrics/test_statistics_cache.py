import errno
import logging
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from mixnash.core.errors import InvalidInputError
from mixnash.metrics.statistics_cache import StatisticsCache, content_hash, statistics_key

ARRAYS = {"features": np.linspace(0, 1, 12).reshape(3, 4), "labels": np.array([3, -1, 2], dtype=np.int32)}


def images(seed: int = 0) -> torch.Tensor:
    return torch.rand(10, 1, 3, 3, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def only_file(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def same(found: dict[str, np.ndarray] | None) -> bool:
    return found is not None and all(np.array_equal(found[name], one) for name, one in ARRAYS.items())


def test_hash_ignores_the_chunks():
    assert content_hash([images()]) == content_hash(images().split(3)) == content_hash(iter(images().split(1)))


def test_hash_tells_value_shape_type_number_and_order_apart():
    base, changed = images(), images()
    changed[9, 0, 2, 2] += 1e-6
    others = [
        changed,
        base.reshape(10, 1, 1, 9),
        base.view(torch.int32),
        base.flip(0),
        base[:9],
        base.reshape(5, 2, 3, 3),
        base.to(torch.bfloat16),
    ]
    hashes = {content_hash([values]) for values in (base, *others)}
    assert len(hashes) == 1 + len(others)


def test_hash_is_of_values_not_of_memory_layout():
    turned = images().permute(0, 1, 3, 2).contiguous().permute(0, 1, 3, 2)
    assert not turned.is_contiguous()
    assert content_hash([turned]) == content_hash([images()])


def test_no_images_and_mixed_images_are_refused():
    with pytest.raises(InvalidInputError, match="need images, found none"):
        content_hash([])
    with pytest.raises(InvalidInputError, match="agree in shape and type"):
        content_hash([images(), images().double()])
    with pytest.raises(InvalidInputError, match="agree in shape and type"):
        content_hash([images(), images()[:, :, :2]])


def test_key_depends_on_each_of_its_parts():
    keys = {
        statistics_key("content", "cnn", 10, "moments"),
        statistics_key("content2", "cnn", 10, "moments"),
        statistics_key("content", "cnn2", 10, "moments"),
        statistics_key("content", "cnn", 11, "moments"),
        statistics_key("content", "cnn", 10, "features"),
        statistics_key("contentcnn", "", 10, "moments"),
    }
    assert len(keys) == 6
    assert all(len(key) == 64 for key in keys)


def test_key_depends_on_the_format(monkeypatch):
    before = statistics_key("content", "cnn", 10, "moments")
    monkeypatch.setattr("mixnash.metrics.statistics_cache.FORMAT", 2)
    assert statistics_key("content", "cnn", 10, "moments") != before


def test_stored_arrays_are_found_again_with_their_types(tmp_path):
    cache = StatisticsCache(tmp_path / "made" / "here")
    assert cache.load("key") is None
    cache.store("key", ARRAYS)
    found = cache.load("key")
    assert same(found)
    assert set(found) == set(ARRAYS)
    assert found["labels"].dtype == np.int32
    assert cache.load("other") is None
    assert only_file(tmp_path / "made" / "here").suffix == ".npz"


def test_a_truncated_file_is_ignored_said_and_replaced(tmp_path, caplog):
    cache = StatisticsCache(tmp_path)
    cache.store("key", ARRAYS)
    content = only_file(tmp_path).read_bytes()
    for length in [0, 1, 3, 21, 22, *range(30, len(content), 37), len(content) - 1]:
        caplog.clear()
        only_file(tmp_path).write_bytes(content[:length])
        with caplog.at_level(logging.WARNING):
            assert cache.load("key") is None
        assert "are damaged; they are computed and written again" in caplog.text
    cache.store("key", ARRAYS)
    assert same(cache.load("key"))


@pytest.mark.parametrize("mask", [0x01, 0x80, 0xFF])
def test_a_changed_byte_anywhere_never_changes_a_number(tmp_path, mask):
    cache = StatisticsCache(tmp_path)
    cache.store("key", ARRAYS)
    content = only_file(tmp_path).read_bytes()
    damaged = 0
    for place in range(0, len(content), 3):
        changed = bytearray(content)
        changed[place] ^= mask
        only_file(tmp_path).write_bytes(changed)
        found = cache.load("key")
        assert found is None or same(found)
        damaged += found is None
    assert damaged > len(content) / 6


def test_a_file_of_another_key_is_not_taken_for_this_one(tmp_path):
    cache = StatisticsCache(tmp_path)
    cache.store("key", ARRAYS)
    only_file(tmp_path).rename(tmp_path / "other.npz")
    assert cache.load("other") is None


def test_a_file_of_somebody_else_is_ignored(tmp_path):
    np.savez(tmp_path / "key.npz", **ARRAYS)
    assert StatisticsCache(tmp_path).load("key") is None
    np.savez(tmp_path / "key.npz", features=np.array([{"a": 1}], dtype=object))
    assert StatisticsCache(tmp_path).load("key") is None


def test_a_file_that_cannot_be_opened_is_one_sentence(tmp_path):
    (tmp_path / "key.npz").mkdir()
    with pytest.raises(InvalidInputError, match=r"key\.npz' cannot be read"):
        StatisticsCache(tmp_path).load("key")


def test_a_full_disk_is_one_sentence_and_leaves_the_old_file_alone(tmp_path, monkeypatch):
    cache = StatisticsCache(tmp_path)
    cache.store("key", ARRAYS)

    def full(self: Path, content: bytes) -> int:
        with self.open("wb") as file:
            file.write(content[:100])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    for key in ("key", "new"):
        with pytest.raises(InvalidInputError, match=r"cannot be written \(No space left on device\)"):
            cache.store(key, {"features": np.zeros(3)})
    assert only_file(tmp_path).name == "key.npz"
    assert same(cache.load("key"))


def test_the_name_of_the_digest_is_refused(tmp_path):
    with pytest.raises(InvalidInputError, match="'digest' is taken"):
        StatisticsCache(tmp_path).store("key", {"digest": np.zeros(3)})
