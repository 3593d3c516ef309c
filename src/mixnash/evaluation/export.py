"""Samples as files. A new format is a class here and an entry in `WRITERS`."""

import abc
import io
import math
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torchvision.utils import make_grid

from mixnash.core.errors import require
from mixnash.data.base import AbstractDataModule, AbstractImageData, AbstractPlanarData
from mixnash.evaluation.files import make_folder, write_file
from mixnash.evaluation.staging import staged_folder
from mixnash.lit.base import Samples

_CHUNK = 1024  # images that are rounded to bytes at once
_SEPARATOR, _WHITE = 2, 255  # of a grid: pixels between images, and their value
_OURS = re.compile(r"\d{5,}_particle_\d+\.png")


class AbstractWriter(abc.ABC):
    """Writes samples to one place.

    Args:
        path: the place.
        data: the data that the samples imitate.
        columns: images in a row of a grid; None for a format that is none, or for as many as there are rows.

    Raises:
        InvalidInputError: when the format cannot hold such data, or has no columns.
    """

    @abc.abstractmethod
    def __init__(self, path: Path, data: AbstractDataModule, columns: int | None) -> None: ...

    @abc.abstractmethod
    def occupied(self) -> bool:
        """Whether something is there already."""

    @abc.abstractmethod
    def write(self, samples: Samples) -> None:
        """Write samples [n, *event_shape].

        Raises:
            InvalidInputError: when nothing can be written there.
        """


@final
class ArrayFile(AbstractWriter):
    """NumPy's .npz with ``samples`` [n, *event_shape] and ``particle`` [n] in int64; holds any data.

    Images [n, C, H, W] are bytes: [-1, 1] rounded to 0 ... 255, values outside clipped. Other samples are float32.
    """

    def __init__(self, path: Path, data: AbstractDataModule, columns: int | None) -> None:
        _refuse_columns(columns)
        self._path, self._images = path, isinstance(data, AbstractImageData)

    def occupied(self) -> bool:
        """Whether the file exists."""
        return self._path.exists()

    def write(self, samples: Samples) -> None:
        """Write the file."""
        values = _bytes(samples).numpy() if self._images else _values(samples)
        buffer = io.BytesIO()
        np.savez(buffer, samples=values, particle=_particles(samples))
        _write(self._path, buffer.getvalue())


@final
class TableFile(AbstractWriter):
    """Points of the plane as text with the columns x, y, particle; nine digits keep every float32."""

    def __init__(self, path: Path, data: AbstractDataModule, columns: int | None) -> None:
        _refuse_columns(columns)
        require(
            isinstance(data, AbstractPlanarData),
            f"A .csv file holds points of the plane, found samples of shape {list(data.event_shape)}. Write to a .npz "
            "file or, for images, to a folder.",
        )
        self._path = path

    def occupied(self) -> bool:
        """Whether the file exists."""
        return self._path.exists()

    def write(self, samples: Samples) -> None:
        """Write the file."""
        lines = (
            f"{x:.9g},{y:.9g},{particle}"
            for (x, y), particle in zip(_values(samples).tolist(), _particles(samples).tolist(), strict=True)
        )
        _write(self._path, ("\n".join(["x,y,particle", *lines]) + "\n").encode())


@final
class ImageFolder(AbstractWriter):
    """Images as 00000_particle_2.png, 00001_particle_0.png, ..., named by their number and by the generator that made
    them, with [-1, 1] rounded to 0 ... 255; values outside are clipped.

    All of them appear or none. Only files with such names are ever replaced or removed.
    """

    def __init__(self, path: Path, data: AbstractDataModule, columns: int | None) -> None:
        _refuse_columns(columns)
        _require_pictures(data)
        self._path = path

    def occupied(self) -> bool:
        """Whether there is a file of that name, or anything in the folder."""
        return self._path.is_file() or (self._path.is_dir() and any(self._path.iterdir()))

    def write(self, samples: Samples) -> None:
        """Write one file per image, and remove those of an earlier set that this one does not have."""
        pixels, particles = _bytes(samples), _particles(samples).tolist()
        digits = max(5, len(str(len(pixels) - 1)))
        with staged_folder(self._path, lambda name: _OURS.fullmatch(name) is not None) as folder:
            for index, (image, particle) in enumerate(zip(pixels, particles, strict=True)):
                (folder / f"{index:0{digits}d}_particle_{particle}.png").write_bytes(_png(image))


