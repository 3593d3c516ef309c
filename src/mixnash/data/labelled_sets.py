"""Labelled sets of images that are small enough to be held in memory."""

import abc
from typing import NamedTuple

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from mixnash.core.errors import require
from mixnash.data.image_sets import AbstractImageSet, PixelsInMemory, PixelSplits
from mixnash.data.labelled_images import AbstractLabelledImages, LabelledImages, Split
from mixnash.data.transforms import Framing, to_unit


class LabelledPixels(NamedTuple):
    """Images with values 0..255 and their classes, counted from 0."""

    images: UInt8[Tensor, "n C h w"]
    labels: Int64[Tensor, " n"]


def check_labels(part: LabelledPixels, num_classes: int, name: str) -> None:
    """Whether every image has a label of the range.

    Args:
        part: images and labels.
        num_classes: labels must be below.
        name: how to call the part in the error.

    Raises:
        InvalidInputError: when labels are too many, too few or out of range.
    """
    images, labels = part
    wrong = int(((labels < 0) | (labels >= num_classes)).sum())
    require(
        len(images) == len(labels) > 0 and wrong == 0,
        f"{name} is damaged: one label from 0 to {num_classes - 1} for each of {len(images)} images was expected, "
        f"found {len(labels)} labels, {wrong} of them out of range; fetch the files anew.",
    )


class AbstractLabelledSet(AbstractImageSet, AbstractLabelledImages):
    """A finite set of small images with labels, held in memory as uint8; see `AbstractImageSet`.

    Args:
        name: see `AbstractImageSet`.
        root: see `AbstractImageSet`.
        channels: 1 for grey, 3 for red, green and blue.
        framing: resize and crop.
        flip: see `AbstractImageSet`.
        batch_size: see `AbstractDataModule`.
        validation_size: see `AbstractDataModule`.
        num_workers: see `AbstractDataModule`.
        seed: see `AbstractDataModule`.

    Raises:
        InvalidInputError: see `AbstractImageSet`.
    """

    def __init__(
        self,
        name: str,
        root: str,
        channels: int,
        framing: Framing,
        flip: bool,
        batch_size: int,
        validation_size: int,
        num_workers: int,
        seed: int,
    ) -> None:
        shape = (channels, framing.image_size, framing.image_size)
        super().__init__(name, root, shape, flip, batch_size, validation_size, num_workers, seed)
        self._framing = framing
        self._labels: dict[Split, Tensor] = {}

    @abc.abstractmethod
    def read_part(self, split: Split) -> LabelledPixels:
        """All images of a part as they are in the files, with their labels.

        Raises:
            InvalidInputError: when the files are missing or unusable.
        """

    def load(self) -> PixelSplits:
        """Both parts, in memory."""
        parts = {split: self.read_part(split) for split in Split}
        for split, part in parts.items():
            height, width = part.images.shape[-2:]
            self._framing.check(width, height, f"Every image of {self.name}")
            check_labels(part, self.num_classes, f"The {split.value} part of {self.name} in {self.root.resolve()}")
        self._labels = {split: part.labels for split, part in parts.items()}
        return PixelSplits(
            PixelsInMemory(parts[Split.TRAINING].images, self._framing),
            PixelsInMemory(parts[Split.HELD_OUT].images, self._framing),
        )

    def labelled(self, split: Split) -> LabelledImages:
        """All images of a part in the order of the files, unflipped, with their labels."""
        pixels = {Split.TRAINING: self.splits.training, Split.HELD_OUT: self.splits.held_out}[split]
        return LabelledImages(to_unit(pixels.read(torch.arange(len(pixels)))), self._labels[split])
