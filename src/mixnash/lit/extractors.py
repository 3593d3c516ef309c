"""Which feature extractors fit which images, and which of them are at hand."""

from functools import singledispatch
from typing import NamedTuple

from mixnash.data.base import AbstractDataModule, AbstractImageData
from mixnash.data.cifar10 import CIFAR10
from mixnash.data.digits import Digits
from mixnash.data.fashion_mnist import FashionMNIST
from mixnash.data.mnist import MNIST
from mixnash.data.stacked_mnist import StackedMNIST
from mixnash.metrics.features.base import AbstractExtractor
from mixnash.metrics.features.classifier import load_classifier
from mixnash.metrics.features.classifier_file import default_path
from mixnash.metrics.features.classifier_network import CLASSIFIERS
from mixnash.metrics.features.inception import VARIABLE, find_inception, load_inception
from mixnash.metrics.features.random_cnn import RandomConvolutions
from mixnash.metrics.features.stacked_digits import StackedDigits

_COLOURS = 3


class Extractors(NamedTuple):
    """What there is to see images with."""

    found: tuple[AbstractExtractor, ...]
    """Ready for use, the one that knows most about the data first; none for data that are no images."""
    missing: tuple[str, ...]
    """A sentence for each extractor that would fit but is not at hand: which figure is left out, and what to do."""


def extractors_for(data: AbstractDataModule) -> Extractors:
    """Every extractor that fits the data and is on this machine.

    A classifier of the data if `mixnash train-classifier` has stored one; Inception for colour images if its weights
    are here (nothing is downloaded); random convolutions always.

    Raises:
        InvalidInputError: when a stored classifier is damaged or not accurate enough, or the weights of Inception are
            not the standard ones.
    """
    if not isinstance(data, AbstractImageData):
        return Extractors((), ())
    found, missing = _classifier(data)
    if data.event_shape[0] == _COLOURS and not isinstance(data, StackedMNIST):
        if find_inception() is None:
            missing += (
                f"fid is left out: the weights of Inception are not on this machine. Name their file with {VARIABLE}, "
                "or fetch it by evaluate.py --download_inception.",
            )
        else:
            found += (load_inception(download=False),)
    return Extractors((*found, RandomConvolutions(data.event_shape[0])), missing)


def training_extractor(data: AbstractDataModule) -> AbstractExtractor | None:
    """What evaluations during training see images with: the data's own classifier, else random convolutions.

    None for data that are no images.

    Raises:
        InvalidInputError: when a stored classifier is damaged or not accurate enough.
    """
    if not isinstance(data, AbstractImageData):
        return None
    found, _ = _classifier(data)
    return found[0] if found else RandomConvolutions(data.event_shape[0])


@singledispatch
def _classifier(data: AbstractImageData) -> tuple[tuple[AbstractExtractor, ...], tuple[str, ...]]:
    """The data's own classifier if it is stored, and otherwise a sentence that says so."""
    del data
    return (), ()


@_classifier.register
def _(data: Digits) -> tuple[tuple[AbstractExtractor, ...], tuple[str, ...]]:
    del data
    return _stored("digits_cnn", 0)


@_classifier.register
def _(data: MNIST) -> tuple[tuple[AbstractExtractor, ...], tuple[str, ...]]:
    return _stored("mnist_cnn", data.border)


@_classifier.register
def _(data: FashionMNIST) -> tuple[tuple[AbstractExtractor, ...], tuple[str, ...]]:
    return _stored("fashion_cnn", data.border)


@_classifier.register
def _(data: StackedMNIST) -> tuple[tuple[AbstractExtractor, ...], tuple[str, ...]]:
    return _stored("mnist_cnn", data.border, stacked=True)


@_classifier.register
def _(data: CIFAR10) -> tuple[tuple[AbstractExtractor, ...], tuple[str, ...]]:
    return _stored(
        "cifar10_cnn", 0 if data.event_shape == CLASSIFIERS["cifar10_cnn"].architecture.event_shape else None
    )


def _stored(
    name: str, border: int | None, stacked: bool = False
) -> tuple[tuple[AbstractExtractor, ...], tuple[str, ...]]:
    """A classifier from its usual place, for images in a border of that many pixels; None for images it cannot read."""
    kind, figure = CLASSIFIERS[name], f"fd_stacked_{name}" if stacked else f"fd_{name}"
    if border is None:
        _, height, width = kind.architecture.event_shape
        sentence = (
            f"{figure} is left out: its classifier reads images as they are in the files, {height} x {width} pixels, "
            "with or without an even border; these were resized or have another border."
        )
        return (), (sentence,)
    if not default_path(name).is_file():
        sentence = (
            f"{figure} is left out: there is no classifier at '{default_path(name)}'. Train it with `mixnash "
            f"train-classifier --data {kind.data}`."
        )
        return (), (sentence,)
    classifier = load_classifier(name, crop=border)
    return (StackedDigits(classifier) if stacked else classifier,), ()
