"""Features of a classifier that was trained on the data: the Frechet distance of small images."""

from pathlib import Path
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from mixnash.core.errors import require
from mixnash.metrics.features.base import AbstractExtractor, Extracted, as_pictures, weights_hash
from mixnash.metrics.features.classifier_file import (
    TrainedClassifier,
    build_classifier,
    classifier_kind,
    read_classifier,
)


@final
class ClassifierExtractor(AbstractExtractor):
    """The last hidden layer and the logits of a trained classifier.

    Args:
        trained: from `read_classifier`.
        crop: pixels cut off every side first: 2 takes digits of 28 pixels out of images padded to 32. What a generator
            puts into that frame is not seen.

    Raises:
        InvalidInputError: when the crop is negative.
    """

    def __init__(self, trained: TrainedClassifier, crop: int = 0) -> None:
        require(crop >= 0, f"The crop must be at least 0 pixels, found {crop}.")
        channels, height, width = classifier_kind(trained.name).architecture.event_shape
        self.classes = classifier_kind(trained.name).architecture.classes
        self.event_shape = (channels, height + 2 * crop, width + 2 * crop)
        """The shape of the images that it takes."""
        self._name, self._crop = trained.name, crop
        self._network = build_classifier(trained.name, trained.state)
        self._device = torch.device("cpu")
        self._identity = weights_hash(trained.state, "classifier", trained.name, crop)

    @property
    def name(self) -> str:
        """The classifier's."""
        return self._name

    @property
    def identity(self) -> str:
        """Of weights, architecture and crop."""
        return self._identity

    def check(self, event_shape: tuple[int, ...]) -> None:
        """Refuse other shapes than the one trained on, the crop added."""
        require(
            event_shape == self.event_shape,
            f"The classifier {self._name} with crop={self._crop} takes images of shape {self.event_shape}, found "
            f"{event_shape}.",
        )

    def __call__(self, images: Float[Tensor, "n C H W"]) -> Extracted:
        """Features [n, d] and logits [n, classes]."""
        self.check(tuple(images.shape[1:]))
        pictures = as_pictures(images, self._device)
        _, height, width = self.event_shape
        pictures = pictures[..., self._crop : height - self._crop, self._crop : width - self._crop]
        with torch.no_grad():
            features = self._network.features(pictures)
            return Extracted(features, self._network.head(features))

    def to(self, device: torch.device) -> "ClassifierExtractor":
        """Move to a device; gives the same extractor."""
        self._device = device
        self._network.to(device)
        return self


def load_classifier(name: str, path: Path | None = None, crop: int = 0) -> ClassifierExtractor:
    """A stored classifier as an extractor.

    Args:
        name: "mnist_cnn", "fashion_cnn", "digits_cnn" or "cifar10_cnn".
        path: its file; ``cache_folder()/classifiers/NAME.pt`` if None.
        crop: pixels cut off every side, see `ClassifierExtractor`.

    Raises:
        InvalidInputError: when there is no such classifier, or its file is missing, damaged, of another classifier or
            below the accuracy that metrics need.
    """
    return ClassifierExtractor(read_classifier(name, path), crop)
