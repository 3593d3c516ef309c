"""Images with one class label each, as the training of a classifier needs them."""

import abc
import enum
from typing import NamedTuple

from jaxtyping import Float32, Int64
from torch import Tensor

from mixnash.data.base import AbstractImageData


@enum.unique
class Split(enum.Enum):
    """The two parts of a set of images."""

    TRAINING = "training"
    HELD_OUT = "held out"


class LabelledImages(NamedTuple):
    """Images in [-1, 1] and their classes, counted from 0."""

    images: Float32[Tensor, "n C H W"]
    labels: Int64[Tensor, " n"]


class AbstractLabelledImages(AbstractImageData):
    """Images with values in [-1, 1], each of one of `num_classes` classes."""

    @property
    @abc.abstractmethod
    def num_classes(self) -> int:
        """How many classes there are; labels are 0 to `num_classes` - 1."""

    @abc.abstractmethod
    def labelled(self, split: Split) -> LabelledImages:
        """All images of a part in the order of the files, unshuffled and unflipped, with their labels."""
