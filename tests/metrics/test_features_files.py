"""Classifiers as files, and extractors by name: what is refused, and in which words."""

import pytest
import torch

from mixnash.core.errors import InvalidInputError
from mixnash.metrics.features.classifier import ClassifierExtractor, load_classifier
from mixnash.metrics.features.classifier_file import (
    TrainedClassifier,
    default_path,
    read_classifier,
    store_classifier,
)
from mixnash.metrics.features.classifier_network import CLASSIFIERS, SmallClassifier
from problems import make_rng


def images(*shape, key=0):
    return torch.rand(shape, generator=make_rng(key, *shape)) * 2 - 1


def trained(name="digits_cnn", seed=0, accuracy=0.99):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        state = dict(SmallClassifier(CLASSIFIERS[name].architecture).state_dict())
    return TrainedClassifier(name, state, accuracy, 200, "0" * 64, seed, 1, {"torch": "2"})


# ---------------------------------------------------------------------- files of classifiers


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("MIXNASH_HOME", str(tmp_path / "home"))


def test_a_stored_classifier_comes_back_as_it_was():
    source = trained(seed=4, accuracy=0.97)
    store_classifier(source, default_path("digits_cnn"))
    found = read_classifier("digits_cnn")
    assert found._replace(state={}) == source._replace(state={})
    assert all(torch.equal(found.state[name], leaf) for name, leaf in source.state.items())
    assert load_classifier("digits_cnn").identity == ClassifierExtractor(source).identity
    assert [one.name for one in default_path("digits_cnn").parent.iterdir()] == ["digits_cnn.pt"]


def test_a_missing_classifier_names_the_command_that_trains_it(tmp_path):
    with pytest.raises(
        InvalidInputError,
        match=r"fashion_cnn is missing: there is no file '.*home/classifiers/fashion_cnn\.pt'\. Train it: "
        r"mixnash train-classifier --data fashion_mnist$",
    ):
        load_classifier("fashion_cnn")
    with pytest.raises(InvalidInputError, match=r"--data digits --output '.*/other\.pt'$"):
        load_classifier("digits_cnn", tmp_path / "other.pt")
    with pytest.raises(InvalidInputError, match=r"no classifier called 'lenet': choose from mnist_cnn, fashion_cnn"):
        load_classifier("lenet")


def broken(path, **changes):
    store_classifier(trained(), path)
    torch.save(torch.load(path, weights_only=True) | changes, path)


def test_files_that_hold_anything_else_are_refused_in_one_sentence(tmp_path):
    path = tmp_path / "digits.pt"
    store_classifier(trained(), path)
    whole = path.read_bytes()
    for content in (b"", b"nonsense", whole[: len(whole) // 2], whole[:100]):
        path.write_bytes(content)
        with pytest.raises(InvalidInputError, match=r"digits\.pt' cannot be read as a classifier.*--overwrite$"):
            load_classifier("digits_cnn", path)
    for content in ([1, 2], {"state_dict": {}}):
        torch.save(content, path)
        with pytest.raises(InvalidInputError, match=r"holds something else than a classifier of this version"):
            load_classifier("digits_cnn", path)
    for changes, message in (
        ({"format": 99}, r"something else than a classifier of this version"),
        ({"name": "mnist_cnn"}, r"holds the classifier mnist_cnn, expected digits_cnn\."),
        ({"event_shape": [1, 9, 8]}, r"trained on images of shape \(1, 9, 8\), but digits_cnn takes \(1, 8, 8\)"),
        ({"state": trained("mnist_cnn").state}, r"The weights in '.*' do not fit digits_cnn"),
        ({"accuracy": 0.9449}, r"digits_cnn names 94\.49% of 200 held-out images right, metrics need at least 95%"),
        ({"accuracy": float("nan")}, r"names nan% of 200"),
    ):
        broken(path, **changes)
        with pytest.raises(InvalidInputError, match=message):
            load_classifier("digits_cnn", path)


def test_weights_that_are_not_finite_are_refused(tmp_path):
    state = trained().state
    state["head.bias"][3] = torch.inf
    broken(tmp_path / "x.pt", state=state)
    with pytest.raises(InvalidInputError, match=r"The weights in '.*' do not fit digits_cnn"):
        load_classifier("digits_cnn", tmp_path / "x.pt")


def test_an_inaccurate_classifier_is_not_stored(tmp_path):
    with pytest.raises(InvalidInputError, match=r"mnist_cnn names 97\.99% of 200 .* at least 98%\. .*--data mnist\.$"):
        store_classifier(trained("mnist_cnn", accuracy=0.9799), tmp_path / "x.pt")
    assert not list(tmp_path.iterdir())
