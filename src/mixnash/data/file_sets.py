"""Sets of image files that are decoded when a batch needs them, so that any number of them fits."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import final

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from mixnash.core.errors import require
from mixnash.data.image_checks import ImageDecoder, read_files
from mixnash.data.image_sets import AbstractPixels

EXTENSIONS = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
"""Endings of the files that count as images, in small or capital letters."""


@final
class FilePixels(AbstractPixels):
    """Image files, each decoded whenever it is read.

    Args:
        paths: the files.
        decoder: what brings them to one size and number of channels.
    """

    def __init__(self, paths: Sequence[Path], decoder: ImageDecoder) -> None:
        self._paths, self._decoder = paths, decoder

    def __len__(self) -> int:
        return len(self._paths)

    def read(self, places: Int64[Tensor, " n"]) -> UInt8[Tensor, "n C H W"]:
        """The images at these places."""
        return read_files([self._paths[place] for place in places.tolist()], self._decoder)


def image_paths(folder: Path) -> list[Path]:
    """All images below a folder in alphabetical order; hidden files and folders are left out.

    Raises:
        InvalidInputError: when there is no such folder, or no image in it.
    """
    place = folder.resolve()
    require(place.is_dir(), f"There is no folder {place}: set root to the folder that contains the images.")
    files = [
        path
        for path in place.rglob("*")
        if path.suffix.lower() in EXTENSIONS and not any(part.startswith(".") for part in path.relative_to(place).parts)
    ]
    require(
        bool(files),
        f"The folder {place} holds no image: files that end in {', '.join(EXTENSIONS)} were looked for, in all its "
        "folders.",
    )
    return sorted(files)


def check_fraction(held_out_fraction: float) -> None:
    """Whether a part of a set can be held out.

    Raises:
        InvalidInputError: when the fraction is not between 0 and 1.
    """
    require(
        0 < held_out_fraction < 1,
        f"The held-out fraction must be above 0 and below 1, found {held_out_fraction}.",
    )


def split_by_name(
    names: Sequence[str], fraction: float, seed: int
) -> tuple[Int64[Tensor, " training"], Int64[Tensor, " rest"]]:
    """Places of training and of held-out images, each in ascending order; at least one is held out.

    Names are drawn by a hash of the seed and of themselves, so that a file more or less changes the lot of hardly any
    other: with one file more, at most one held-out image becomes one to train on.
    """
    lots = [hashlib.sha256(f"{seed} {name}".encode()).digest() for name in names]
    order = torch.tensor(sorted(range(len(names)), key=lots.__getitem__))
    count = max(1, round(fraction * len(names)))
    return order[count:].sort().values, order[:count].sort().values
