"""Trained classifiers as files: what is written beside the weights, and what is checked before they are used."""

import io
import math
import pickle
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mixnash.cache_folder import cache_folder, write_atomically
from mixnash.core.errors import InvalidInputError, require
from mixnash.metrics.features.classifier_network import CLASSIFIERS, ClassifierKind, SmallClassifier

_FORMAT = 1


class TrainedClassifier(NamedTuple):
    """A classifier and where it comes from."""

    name: str
    state: dict[str, Tensor]
    accuracy: float
    """Share of the held-out images named right."""
    held_out: int
    """How many images that is a share of."""
    data_hash: str
    """SHA-256 of the images and labels it was trained on."""
    seed: int
    epochs: int
    versions: dict[str, str]
    """Of the packages that trained it."""


def default_path(name: str) -> Path:
    """Where a classifier is looked for and stored unless told otherwise."""
    return cache_folder() / "classifiers" / f"{name}.pt"


def classifier_kind(name: str) -> ClassifierKind:
    """What is known of a classifier by its name.

    Raises:
        InvalidInputError: when there is none of that name.
    """
    require(name in CLASSIFIERS, f"There is no classifier called '{name}': choose from {', '.join(CLASSIFIERS)}.")
    return CLASSIFIERS[name]


def check_accuracy(name: str, accuracy: float, held_out: int) -> None:
    """Refuse a classifier that errs too often.

    Raises:
        InvalidInputError: when the accuracy is below what metrics need.
    """
    kind = classifier_kind(name)
    require(
        math.isfinite(accuracy) and kind.accuracy <= accuracy <= 1,
        f"The classifier {name} names {accuracy:.2%} of {held_out:,} held-out images right, metrics need at least "
        f"{kind.accuracy:.0%}. More epochs or images may help: mixnash train-classifier --data {kind.data}.",
    )


def store_classifier(trained: TrainedClassifier, path: Path) -> None:
    """Write a classifier, whole or not at all.

    Raises:
        InvalidInputError: when it is not accurate enough or the file cannot be written.
    """
    check_accuracy(trained.name, trained.accuracy, trained.held_out)
    content = trained._asdict() | {"format": _FORMAT, "event_shape": list(_shape_of(trained.name))}
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_atomically(path, buffer.getvalue())


def read_classifier(name: str, path: Path | None = None) -> TrainedClassifier:
    """Read a classifier and check that it is the one meant, whole and accurate enough.

    Args:
        name: one of `CLASSIFIERS`.
        path: the file; `default_path` if None.

    Raises:
        InvalidInputError: when there is no such classifier or file, or the file holds anything else.
    """
    kind = classifier_kind(name)
    path = default_path(name) if path is None else path
    command = f"mixnash train-classifier --data {kind.data}" + (
        f" --output '{path}'" if path != default_path(name) else ""
    )
    require(path.is_file(), f"The classifier {name} is missing: there is no file '{path}'. Train it: {command}")
    content = _content(path, command)
    found = content["name"]
    require(found == name, f"'{path}' holds the classifier {found}, expected {name}.")
    shape = tuple(content["event_shape"])
    require(
        shape == _shape_of(name),
        f"'{path}' was trained on images of shape {shape}, but {name} takes {_shape_of(name)}. Train it again: "
        f"{command} --overwrite",
    )
    trained = TrainedClassifier(**{field: content[field] for field in TrainedClassifier._fields})
    require(_fits(trained), f"The weights in '{path}' do not fit {name}. Train it again: {command} --overwrite")
    check_accuracy(name, trained.accuracy, trained.held_out)
    return trained


def build_classifier(name: str, state: dict[str, Tensor]) -> SmallClassifier:
    """The network of a classifier, frozen and in evaluation mode; draws nothing.

    Raises:
        RuntimeError: when the weights do not fit.
    """
    with torch.device("meta"):
        network = SmallClassifier(classifier_kind(name).architecture)
    network.load_state_dict(state, assign=True)
    return network.requires_grad_(False).eval()


def _shape_of(name: str) -> tuple[int, int, int]:
    return classifier_kind(name).architecture.event_shape


def _fits(trained: TrainedClassifier) -> bool:
    try:
        build_classifier(trained.name, trained.state)
    except RuntimeError:  # what torch raises for names and shapes alike
        return False
    return all(leaf.dtype == torch.float32 and bool(leaf.isfinite().all()) for leaf in trained.state.values())


def _content(path: Path, command: str) -> dict[str, Any]:
    """The dictionary in the file, with all that must be in it."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError) as error:
        raise InvalidInputError(
            f"'{path}' cannot be read as a classifier; it is damaged or something else. Train it again: {command} "
            "--overwrite"
        ) from error
    needed = {*TrainedClassifier._fields, "format", "event_shape"}
    require(
        isinstance(content, dict) and needed <= content.keys() and content["format"] == _FORMAT,
        f"'{path}' holds something else than a classifier of this version of mixnash. Train it again: {command} "
        "--overwrite",
    )
    checked: dict[str, Any] = content
    return checked
