"""From a word of the command line to a classifier, its images and how it learns."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from mixnash.core.errors import require
from mixnash.data.cifar10 import CIFAR10
from mixnash.data.class_folders import ClassFolders
from mixnash.data.digits import Digits
from mixnash.data.fashion_mnist import FashionMNIST
from mixnash.data.labelled_images import AbstractLabelledImages, LabelledImages, Split
from mixnash.data.mnist import MNIST
from mixnash.metrics.features.classifier_network import CLASSIFIERS


class Place(NamedTuple):
    """Where the images are."""

    root: str | None
    """A folder; the data module's own default if None."""
    download: bool


class TrainingImages(NamedTuple):
    """What a classifier learns from, and what it is judged by."""

    training: LabelledImages
    held_out: LabelledImages
    classes: int


class Recipe(NamedTuple):
    """How one classifier comes about."""

    name: str
    """Of the classifier."""
    images: Callable[[Place], TrainingImages]
    epochs: int
    """Unless told otherwise."""
    shift: int
    """Largest random shift, in pixels."""
    mirror: bool
    """Whether half of the images are mirrored: photographs look as likely either way, digits do not."""


def _digits(place: Place) -> TrainingImages:
    require(
        place.root is None and not place.download,
        "The digits come with scikit-learn: leave out --root and --download.",
    )
    return _both_parts(Digits())


def _mnist(place: Place) -> TrainingImages:
    return _both_parts(MNIST(place.root or "data", place.download))


def _fashion_mnist(place: Place) -> TrainingImages:
    return _both_parts(FashionMNIST(place.root or "data", place.download))


def _cifar10(place: Place) -> TrainingImages:
    root = place.root or "data"
    if (Path(root).expanduser() / "train").is_dir():  # pictures in one folder per class instead of torchvision's files
        return _both_parts(ClassFolders(root, image_size=32))
    return _both_parts(CIFAR10(root, place.download))


def _both_parts(data: AbstractLabelledImages) -> TrainingImages:
    return TrainingImages(data.labelled(Split.TRAINING), data.labelled(Split.HELD_OUT), data.num_classes)


RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        "digits": Recipe("digits_cnn", _digits, epochs=30, shift=1, mirror=False),
        "mnist": Recipe("mnist_cnn", _mnist, epochs=12, shift=2, mirror=False),
        "fashion_mnist": Recipe("fashion_cnn", _fashion_mnist, epochs=12, shift=1, mirror=False),
        "cifar10": Recipe("cifar10_cnn", _cifar10, epochs=8, shift=3, mirror=True),
    }
)
"""The recipes by what `--data` says."""


def check_images(name: str, images: TrainingImages) -> None:
    """Refuse images that a classifier does not take.

    Raises:
        InvalidInputError: when their shape or the number of their classes is another.
    """
    architecture = CLASSIFIERS[name].architecture
    for part in (images.training, images.held_out):
        found = tuple(part.images.shape[1:])
        require(
            found == architecture.event_shape and images.classes == architecture.classes,
            f"The classifier {name} takes images of shape {architecture.event_shape} of {architecture.classes} "
            f"classes, found {found} of {images.classes}.",
        )
