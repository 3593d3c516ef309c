"""Residual networks without normalisation: one block by hand, how they start, and populations against plain modules."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from image_networks import (
    COUNTS,
    SAMPLES,
    WAYS,
    assert_input_gradient_is_the_slope_and_differentiable,
    assert_shared_inputs_are_as_copied_ones,
    assert_stacked_equals_plain_modules,
    population,
)
from mixnash.core.errors import InvalidInputError
from mixnash.networks.learnt_grid import LearntGrid
from mixnash.networks.r3gan import R3GANCritic, R3GANGenerator
from problems import DOUBLE, make_rng, normal

EVENT = (2, 8, 8)
NETWORKS = {
    "generator": lambda: R3GANGenerator(EVENT, latent_dim=3, width=4, blocks=1, growth=2, group_width=4),
    "even generator": lambda: R3GANGenerator(EVENT, latent_dim=3, width=4, blocks=2, expansion=1, group_width=2),
    "critic": lambda: R3GANCritic(EVENT, width=4, blocks=1, growth=2, group_width=4),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("samples", SAMPLES)
@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("name", NETWORKS)
def test_stacked_equals_plain_modules_with_gradients(name, count, samples, way, monkeypatch):
    assert_stacked_equals_plain_modules(NETWORKS[name], EVENT, count, samples, way, monkeypatch)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", NETWORKS)
def test_shared_inputs_are_as_copied_ones(name, way, monkeypatch):
    assert_shared_inputs_are_as_copied_ones(NETWORKS[name], EVENT, way, monkeypatch)


@pytest.mark.parametrize("way", WAYS)
def test_the_input_gradient_is_the_slope_and_differentiable(way, monkeypatch):
    assert_input_gradient_is_the_slope_and_differentiable(NETWORKS["critic"], EVENT, way, monkeypatch)


def convolutions_of(network):
    return [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]


def block(hidden, one, two, three):
    return hidden + three(F.leaky_relu(two(F.leaky_relu(one(hidden), 0.2)), 0.2))


def test_a_critic_computes_what_its_class_says():
    network, _ = population(NETWORKS["critic"], 1)
    images = normal(3, *EVENT)
    entrance, a, b, c, wider, d, e, f, sums = convolutions_of(network)
    assert (b.groups, e.groups, sums.groups) == (2, 4, 8)
    hidden = block(entrance(images), a, b, c)
    hidden = block(wider(F.avg_pool2d(hidden, 2)), d, e, f)
    per_channel = (hidden * sums.weight[:, 0]).sum((2, 3))
    torch.testing.assert_close(network(images), per_channel @ network.body[-1].weight[0], rtol=0, atol=1e-12)


def test_a_generator_computes_what_its_class_says():
    network, _ = population(NETWORKS["generator"], 1)
    latent, (a, b, c, narrower, d, e, f, last) = normal(5, 3), convolutions_of(network)
    start = network.body[0]
    grid = torch.einsum("chw,nc->nchw", start.basis, latent @ start.scale.weight.T)
    hidden = F.interpolate(narrower(block(grid, a, b, c)), scale_factor=2, mode="bilinear")
    torch.testing.assert_close(network(latent), last(block(hidden, d, e, f)).tanh(), rtol=0, atol=1e-12)


def test_blocks_start_as_the_identity_with_scaled_weights():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = R3GANCritic((3, 16, 16), width=64, blocks=2)
    _, one, two, three, *_ = convolutions_of(network)
    gain = math.sqrt(2 / 1.04) * 6 ** (-1 / 4)  # three stages of two blocks
    assert one.weight.std().item() == pytest.approx(gain / math.sqrt(64), rel=0.05)
    assert two.weight.std().item() == pytest.approx(gain / math.sqrt(16 * 9), rel=0.05)
    assert not three.weight.any()
    assert three.bias is None
    assert not one.bias.any()
    features = torch.randn(2, 64, 4, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(network.body[1](features), features)


def test_a_learnt_grid_starts_with_features_of_variance_one():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        grid = LearntGrid(32, 100, 4).to(DOUBLE)
    features = grid(torch.randn(200, 32, generator=make_rng(2), dtype=DOUBLE))
    assert features.shape == (200, 100, 4, 4)
    assert features.var().item() == pytest.approx(1.0, rel=0.1)


@pytest.mark.parametrize("size", [8, 28, 32, 64])
def test_the_usual_sizes_work(size):
    generator = R3GANGenerator([3, size, size], 5, width=4, blocks=1, group_width=2)
    critic = R3GANCritic([3, size, size], width=4, blocks=1, group_width=2)
    samples = generator(torch.randn(2, 5, generator=torch.Generator().manual_seed(0)))
    assert samples.shape == (2, 3, size, size)
    assert bool((samples.abs() <= 1).all())
    assert critic(samples).shape == (2,)


def test_a_critic_of_packs_takes_packs():
    assert R3GANCritic([2, 3, 8, 8], width=8, blocks=1)(torch.zeros(5, 2, 3, 8, 8)).shape == (5,)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: R3GANGenerator([2]), r"R3GANGenerator needs square images .* shape \[2\]"),
        (lambda: R3GANCritic([1, 12, 12], depth=2), "can halve images of 12 pixels 1 to 1 times, found depth 2"),
        (lambda: R3GANGenerator([1, 8, 8], latent_dim=0), "latent of at least 1 dimension, found 0"),
        (lambda: R3GANCritic([1, 8, 8], width=0), "R3GANCritic needs a width of at least 1 channel, found 0"),
        (
            lambda: R3GANCritic([1, 8, 8], blocks=0),
            "R3GANCritic needs blocks, expansion and group_width of at least 1, found 0, 2, 16",
        ),
        (
            lambda: R3GANGenerator([1, 8, 8], width=12, group_width=16),
            r"R3GANGenerator: groups of 16 channels do not divide the \[24\] channels inside a block",
        ),
    ],
)
def test_bad_sizes_are_refused(build, message):
    with pytest.raises(InvalidInputError, match=message):
        build()
