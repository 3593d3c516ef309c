"""Labelled images as a classifier is trained on them: shuffled, and moved about by a pixel or two."""

import hashlib
from collections.abc import Iterator
from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor
from torch.utils.data import IterableDataset

from mixnash.core.random import Purpose, stream
from mixnash.data.labelled_images import LabelledImages


def content_hash(labelled: LabelledImages) -> str:
    """SHA-256 of shapes, images and labels."""
    images, labels = labelled
    digest = hashlib.sha256(repr((tuple(images.shape), tuple(labels.shape))).encode())
    digest.update(images.contiguous().numpy().tobytes())
    digest.update(labels.contiguous().numpy().tobytes())
    return digest.hexdigest()


@final
class ShuffledBatches(IterableDataset[LabelledImages]):
    """Batches of a labelled set, in a new order and with new augmentation at every pass: functions of (seed, pass).

    Args:
        labelled: what to read.
        batch_size: images per batch; the last of a pass may be smaller.
        seed: any integer.
        shift: images are moved by up to so many pixels along both axes, their border pixels repeated.
        mirror: whether half of the images are mirrored from left to right.
    """

    def __init__(self, labelled: LabelledImages, batch_size: int, seed: int, shift: int, mirror: bool) -> None:
        self._images, self._labels = labelled
        self._batch_size, self._seed, self._shift, self._mirror = batch_size, seed, shift, mirror
        self._passes = 0

    def __len__(self) -> int:
        return -(-len(self._labels) // self._batch_size)

    def __iter__(self) -> Iterator[LabelledImages]:
        cpu = torch.device("cpu")
        order = torch.randperm(len(self._labels), generator=stream(cpu, self._seed, Purpose.ORDER, self._passes))
        rng = stream(cpu, self._seed, Purpose.AUGMENTATION, self._passes)
        self._passes += 1
        for places in torch.split(order, self._batch_size):
            images = self._images[places]
            if self._shift:
                offsets = torch.randint(-self._shift, self._shift + 1, (len(places), 2), generator=rng)
                images = shifted(images, offsets, self._shift)
            if self._mirror:
                chosen = torch.rand(len(places), generator=rng) < 0.5
                images = torch.where(chosen[:, None, None, None], images.flip(-1), images)
            yield LabelledImages(images, self._labels[places])


def shifted(images: Float[Tensor, "n C H W"], offsets: Int64[Tensor, "n 2"], reach: int) -> Float[Tensor, "n C H W"]:
    """Move every image by its own offset; pixels that come in from outside repeat the border.

    Args:
        images: any.
        offsets: rows down and columns to the right, -reach to reach.
        reach: the largest offset.
    """
    height, width = images.shape[2:]
    wide = F.pad(images, (reach, reach, reach, reach), mode="replicate")
    rows = torch.arange(height) + reach - offsets[:, :1]  # [n, H]
    columns = torch.arange(width) + reach - offsets[:, 1:]
    which = torch.arange(len(images))[:, None, None]
    return wide.permute(0, 2, 3, 1)[which, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()
