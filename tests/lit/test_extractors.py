"""Which extractors fit which images, in which order, and what is said of those that are not at hand."""

import re

import pytest

from mixnash.core.errors import InvalidInputError
from mixnash.data.cifar10 import CIFAR10
from mixnash.data.class_folders import ClassFolders
from mixnash.data.digits import Digits
from mixnash.data.fashion_mnist import FashionMNIST
from mixnash.data.mnist import MNIST
from mixnash.data.shapes import SwissRoll
from mixnash.data.stacked_mnist import StackedMNIST
from mixnash.lit.extractors import extractors_for, training_extractor
from mixnash.metrics.features.classifier_file import default_path
from stored_classifiers import store

NO_FID = "fid is left out: the weights of Inception are not on this machine"


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    """A machine without classifiers and without the weights of Inception."""
    monkeypatch.setenv("MIXNASH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("MIXNASH_INCEPTION", raising=False)
    return tmp_path / "home"


def names(data):
    return [one.name for one in extractors_for(data).found]


def test_points_have_no_extractor():
    assert extractors_for(SwissRoll()) == ((), ())
    assert training_extractor(SwissRoll()) is None


@pytest.mark.parametrize(
    ("data", "sentences"),
    [
        (Digits, ["fd_digits_cnn is left out: .*train-classifier --data digits`"]),
        (MNIST, ["fd_mnist_cnn is left out: .*train-classifier --data mnist`"]),
        (FashionMNIST, ["fd_fashion_cnn is left out: .*train-classifier --data fashion_mnist`"]),
        (StackedMNIST, ["fd_stacked_mnist_cnn is left out: .*train-classifier --data mnist`"]),
        (CIFAR10, ["fd_cifar10_cnn is left out: .*train-classifier --data cifar10`", NO_FID]),
        (lambda: ClassFolders("nowhere", 32), [NO_FID]),
        (lambda: ClassFolders("nowhere", 32, channels=1), []),
    ],
    ids=["digits", "mnist", "fashion", "stacked", "cifar10", "colour folders", "grey folders"],
)
def test_without_files_random_convolutions_are_left_and_each_lack_has_a_sentence(data, sentences):
    found, missing = extractors_for(data())
    assert [one.name for one in found] == ["random_cnn"]
    assert training_extractor(data()).identity == found[0].identity
    assert len(missing) == len(sentences)
    for sentence, pattern in zip(missing, sentences, strict=True):
        assert re.search(pattern, sentence)


@pytest.mark.parametrize(
    ("name", "data", "first"),
    [
        ("digits_cnn", Digits, "digits_cnn"),
        ("mnist_cnn", MNIST, "mnist_cnn"),
        ("mnist_cnn", lambda: MNIST(image_size=32), "mnist_cnn"),
        ("mnist_cnn", lambda: MNIST(image_size=28, resize=True), "mnist_cnn"),
        ("fashion_cnn", lambda: FashionMNIST(image_size=64), "fashion_cnn"),
        ("mnist_cnn", StackedMNIST, "stacked_mnist_cnn"),
        ("mnist_cnn", lambda: StackedMNIST(image_size=32), "stacked_mnist_cnn"),
        ("cifar10_cnn", CIFAR10, "cifar10_cnn"),
    ],
)
def test_the_datas_own_classifier_comes_first_and_takes_its_images(name, data, first):
    store(name)
    made = data()
    assert names(made) == [first, "random_cnn"]
    for extractor in (extractors_for(made).found[0], training_extractor(made)):
        assert extractor.name == first
        extractor.check(made.event_shape)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("mnist_cnn", lambda: MNIST(image_size=32, resize=True)),
        ("mnist_cnn", lambda: MNIST(image_size=14, resize=True)),
        ("mnist_cnn", lambda: MNIST(image_size=31)),
        ("fashion_cnn", lambda: FashionMNIST(image_size=64, resize=True)),
        ("cifar10_cnn", lambda: CIFAR10(image_size=16, resize=True)),
    ],
)
def test_images_that_a_classifier_cannot_read_go_without_it_and_the_reason_is_said(name, data):
    store(name)
    found, missing = extractors_for(data())
    assert [one.name for one in found] == ["random_cnn"]
    assert f"fd_{name} is left out: its classifier reads images as they are in the files" in missing[0]
    assert training_extractor(data()).name == "random_cnn"


def test_a_damaged_classifier_is_refused_rather_than_replaced():
    store("digits_cnn")
    default_path("digits_cnn").write_bytes(b"damaged")
    for ask in (extractors_for, training_extractor):
        with pytest.raises(InvalidInputError, match="cannot be read as a classifier"):
            ask(Digits())
