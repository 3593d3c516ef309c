"""Sets of images that are read by index: in memory as uint8, or decoded one by one from files.

Only the images of the batch in hand become floats. Which images a step sees is a function of (seed, step), so that
loader workers, processes and resumed runs all agree.
"""

import abc
from pathlib import Path
from typing import NamedTuple, final

import torch
from jaxtyping import Float32, Int64, UInt8
from torch import Tensor

from mixnash.core.errors import require
from mixnash.core.random import Purpose
from mixnash.data.base import AbstractImageData
from mixnash.data.sources import ShuffledSet, data_stream
from mixnash.data.transforms import Framing, flipped, to_unit


class AbstractPixels(abc.ABC):
    """Images of one size that can be read by index."""

    @abc.abstractmethod
    def __len__(self) -> int:
        """How many there are."""

    @abc.abstractmethod
    def read(self, places: Int64[Tensor, "n *parts"]) -> UInt8[Tensor, "n C H W"]:
        """The images at these places, values 0..255."""


@final
class PixelsInMemory(AbstractPixels):
    """A tensor of images, framed when they are read.

    Args:
        images: all of them.
        framing: resize and crop.
    """

    def __init__(self, images: UInt8[Tensor, "n C h w"], framing: Framing) -> None:
        self._images, self._framing = images, framing

    def __len__(self) -> int:
        return len(self._images)

    def read(self, places: Int64[Tensor, " n"]) -> UInt8[Tensor, "n C H W"]:
        """The images at these places."""
        return self._framing(self._images[places])


class PixelSplits(NamedTuple):
    """What training reads and what it does not see."""

    training: AbstractPixels
    held_out: AbstractPixels


class AbstractImageSet(AbstractImageData):
    """A finite set of images with values in [-1, 1], pixels 0..255 mapped by x / 127.5 - 1.

    Training reads it in a new order every epoch; an epoch may end within a step. Nothing is read before `setup`, or
    the first draw if there is no trainer.

    Args:
        name: how errors call the set.
        root: the folder that holds it, relative to the working directory; ~ is the home folder.
        event_shape: channels, height, width.
        flip: mirror every training image with probability 1/2, drawn from (seed, step).
        batch_size: see `AbstractDataModule`.
        validation_size: see `AbstractDataModule`.
        num_workers: see `AbstractDataModule`.
        seed: see `AbstractDataModule`.

    Raises:
        InvalidInputError: when a number is outside its range; from `setup` on, when the files are missing or unusable,
            or hold fewer training images than one batch.
    """

    def __init__(
        self,
        name: str,
        root: str,
        event_shape: tuple[int, int, int],
        flip: bool,
        batch_size: int,
        validation_size: int,
        num_workers: int,
        seed: int,
    ) -> None:
        super().__init__(batch_size, validation_size, seed, num_workers)
        self.name, self.root = name, Path(root).expanduser()
        self._event_shape, self._flip = event_shape, flip
        self._splits: PixelSplits | None = None
        self._order: ShuffledSet | None = None

    @abc.abstractmethod
    def load(self) -> PixelSplits:
        """Open the files and check them.

        Raises:
            InvalidInputError: when they are missing or unusable.
        """

    @property
    def event_shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        return self._event_shape

    @property
    def splits(self) -> PixelSplits:
        """The images, loaded at the first call."""
        if self._splits is None:
            if self.trainer is None:  # the trainer calls this itself, in one process of each machine
                self.prepare_data()
            splits = self.load()
            self._require_enough(splits)
            self._splits = splits
        return self._splits

    @property
    def least_training_images(self) -> int:
        """As many as one batch has: no image comes twice in a batch, but where an epoch ends."""
        return self.batch_size

    def setup(self, stage: str) -> None:
        """Load the set, so that whatever is wrong with it is said before training."""
        del stage
        _ = self.splits

    def training_draws(self, step: int, count: int) -> Float32[Tensor, "count C H W"]:
        """The images of a step."""
        return self._drawn(step, count, torch.arange(count))

    def training_batch(self, step: int) -> Float32[Tensor, "draws share C H W"]:
        """This process's part of the batch of a step; the images of other processes are not decoded."""
        rank, processes = self._place()
        count, share = self.draws_per_step * self.batch_size, self.batch_size // processes
        chosen = torch.arange(count).reshape(-1, self.batch_size)[:, rank * share : (rank + 1) * share]
        return self._drawn(step, count, chosen.flatten()).reshape(self.draws_per_step, share, *self.event_shape)

    def held_out(self, count: int) -> Float32[Tensor, "count C H W"]:
        """Different held-out images as far as there are enough; beyond that, draws with replacement."""
        return to_unit(_read_once(self.splits.held_out, self.held_out_places(count)))

    def training_places(self, step: int, count: int) -> Int64[Tensor, "count *parts"]:
        """Which training images a step sees."""
        if self._order is None:
            self._order = ShuffledSet(torch.arange(len(self.splits.training)), self.seed)
        return self._order.draws(step, count)

    def held_out_places(self, count: int) -> Int64[Tensor, "count *parts"]:
        """Which held-out images `held_out` gives."""
        rng, size = data_stream(self.seed, Purpose.HELD_OUT), len(self.splits.held_out)
        if count <= size:
            return torch.randperm(size, generator=rng)[:count]
        return torch.randint(size, (count,), generator=rng)

    def _drawn(self, step: int, count: int, chosen: Int64[Tensor, " n"]) -> Float32[Tensor, "n C H W"]:
        """Some of the `count` images of a step."""
        images = to_unit(_read_once(self.splits.training, self.training_places(step, count)[chosen]))
        if not self._flip:
            return images
        heads = torch.rand(count, generator=data_stream(self.seed, Purpose.TRAINING, step)) < 0.5
        return flipped(images, heads[chosen])

    def _require_enough(self, splits: PixelSplits) -> None:
        require(
            len(splits.training) >= self.least_training_images,
            f"{self.name} in {self.root.resolve()} has {len(splits.training)} training images, fewer than the "
            f"{self.least_training_images} of one batch: choose a smaller batch_size or add images.",
        )


def _read_once(pixels: AbstractPixels, places: Int64[Tensor, "n *parts"]) -> UInt8[Tensor, "n C H W"]:
    """The images at these places, none decoded twice."""
    different, inverse = torch.unique(places, dim=0, return_inverse=True)
    return pixels.read(different)[inverse]
