"""Stacked MNIST: colour images of three digits, a thousand modes that a classifier can count."""

from typing import final

import torch
from jaxtyping import Float64, Int64, UInt8
from torch import Tensor
from torchvision import datasets

from mixnash.core.errors import require
from mixnash.core.random import Purpose
from mixnash.data.idx_files import CLASSES, SIZE, fetch_idx_files, read_idx_files
from mixnash.data.image_sets import AbstractImageSet, AbstractPixels, PixelSplits
from mixnash.data.labelled_images import Split
from mixnash.data.sources import data_stream
from mixnash.data.transforms import zero_padded

CHANNELS = 3
"""Digits in an image."""


@final
class _Stacks(AbstractPixels):
    """Digits by index, three of them as the channels of one image."""

    def __init__(self, digits: UInt8[Tensor, "n 1 H W"]) -> None:
        self._digits = digits.squeeze(1)

    def __len__(self) -> int:
        """How many digits there are to stack."""
        return len(self._digits)

    def read(self, places: Int64[Tensor, "n 3"]) -> UInt8[Tensor, "n 3 H W"]:
        """The stacks of these digits."""
        return self._digits[places]


@final
class StackedMNIST(AbstractImageSet):
    r"""Three digits of MNIST as red, green and blue, drawn independently and uniformly every time.

    There are no fixed triples: the images of a step are a function of (seed, step). An image whose channels show the
    digits a, b, c belongs to mode 100 a + 10 b + c; with digit frequencies :math:`f` of the training part the data
    themselves have :math:`p_{abc} = f_a f_b f_c`. Held-out images stack digits of the official test part. Pixels 0..255
    are mapped to [-1, 1] by x / 127.5 - 1. The files are those of torchvision's MNIST, in root/MNIST/raw; a smaller
    set in the same layout is taken as it is.

    References:
        Metz, Poole, Pfau, Sohl-Dickstein, 2017, Unrolled generative adversarial networks, arXiv 1611.02163.

        Lin, Khetan, Fanti, Oh, 2018, PacGAN: the power of two samples in generative adversarial networks, arXiv
        1712.04086 (128,000 fixed triples there).

    Args:
        root: the folder that contains the folder MNIST, relative to the working directory.
        download: fetch the files if they are missing, in one process of each machine.
        image_size: height and width in pixels: 28, or 32 with a border of zeros.
        batch_size: real samples per draw over all processes together, at least 1.
        validation_size: held-out samples over all processes together, at least 1.
        num_workers: processes that make batches ahead of time, at least 0; the batches are the same for any number.
        seed: any integer; decides every draw.

    Raises:
        InvalidInputError: when a number is outside its range; from `setup` on, when the files are missing or damaged.
    """

    def __init__(
        self,
        root: str = "data",
        download: bool = False,
        image_size: int = 28,
        batch_size: int = 64,
        validation_size: int = 10_000,
        num_workers: int = 0,
        seed: int = 0,
    ) -> None:
        require(
            image_size in (SIZE, 32),
            f"Stacked digits have 28 pixels, or 32 with a border of zeros, found image_size={image_size}.",
        )
        shape = (CHANNELS, image_size, image_size)
        super().__init__("MNIST", root, shape, False, batch_size, validation_size, num_workers, seed)
        self._download = download
        self._labels: dict[Split, Tensor] = {}

    @property
    def least_training_images(self) -> int:
        """One digit: they are drawn with replacement."""
        return 1

    @property
    def border(self) -> int:
        """Pixels of zeros around the digits of the files, on every side."""
        return (self.event_shape[1] - SIZE) // 2

    @property
    def num_modes(self) -> int:
        """A thousand."""
        return int(CLASSES**CHANNELS)

    @property
    def mode_probabilities(self) -> Float64[Tensor, " modes"]:
        """The law of the modes of training images, at 100 a + 10 b + c; sums to 1."""
        _ = self.splits
        counts = self._labels[Split.TRAINING].bincount(minlength=CLASSES).double()
        of_digit = counts / counts.sum()
        return torch.einsum("a,b,c->abc", of_digit, of_digit, of_digit).flatten()

    def prepare_data(self) -> None:
        """Download what is missing, if asked to; the trainer calls this in one process of each machine."""
        if self._download:
            fetch_idx_files(datasets.MNIST, self.root)

    def load(self) -> PixelSplits:
        """The digits of both parts, in memory."""
        parts = {split: read_idx_files(datasets.MNIST, self.root, split) for split in Split}
        self._labels = {split: part.labels for split, part in parts.items()}
        size = self.event_shape[1]
        return PixelSplits(
            _Stacks(zero_padded(parts[Split.TRAINING].images, size)),
            _Stacks(zero_padded(parts[Split.HELD_OUT].images, size)),
        )

    def training_places(self, step: int, count: int) -> Int64[Tensor, "count 3"]:
        """Which three training digits each image of a step stacks."""
        rng = data_stream(self.seed, Purpose.TRAINING, step)
        return torch.randint(len(self.splits.training), (count, CHANNELS), generator=rng)

    def held_out_places(self, count: int) -> Int64[Tensor, "count 3"]:
        """Which three test digits each image of `held_out` stacks."""
        rng = data_stream(self.seed, Purpose.HELD_OUT)
        return torch.randint(len(self.splits.held_out), (count, CHANNELS), generator=rng)
