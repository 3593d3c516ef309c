"""Images as files: what was written is decoded and compared byte by byte, and failures leave nothing behind."""

import errno
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mixnash.core.errors import InvalidInputError
from mixnash.core.random import Purpose, stream
from mixnash.data.base import AbstractImageData
from mixnash.evaluation.export import make_writer
from mixnash.evaluation.load import load_run
from mixnash.evaluation.sample import main
from mixnash.lit.base import Samples


class Pictures(AbstractImageData):
    """Images of any shape that are all black."""

    def __init__(self, channels, height=3, width=5):
        super().__init__(batch_size=1, validation_size=1, seed=0)
        self._shape = (channels, height, width)

    @property
    def event_shape(self):
        return self._shape

    def training_draws(self, step, count):
        return -torch.ones(count, *self._shape)

    def held_out(self, count):
        return -torch.ones(count, *self._shape)


def some(count, channels, height=3, width=5):
    """Samples by turns of three particles and their bytes: up to 0.4 of a grey level off, some of them clipped."""
    rng = np.random.default_rng(count)
    levels = rng.integers(-20, 276, (count, channels, height, width))
    values = (levels + rng.uniform(-0.4, 0.4, levels.shape)) / 127.5 - 1
    return Samples(torch.as_tensor(values).float(), torch.arange(count) % 3), levels.clip(0, 255).astype(np.uint8)


def decoded(path):
    with Image.open(path) as image:
        assert image.format == "PNG"
        return image.mode, np.asarray(image)