@final
class GridFile(AbstractWriter):
    """One PNG file with every image in reading order, two white pixels apart; a single image is written as it is."""

    def __init__(self, path: Path, data: AbstractDataModule, columns: int | None) -> None:
        _require_pictures(data)
        require(columns is None or columns >= 1, f"--columns must be at least 1, found {columns}.")
        self._path, self._columns = path, columns

    def occupied(self) -> bool:
        """Whether the file exists."""
        return self._path.exists()

    def write(self, samples: Samples) -> None:
        """Write the file."""
        pixels = _bytes(samples)
        columns = math.ceil(len(pixels) ** 0.5) if self._columns is None else self._columns
        grid = make_grid(pixels, columns, padding=_SEPARATOR, pad_value=_WHITE)
        _write(self._path, _png(grid[: pixels.shape[1]]))  # torchvision repeats the channel of grey images


WRITERS: Mapping[str, type[AbstractWriter]] = MappingProxyType(
    {".npz": ArrayFile, ".csv": TableFile, ".png": GridFile, "": ImageFolder}
)
"""The format of each file ending; a folder has none."""


def make_writer(path: Path, data: AbstractDataModule, overwrite: bool, columns: int | None = None) -> AbstractWriter:
    """The writer for a path, checked before any work.

    Args:
        path: a file whose ending is in `WRITERS`, or a folder.
        data: the data that the samples imitate.
        overwrite: whether something that is there may be replaced.
        columns: images in a row of a grid; None for a format that is none, or for as many as there are rows.

    Raises:
        InvalidInputError: when no format has that ending, the format cannot hold the data or has no columns, or
            something is there.
    """
    require(
        path.suffix in WRITERS,
        f"Samples are written to a .npz, .csv or .png file or to a folder without an ending, found '{path}'.",
    )
    writer = WRITERS[path.suffix](path, data, columns)
    require(
        overwrite or not writer.occupied(),
        f"'{path}' is there already and is left untouched. Choose another --output, or replace it with --overwrite.",
    )
    return writer


def _values(samples: Samples) -> NDArray[np.float32]:
    return samples.values.cpu().float().numpy()


def _particles(samples: Samples) -> NDArray[np.int64]:
    return samples.particle.cpu().long().numpy()


def _bytes(samples: Samples) -> Tensor:
    """Images in [-1, 1] as bytes [n, C, H, W]; a few at a time, since floats take four times as much.

    Raises:
        InvalidInputError: when a pixel is not finite.
    """
    parts = []
    for start in range(0, len(samples.values), _CHUNK):
        values = samples.values[start : start + _CHUNK].float().cpu()
        require(
            bool(values.isfinite().all()),
            "The samples hold pixels that are not finite, which no picture can show. Choose another checkpoint.",
        )
        parts.append(((values + 1) * 127.5).round().clamp(0, 255).to(torch.uint8))
    return torch.cat(parts)


def _png(image: Tensor) -> bytes:
    """Bytes [C, H, W] of a grey or RGB image as a PNG file."""
    buffer = io.BytesIO()
    pixels = image.permute(1, 2, 0).numpy()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(buffer, format="png")
    return buffer.getvalue()


def _require_pictures(data: AbstractDataModule) -> None:
    require(
        isinstance(data, AbstractImageData) and data.event_shape[0] in (1, 3),
        f"Only grey or RGB images can be written as PNG, found samples of shape {list(data.event_shape)}. Write to a "
        ".npz file or, for points of the plane, to a .csv file.",
    )


def _refuse_columns(columns: int | None) -> None:
    require(
        columns is None,
        f"--columns={columns} arranges a grid of images, which --output grid.png asks for. Leave it out for any other "
        "output.",
    )


def _write(path: Path, content: bytes) -> None:
    make_folder(path.parent)
    write_file(path, content)
