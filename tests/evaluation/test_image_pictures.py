"""Pictures of images in the report and in TensorBoard: the arrays behind them, counted by hand."""

import numpy as np
import pytest
import torch

from mixnash.core.errors import InvalidInputError
from mixnash.core.population import make_population
from mixnash.evaluation import image_pictures as module
from mixnash.evaluation.image_pictures import (
    Classes,
    Views,
    class_pictures,
    neighbour_picture,
)
from mixnash.evaluation.load import load_run
from mixnash.figures.style import blank_figure
from mixnash.lit import portraits
from mixnash.lit.base import Samples
from mixnash.metrics.features.base import Extracted


@pytest.fixture
def shown(monkeypatch):
    """What the figures were asked to show, by name; they stay empty."""
    calls = {}

    def record(name):
        def figure(*arguments):
            calls[name] = arguments
            return blank_figure(1.0, 1.0)

        return figure

    for name in ("class_histogram", "particle_classes", "stacked_modes", "neighbour_rows"):
        monkeypatch.setattr(module, name, record(name))
    monkeypatch.setattr(portraits, "image_rows", record("image_rows"))
    return calls


def logits(labels, classes):
    """Largest at the labels [n, ...]."""
    return torch.nn.functional.one_hot(torch.as_tensor(labels), classes).float() - 3


def pixels(images, training):
    """The pixels themselves as features."""
    return Views(Extracted(images.flatten(1), None), Extracted(training.flatten(1), None), "pixels")


def test_classes_are_counted_against_the_data_and_by_particle(shown):
    classes = Classes(logits([0, 2, 2, 1, 2], 3), logits([1, 1, 0, 2], 3))
    shares = torch.tensor([0.75, 0.25])
    found = class_pictures(classes, torch.tensor([0, 1, 0, 0, 0]), shares)
    assert [picture.name for picture in found] == ["classes", "particle_classes"]
    counted, expected, names, _ = shown["class_histogram"]
    assert (counted.tolist(), expected.tolist(), names) == ([1, 1, 3], [1, 2, 1], ["0", "1", "2"])
    table, weights, _, _ = shown["particle_classes"]
    assert table.tolist() == [[1, 1, 2], [0, 0, 1]]
    assert torch.equal(weights, shares)


def test_stacked_digits_are_counted_by_triple_and_by_channel(shown):
    triples = [[1, 2, 3], [1, 2, 3], [9, 9, 9], [0, 0, 7]]
    classes = Classes(logits(triples, 10), logits([[4, 5, 6]], 10))
    found = class_pictures(classes, torch.tensor([0, 1, 1, 0]), torch.tensor([0.5, 0.5]))
    assert [picture.name for picture in found] == ["classes", "particle_classes", "stacked_modes"]
    modes = shown["stacked_modes"][0]
    assert modes.shape == (1000,)
    assert {int(mode): int(modes[mode]) for mode in modes.nonzero()} == {123: 2, 999: 1, 7: 1}
    assert shown["class_histogram"][0].tolist() == [2, 2, 2, 2, 0, 0, 0, 1, 0, 3]
    table, _, columns, _ = shown["particle_classes"]
    assert table.shape == (2, 30)
    first = {columns[column]: int(table[0, column]) for column in table[0].nonzero()}
    assert first == {"R1": 1, "R0": 1, "G2": 1, "G0": 1, "B3": 1, "B7": 1}


def test_a_single_particle_and_classes_of_something_else_are_not_shown(shown):
    alone = class_pictures(Classes(logits([0, 1], 2), logits([1], 2)), torch.tensor([0, 0]), torch.ones(1))
    assert [picture.name for picture in alone] == ["classes"]
    many = Classes(logits([0, 1], 1008), logits([1], 1008))
    assert class_pictures(many, torch.tensor([0, 0]), torch.ones(1)) == []


def test_neighbours_are_the_nearest_images_and_copies_come_to_light(shown):
    rng = torch.Generator().manual_seed(1)
    training = 2 * torch.rand(40, 1, 4, 4, generator=rng) - 1
    images = 2 * torch.rand(30, 1, 4, 4, generator=rng) - 1
    images[17] = training[23]
    images[25] = training[5] + 0.001
    neighbour_picture(Samples(images, torch.arange(30) % 3), training, pixels(images, training))
    queries, near, distances, labels, title = shown["neighbour_rows"]
    np.testing.assert_array_equal(queries[:4], images[:4])
    np.testing.assert_array_equal(queries[4:6], images[[17, 25]])
    assert labels[:6] == [f"a draw, particle {k}" for k in (0, 1, 2, 0)] + ["close, particle 2", "close, particle 1"]
    assert "40 training images" in title
    assert near.shape == (8, 8, 1, 4, 4)
    np.testing.assert_array_equal(near[4, 0], training[23])
    assert float(distances[4, 0]) == 0
    for query, row, measured in zip(torch.as_tensor(queries), near, distances, strict=True):
        away = (query.double() - training.double()).square().sum((1, 2, 3)).sqrt()
        order = away.argsort()[:8]
        np.testing.assert_array_equal(row, training[order])
        np.testing.assert_allclose(measured, away[order], atol=1e-9)