def full_disk(monkeypatch, after):
    """Let so many files be written, then no more."""
    real, left = Path.write_bytes, [after]

    def write_bytes(self, data):
        if left[0] == 0:
            real(self, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        left[0] -= 1
        return real(self, data)

    monkeypatch.setattr(Path, "write_bytes", write_bytes)


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_array_file_holds_images_as_bytes_and_their_particles(tmp_path, channels):
    samples, expected = some(2100, channels)  # more than are rounded at once
    make_writer(tmp_path / "x.npz", Pictures(channels), overwrite=False).write(samples)
    with np.load(tmp_path / "x.npz") as found:
        assert (found["samples"].dtype, found["particle"].dtype) == (np.uint8, np.int64)
        assert np.array_equal(found["samples"], expected)
        assert np.array_equal(found["particle"], samples.particle)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
def test_folder_holds_every_image_under_its_number_and_particle(tmp_path, channels, mode):
    samples, expected = some(7, channels)
    make_writer(tmp_path / "new" / "images", Pictures(channels), overwrite=False).write(samples)
    names = sorted(path.name for path in (tmp_path / "new" / "images").iterdir())
    assert names == [f"0000{index}_particle_{index % 3}.png" for index in range(7)]
    for name, pixels in zip(names, expected, strict=True):
        found_mode, found = decoded(tmp_path / "new" / "images" / name)
        assert found_mode == mode
        assert np.array_equal(found, pixels[0] if channels == 1 else pixels.transpose(1, 2, 0))
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["images"]
    plain = tmp_path / "plain"
    plain.mkdir()
    assert (tmp_path / "new" / "images").stat().st_mode == plain.stat().st_mode


@pytest.mark.parametrize(("channels", "columns", "shape"), [(1, None, (3, 3)), (3, 4, (2, 4)), (3, 20, (1, 7))])
def test_grid_shows_every_image_in_reading_order(tmp_path, channels, columns, shape):
    samples, expected = some(7, channels)
    make_writer(tmp_path / "grid.png", Pictures(channels), overwrite=False, columns=columns).write(samples)
    mode, found = decoded(tmp_path / "grid.png")
    assert mode == ("L" if channels == 1 else "RGB")
    grid = np.full((shape[0] * 5 + 2, shape[1] * 7 + 2, channels), 255)
    for place, pixels in enumerate(expected):
        row, column = divmod(place, shape[1])
        grid[2 + 5 * row : 5 + 5 * row, 2 + 7 * column : 7 + 7 * column] = pixels.transpose(1, 2, 0)
    assert np.array_equal(found.reshape(*found.shape[:2], channels), grid)


def test_grid_of_one_image_is_that_image(tmp_path):
    samples, expected = some(1, 1)
    make_writer(tmp_path / "one.png", Pictures(1), overwrite=False).write(samples)
    assert np.array_equal(decoded(tmp_path / "one.png")[1], expected[0, 0])


def test_command_writes_a_grid_of_64_draws_of_one_particle(digits_run, tmp_path, capsys):
    path = tmp_path / "grid.png"
    main(["--run", str(digits_run), "--output", str(path), "--particle", "1", "--columns", "16"])
    run = load_run(digits_run, None)
    values = run.module.sample(64, stream(torch.device("cpu"), 0, Purpose.EVALUATION), 1).values
    _, found = decoded(path)
    assert found.shape == (4 * 10 + 2, 16 * 10 + 2)
    last = ((values[63, 0] + 1) * 127.5).round().clamp(0, 255).numpy()
    assert np.array_equal(found[-10:-2, -10:-2], last)
    assert f"samples: {path} (64)" in capsys.readouterr().out


@pytest.mark.parametrize("fails_at", [0, 4])
def test_full_disk_leaves_no_folder(tmp_path, monkeypatch, fails_at):
    writer = make_writer(tmp_path / "images", Pictures(3), overwrite=False)
    full_disk(monkeypatch, fails_at)
    with pytest.raises(InvalidInputError, match=r"images' cannot be written \(No space left on device\)"):
        writer.write(some(6, 3)[0])
    assert not list(tmp_path.iterdir())


def test_full_disk_leaves_the_old_folder_as_it_was(tmp_path, monkeypatch):
    folder = tmp_path / "images"
    make_writer(folder, Pictures(3), overwrite=False).write(some(9, 3)[0])
    (folder / "notes.txt").write_text("kept")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    full_disk(monkeypatch, 3)
    with pytest.raises(InvalidInputError, match="No space left on device"):
        make_writer(folder, Pictures(3), overwrite=True).write(some(6, 3)[0])
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("name", ["x.npz", "grid.png"])
def test_full_disk_leaves_the_old_file_as_it_was(tmp_path, monkeypatch, name):
    path = tmp_path / name
    path.write_bytes(b"old")
    full_disk(monkeypatch, 0)
    with pytest.raises(InvalidInputError, match="No space left on device"):
        make_writer(path, Pictures(1), overwrite=True).write(some(4, 1)[0])
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_images_that_cannot_be_shown_are_refused_before_a_file_is_made(tmp_path):
    samples, _ = some(4, 3)
    samples.values[3, 1, 0, 0] = torch.nan
    for name in ("x.npz", "grid.png", "images"):
        with pytest.raises(InvalidInputError, match="pixels that are not finite"):
            make_writer(tmp_path / name, Pictures(3), overwrite=False).write(samples)
    assert not list(tmp_path.iterdir())


def test_impossible_formats_are_refused_in_sentences(tmp_path):
    for name in ("grid.png", "folder"):
        with pytest.raises(
            InvalidInputError,
            match=re.escape("grey or RGB images can be written as PNG, found samples of shape [2, 3, 5]"),
        ):
            make_writer(tmp_path / name, Pictures(2), overwrite=False)
    for name in ("x.npz", "folder"):
        with pytest.raises(InvalidInputError, match="--columns=4 arranges a grid of images"):
            make_writer(tmp_path / name, Pictures(3), overwrite=False, columns=4)
    with pytest.raises(InvalidInputError, match="--columns must be at least 1, found 0"):
        make_writer(tmp_path / "grid.png", Pictures(3), overwrite=False, columns=0)
    (tmp_path / "grid.png").touch()
    with pytest.raises(InvalidInputError, match="is there already and is left untouched"):
        make_writer(tmp_path / "grid.png", Pictures(3), overwrite=False)
