"""Residual networks: one block by hand, sizes, and populations against plain modules."""

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
from mixnash.networks.normalizations import GroupNormalization
from mixnash.networks.residual import Residual
from mixnash.networks.resnet import ResNetCritic, ResNetGenerator
from problems import normal

EVENT = (2, 8, 8)
NETWORKS = {
    "generator": lambda: ResNetGenerator(EVENT, latent_dim=3, width=4, growth=2),
    "critic": lambda: ResNetCritic(EVENT, width=4, blocks=1, growth=2),
    "normalised critic": lambda: ResNetCritic(EVENT, width=4, blocks=1, normalization=GroupNormalization(2)),
}
CRITICS = ["critic", "normalised critic"]


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
@pytest.mark.parametrize("name", CRITICS)
def test_the_input_gradient_is_the_slope_and_differentiable(name, way, monkeypatch):
    assert_input_gradient_is_the_slope_and_differentiable(NETWORKS[name], EVENT, way, monkeypatch)


def convolutions_of(network):
    return [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]


def test_a_critic_computes_its_blocks_the_long_way_plus_the_short_way():
    network, _ = population(lambda: ResNetCritic((2, 16, 16), width=4, depth=2, blocks=1, growth=2), 1)
    images = normal(3, 2, 16, 16)
    a, b, a_skip, c, d, c_skip, e, f = convolutions_of(network)
    hidden = F.avg_pool2d(b(a(images).relu()), 2) + F.avg_pool2d(a_skip(images), 2)
    hidden = F.avg_pool2d(d(c(hidden.relu()).relu()), 2) + F.avg_pool2d(c_skip(hidden), 2)
    hidden = hidden + f(e(hidden.relu()).relu())
    expected = network.body[-1](hidden.relu().mean((2, 3))).squeeze(1)
    torch.testing.assert_close(network(images), expected, rtol=0, atol=1e-12)


def test_a_generator_computes_its_blocks_the_long_way_plus_the_short_way():
    network, _ = population(lambda: ResNetGenerator(EVENT, latent_dim=3, width=6), 1)
    norms = [layer for layer in network.modules() if isinstance(layer, nn.GroupNorm)]
    latent, (a, b, skip, last) = normal(5, 3), convolutions_of(network)

    def doubled(features):
        return features.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)

    grid = network.body[0](latent).reshape(5, 6, 4, 4)
    hidden = b(norms[1](a(doubled(norms[0](grid).relu()))).relu()) + skip(doubled(grid))
    expected = last(norms[2](hidden).relu()).tanh()
    torch.testing.assert_close(network(latent), expected, rtol=0, atol=1e-12)


def test_convolutions_start_as_glorot_and_bengio_say():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = ResNetCritic((3, 16, 16), width=32)
    for layer in convolutions_of(network):
        size = layer.kernel_size[0] ** 2
        gain = math.sqrt(2) if size == 9 else 1.0
        bound = gain * math.sqrt(6 / (size * (layer.in_channels + layer.out_channels)))
        assert 0.9 * bound < layer.weight.abs().max() <= bound
        assert not layer.bias.any()


@pytest.mark.parametrize("size", [8, 28, 32, 64])
def test_the_usual_sizes_work(size):
    generator, critic = ResNetGenerator([3, size, size], 5, width=2), ResNetCritic([3, size, size], width=2)
    samples = generator(torch.randn(2, 5, generator=torch.Generator().manual_seed(0)))
    assert samples.shape == (2, 3, size, size)
    assert bool((samples.abs() <= 1).all())
    assert critic(samples).shape == (2,)


def test_sngans_networks_for_32_pixels_have_the_published_blocks():
    generator, critic = ResNetGenerator([3, 32, 32], 128, width=256), ResNetCritic([3, 32, 32], width=128)
    assert generator.body[0].out_features == 4 * 4 * 256
    for network, blocks in ((generator, 3), (critic, 4)):
        assert sum(isinstance(layer, Residual) for layer in network.modules()) == blocks
    assert [layer.kernel_size for layer in critic.body if isinstance(layer, nn.AvgPool2d)] == [8]


def test_channels_grow_from_grid_to_grid():
    generator, critic = ResNetGenerator([1, 32, 32], 5, width=3, growth=2), ResNetCritic([1, 64, 64], width=3, growth=2)
    assert generator.body[1].unflattened_size == (24, 4, 4)
    assert critic.body[-1].in_features == 12


def test_a_critic_of_packs_takes_packs():
    assert ResNetCritic([2, 3, 8, 8], width=4)(torch.zeros(5, 2, 3, 8, 8)).shape == (5,)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ResNetGenerator([2]), r"ResNetGenerator needs square images .* shape \[2\]"),
        (lambda: ResNetCritic([1, 8, 16]), r"ResNetCritic needs square images .* shape \[1, 8, 16\]"),
        (lambda: ResNetCritic([1, 16, 16], depth=3), "can halve images of 16 pixels 1 to 2 times, found depth 3"),
        (lambda: ResNetGenerator([1, 8, 8], latent_dim=0), "latent of at least 1 dimension, found 0"),
        (lambda: ResNetGenerator([1, 8, 8], width=0), "ResNetGenerator needs a width of at least 1 channel, found 0"),
        (
            lambda: ResNetGenerator([1, 8, 8], growth=0),
            "ResNetGenerator needs a growth of at least 1 per halving, found 0",
        ),
        (lambda: ResNetCritic([1, 8, 8], blocks=-1), "number of further blocks of at least 0, found -1"),
    ],
)
def test_bad_sizes_are_refused(build, message):
    with pytest.raises(InvalidInputError, match=message):
        build()
