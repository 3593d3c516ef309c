"""The digits are scikit-learn's, split in nine to one, and every training image comes once per epoch."""

from collections import Counter

import pytest
import torch
from sklearn.datasets import load_digits

from mixnash.data.digits import Digits
from mixnash.data.labelled_images import Split


def keys(images):
    return [tuple(image) for image in (8 * (images.flatten(1) + 1)).tolist()]


@pytest.fixture(scope="module")
def data():
    return Digits(seed=2)


@pytest.fixture(scope="module")
def originals():
    """Every image of scikit-learn as a tuple of its 64 values 0..16."""
    return [tuple(image) for image in load_digits().data.tolist()]


def test_an_epoch_has_every_training_image_once_in_its_own_order(data, originals):
    expected = Counter(image for index, image in enumerate(originals) if index % 10 != 0)
    images = keys(torch.cat([data.training_draws(step, 147) for step in range(22)]))
    first, second = images[:1617], images[1617:]
    assert Counter(first) == Counter(second) == expected
    assert first != second


def test_held_out_images_are_every_tenth(data, originals):
    assert Counter(keys(data.held_out(180))) == Counter(originals[::10])


def test_few_held_out_images_are_all_different(data, originals):
    few = keys(data.held_out(100))
    assert len(set(few)) == 100
    assert set(few) < set(originals[::10])


def test_many_held_out_images_are_drawn_with_replacement(data, originals):
    counts = Counter(keys(data.held_out(20_000)))
    assert set(counts) == set(originals[::10])
    # Multinomial counts: mean 111.1, standard deviation 10.5.
    assert torch.tensor(list(counts.values())).double().std().item() == pytest.approx(10.5, rel=0.2)


def test_values_fill_the_range_from_minus_one_to_one(data):
    images = data.training_draws(0, 1617)
    assert images.min() == -1
    assert images.max() == 1


def test_labels_are_those_of_the_images(data, originals):
    target = load_digits().target.tolist()
    training, held_out = data.labelled(Split.TRAINING), data.labelled(Split.HELD_OUT)
    assert keys(held_out.images) == originals[::10]
    assert held_out.labels.tolist() == target[::10]
    assert keys(training.images) == [image for index, image in enumerate(originals) if index % 10 != 0]
    assert training.labels.tolist() == [label for index, label in enumerate(target) if index % 10 != 0]
    assert data.num_classes == 10
