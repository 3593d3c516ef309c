"""Samples as files. A new format is a class here and an entry in `WRITERS`."""

import abc
import io
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mixnash.core.errors import require
from mixnash.data.base import AbstractDataModule, AbstractImageData, AbstractPlanarData
from mixnash.evaluation.files import make_folder, write_file
from mixnash.lit.base import Samples


class AbstractWriter(abc.ABC):
    """Writes samples to one place.

    Args:
        path: the place.
        data: the data that the samples imitate.

    Raises:
        InvalidInputError: when the format cannot hold such data.
    """

    @abc.abstractmethod
    def __init__(self, path: Path, data: AbstractDataModule) -> None: ...

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
    """NumPy's .npz with ``samples`` [n, *event_shape] in float32 and ``particle`` [n] in int64; holds any data."""

    def __init__(self, path: Path, data: AbstractDataModule) -> None:
        del data
        self._path = path

    def occupied(self) -> bool:
        """Whether the file exists."""
        return self._path.exists()

    def write(self, samples: Samples) -> None:
        """Write the file."""
        buffer = io.BytesIO()
        np.savez(buffer, samples=_values(samples), particle=_particles(samples))
        _write(self._path, buffer.getvalue())


@final
class TableFile(AbstractWriter):
    """Points of the plane as text with the columns x, y, particle; nine digits keep every float32."""

    def __init__(self, path: Path, data: AbstractDataModule) -> None:
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
    """Images as 00000.png, 00001.png, ..., with [-1, 1] rounded to 0 ... 255; values outside are clipped.

    Only numbered PNG files are ever replaced or removed.
    """

    def __init__(self, path: Path, data: AbstractDataModule) -> None:
        require(
            isinstance(data, AbstractImageData) and data.event_shape[0] in (1, 3),
            f"Only grey or RGB images can be written to a folder, found samples of shape {list(data.event_shape)}. "
            "Write to a .npz file or, for points of the plane, to a .csv file.",
        )
        self._path = path

    def occupied(self) -> bool:
        """Whether there is a file of that name, or anything in the folder."""
        return self._path.is_file() or (self._path.is_dir() and any(self._path.iterdir()))

    def write(self, samples: Samples) -> None:
        """Write one file per image, and remove higher numbers left from before."""
        make_folder(self._path)
        pixels = (((_values(samples) + 1) * 127.5).round().clip(0, 255)).astype(np.uint8).transpose(0, 2, 3, 1)
        digits = max(5, len(str(len(pixels) - 1)))
        names = [f"{index:0{digits}d}.png" for index in range(len(pixels))]
        for name, image in zip(names, pixels, strict=True):
            buffer = io.BytesIO()
            Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(buffer, format="png")
            write_file(self._path / name, buffer.getvalue())
        for stale in {path.name for path in self._path.glob("*.png") if path.stem.isdigit()} - set(names):
            (self._path / stale).unlink()


WRITERS: Mapping[str, type[AbstractWriter]] = MappingProxyType({".npz": ArrayFile, ".csv": TableFile, "": ImageFolder})
"""The format of each file ending; a folder has none."""


def make_writer(path: Path, data: AbstractDataModule, overwrite: bool) -> AbstractWriter:
    """The writer for a path, checked before any work.

    Args:
        path: a file whose ending is in `WRITERS`, or a folder.
        data: the data that the samples imitate.
        overwrite: whether something that is there may be replaced.

    Raises:
        InvalidInputError: when no format has that ending, the format cannot hold the data, or something is there.
    """
    require(
        path.suffix in WRITERS,
        f"Samples are written to a .npz or .csv file or to a folder without an ending, found '{path}'.",
    )
    writer = WRITERS[path.suffix](path, data)
    require(
        overwrite or not writer.occupied(),
        f"'{path}' is there already and is left untouched. Choose another --output, or replace it with --overwrite.",
    )
    return writer


def _values(samples: Samples) -> NDArray[np.float32]:
    return samples.values.cpu().float().numpy()


def _particles(samples: Samples) -> NDArray[np.int64]:
    return samples.particle.cpu().long().numpy()


def _write(path: Path, content: bytes) -> None:
    make_folder(path.parent)
    write_file(path, content)
