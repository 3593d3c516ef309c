"""LSUN: photographs of scenes, bedrooms above all."""

import importlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, final

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from mixnash.core.errors import InvalidInputError, require
from mixnash.data.file_sets import check_fraction, split_by_name
from mixnash.data.image_checks import ImageDecoder
from mixnash.data.image_sets import AbstractImageSet, AbstractPixels, PixelSplits
from mixnash.data.transforms import Framing

CATEGORIES = (
    "bedroom",
    "bridge",
    "church_outdoor",
    "classroom",
    "conference_room",
    "dining_room",
    "kitchen",
    "living_room",
    "restaurant",
    "tower",
)
"""The scenes of LSUN."""

CHECKED = 1_000
"""Images whose headers are looked at before training; all of them would mean reading the whole database."""


@final
class _DatabasePixels(AbstractPixels):
    """Images in an LMDB database, each decoded whenever it is read."""

    def __init__(self, folder: Path, keys: list[bytes], decoder: ImageDecoder) -> None:
        self._folder, self._keys, self._decoder = folder, keys, decoder

    def __len__(self) -> int:
        """How many there are."""
        return len(self._keys)

    def read(self, places: Int64[Tensor, " n"]) -> UInt8[Tensor, "n 3 H W"]:
        """The images at these places."""
        with _transaction(self._folder) as transaction:
            keys = [self._keys[place] for place in places.tolist()]
            files = [io.BytesIO(transaction.get(key)) for key in keys]
        return torch.stack(
            [self._decoder.read(file, _name(self._folder, key)) for file, key in zip(files, keys, strict=True)]
        )


@final
class LSUN(AbstractImageSet):
    """Photographs of one category of LSUN (3,033,042 bedrooms), a fraction of the training part held out.

    The official validation parts have 300 images, too few to compare with. Images are decoded when a batch needs them;
    the first 1,000 headers are checked before training. Pixels 0..255 are mapped to [-1, 1] by x / 127.5 - 1. The
    database is the published one, in root/CATEGORY_train_lmdb, as torchvision expects it; reading it needs the package
    lmdb. Each start reads the keys of the whole database.

    References:
        Yu, Seff, Zhang, Song, Funkhouser, Xiao, 2015, LSUN: construction of a large-scale image dataset using deep
        learning with humans in the loop, arXiv 1506.03365.

    Args:
        root: the folder that contains the folder CATEGORY_train_lmdb, relative to the working directory.
        category: bedroom, bridge, church_outdoor, classroom, conference_room, dining_room, kitchen, living_room,
            restaurant or tower.
        image_size: height and width in pixels, at least 1.
        resize: scale the shorter side to `image_size` (bilinear with antialiasing) before the central crop.
        flip: mirror every training image with probability 1/2.
        held_out_fraction: share of the images that training does not see, above 0 and below 1; at least one image.
        split_seed: any integer; decides which images these are, so that all seeds of a run hold out the same.
        batch_size: real samples per draw over all processes together, at least 1.
        validation_size: held-out samples over all processes together, at least 1; beyond the number of held-out
            images, drawn with replacement.
        num_workers: processes that make batches ahead of time, at least 0; the batches are the same for any number.
        seed: any integer; decides every draw.

    Raises:
        InvalidInputError: when a number is outside its range or the category unknown; from `setup` on, when lmdb is not
            installed, or the database is missing or damaged.
    """

    def __init__(
        self,
        root: str = "data/lsun",
        category: str = "bedroom",
        image_size: int = 64,
        resize: bool = True,
        flip: bool = False,
        held_out_fraction: float = 0.01,
        split_seed: int = 0,
        batch_size: int = 64,
        validation_size: int = 10_000,
        num_workers: int = 0,
        seed: int = 0,
    ) -> None:
        require(category in CATEGORIES, f"LSUN has no category '{category}': choose from {', '.join(CATEGORIES)}.")
        check_fraction(held_out_fraction)
        self._category, self._held_out_fraction, self._split_seed = category, held_out_fraction, split_seed
        self._decoder = ImageDecoder(3, False, Framing(image_size, resize, True))
        shape = (3, image_size, image_size)
        super().__init__(f"LSUN {category}", root, shape, flip, batch_size, validation_size, num_workers, seed)

    def load(self) -> PixelSplits:
        """The keys of both parts, after a look at the first headers."""
        folder = self.root.resolve() / f"{self._category}_train_lmdb"
        require(
            (folder / "data.mdb").is_file(),
            f"LSUN was looked for in {folder} and not found: download and unzip "
            f"http://dl.yf.io/lsun/scenes/{self._category}_train_lmdb.zip (no automatic download), or set root to the "
            f"folder that contains {self._category}_train_lmdb.",
        )
        with _transaction(folder) as transaction:
            keys = [bytes(key) for key in transaction.cursor().iternext(keys=True, values=False)]
            for key in keys[:CHECKED]:
                self._decoder.check(io.BytesIO(transaction.get(key)), _name(folder, key))
        training, held_out = split_by_name([key.hex() for key in keys], self._held_out_fraction, self._split_seed)
        return PixelSplits(
            _DatabasePixels(folder, [keys[place] for place in training.tolist()], self._decoder),
            _DatabasePixels(folder, [keys[place] for place in held_out.tolist()], self._decoder),
        )


def _name(folder: Path, key: bytes) -> str:
    return f"Image {key.decode(errors='replace')} of {folder}"


def _lmdb() -> ModuleType:
    try:
        return importlib.import_module("lmdb")
    except ModuleNotFoundError as error:
        raise InvalidInputError(
            "LSUN is read with the package lmdb, which is not installed: pip install 'mixnash[lsun]'."
        ) from error


@contextmanager
def _transaction(folder: Path) -> Iterator[Any]:
    """Reading from the database, opened anew each time: LMDB allows no use across the fork that starts a worker."""
    lmdb = _lmdb()
    try:
        with (
            lmdb.open(
                str(folder), max_readers=1, readonly=True, lock=False, readahead=False, meminit=False
            ) as database,
            database.begin() as transaction,
        ):
            yield transaction
    except lmdb.Error as error:
        raise InvalidInputError(f"The LSUN database {folder} cannot be read ({error}): download it anew.") from error
