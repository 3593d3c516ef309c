"""A classifier of digits applied to images whose three channels are a digit each."""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from mixnash.core.errors import require
from mixnash.metrics.features.base import AbstractExtractor, Extracted
from mixnash.metrics.features.classifier import ClassifierExtractor

_DIGITS = 3


@final
class StackedDigits(AbstractExtractor):
    """Features and logits of three digits stacked as channels, each channel seen by the same classifier of grey digits.

    Features [n, 3 d] are those of the channels side by side, logits [n, 3, classes].

    Args:
        digits: a classifier of images with one channel.

    Raises:
        InvalidInputError: when the classifier takes more channels.
    """

    def __init__(self, digits: ClassifierExtractor) -> None:
        channels, height, width = digits.event_shape
        require(
            channels == 1,
            f"Stacked digits need a classifier of images with one channel, but {digits.name} takes {channels}.",
        )
        self._digits = digits
        self.event_shape = (_DIGITS, height, width)
        """The shape of the images that it takes."""

    @property
    def name(self) -> str:
        """That of the classifier after "stacked_"."""
        return f"stacked_{self._digits.name}"

    @property
    def identity(self) -> str:
        """That of the classifier, marked."""
        return f"stacked-{self._digits.identity}"

    def check(self, event_shape: tuple[int, ...]) -> None:
        """Refuse other shapes than three of the classifier's images stacked."""
        require(
            event_shape == self.event_shape,
            f"The extractor {self.name} takes images of shape {self.event_shape}, found {event_shape}.",
        )

    def __call__(self, images: Float[Tensor, "n C H W"]) -> Extracted:
        """Features [n, 3 d] and logits [n, 3, classes]."""
        self.check(tuple(images.shape[1:]))
        features, logits = self._digits(images.flatten(0, 1).unsqueeze(1))
        assert logits is not None
        return Extracted(features.reshape(len(images), -1), logits.reshape(len(images), _DIGITS, -1))

    def to(self, device: torch.device) -> "StackedDigits":
        """Move to a device; gives the same extractor."""
        self._digits.to(device)
        return self