def test_features_decide_instead_of_pixels_where_they_are_given(shown):
    training, images = torch.rand(5, 3, 2, 2), torch.rand(3, 3, 2, 2)
    features = torch.tensor([[0.0], [1.0], [2.0], [3.0], [4.0]])
    views = Views(Extracted(torch.tensor([[3.1], [0.2], [4.5]]), None), Extracted(features, None), "mnist_cnn")
    picture = neighbour_picture(Samples(images, torch.zeros(3).long()), training, views)
    _, near, distances, _, _ = shown["neighbour_rows"]
    np.testing.assert_allclose(distances[:, 0], [0.1, 0.2, 0.5], atol=1e-6)
    for row, order in zip(near, ([3, 4, 2, 1, 0], [0, 1, 2, 3, 4], [4, 3, 2, 1, 0]), strict=True):
        np.testing.assert_array_equal(row, training[order])
    assert "Euclidean between the features of mnist_cnn." in picture.caption


def test_rows_of_samples_keep_their_latents_whatever_the_weights(digits_run, shown):
    run = load_run(digits_run, None)
    portraits.portraits(run.module, run.data)
    before, labels, _ = shown["image_rows"]
    population = run.module.generators.population()
    run.module.generators.assign(make_population(population.params, torch.tensor([0.125, 0.625, 0.25]).log()))
    portraits.portraits(run.module, run.data)
    after, labels, _ = shown["image_rows"]
    np.testing.assert_array_equal(before, after)
    assert labels == ["particle 0, 12.5 %", "particle 1, 62.5 %", "particle 2, 25 %", "data"]
    latent = torch.randn(10, 5, generator=portraits.stream(torch.device("cpu"), 2, portraits.Purpose.PICTURE))
    generators = run.module.profile(averaged=True).generators
    for k in range(3):
        with torch.no_grad():
            made = run.module.generate({name: leaf[k] for name, leaf in generators.params.items()}, latent)
        np.testing.assert_array_equal(after[k], made)
    np.testing.assert_array_equal(after[3], run.data.held_out(10))


def test_only_the_heaviest_of_many_particles_have_rows(digits_run, shown, monkeypatch):
    monkeypatch.setattr(portraits, "ROWS", 2)
    run = load_run(digits_run, None)
    population = run.module.generators.population()
    run.module.generators.assign(make_population(population.params, torch.tensor([0.5, 0.125, 0.375]).log()))
    portraits.portraits(run.module, run.data)
    _, labels, title = shown["image_rows"]
    assert labels == ["particle 0, 50 %", "particle 2, 37.5 %", "data"]
    assert "the 2 heaviest of 3" in title


def test_impossible_inputs_are_refused_in_sentences(no_shape_checks):
    particle, shares = torch.tensor([0, 0]), torch.ones(1)
    with pytest.raises(InvalidInputError, match="need logits of 2 samples"):
        class_pictures(Classes(logits([0], 2), logits([1], 2)), particle, shares)
    with pytest.raises(InvalidInputError, match="as many classes for the data"):
        class_pictures(Classes(logits([0, 1], 2), logits([1], 3)), particle, shares)
    with pytest.raises(
        InvalidInputError, match=r"logits of shape \[n, classes\] or \[n, 3, classes\], found \[2, 2, 5\]"
    ):
        class_pictures(Classes(torch.ones(2, 2, 5), torch.ones(2, 2, 5)), particle, shares)
    samples = Samples(torch.zeros(2, 1, 4, 4), particle)
    with pytest.raises(
        InvalidInputError, match=r"training images of the samples' shape \[1, 4, 4\], found \[3, 1, 5, 5\]"
    ):
        neighbour_picture(samples, torch.zeros(3, 1, 5, 5), pixels(samples.values, torch.zeros(3, 1, 5, 5)))
    views = Views(Extracted(torch.zeros(2, 3), None), Extracted(torch.zeros(4, 3), None), "mnist_cnn")
    with pytest.raises(InvalidInputError, match="features of 2 samples and 3 training images, found 2 and 4"):
        neighbour_picture(samples, torch.zeros(3, 1, 4, 4), views)
