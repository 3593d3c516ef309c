"""DCGANs: their shapes, and populations of them against plain modules."""

import pytest
import torch
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
from mixnash.networks.base import AbstractGenerator
from mixnash.networks.dcgan import DCGANCritic, DCGANGenerator
from mixnash.networks.normalizations import BatchNormalization, GroupNormalization
from problems import normal

EVENT = (2, 16, 16)
NETWORKS = {
    "generator": lambda: DCGANGenerator(EVENT, latent_dim=3, width=4),
    "critic": lambda: DCGANCritic(EVENT, width=3),
    "normalised critic": lambda: DCGANCritic(EVENT, width=4, normalization=GroupNormalization(2)),
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


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", [DCGANGenerator, DCGANCritic])
def test_batch_norm_of_a_population_is_that_of_the_plain_modules(kind, way, monkeypatch):
    network, params = population(lambda: kind(EVENT, width=4, normalization=BatchNormalization()), 3)
    generator = isinstance(network, AbstractGenerator)
    inputs = normal(3, 6, *((network.latent_dim,) if generator else EVENT))
    monkeypatch.setattr("mixnash.networks.layered.prefers_groups", lambda *_: way.__name__ == "grouped")
    got = network.stacked(params, inputs)
    for k in range(3):
        network.load_state_dict({name: leaf[k] for name, leaf in params.items()})
        torch.testing.assert_close(got[k], network(inputs[k]), rtol=0, atol=1e-12)
    # A sample depends on those drawn with it, as the class says.
    assert not torch.allclose(network.stacked(params, inputs[:, :3]), got[:, :3])
    assert any(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())


@pytest.mark.parametrize(
    ("size", "depth", "grid"), [(8, None, 4), (28, None, 7), (32, None, 4), (64, None, 4), (32, 2, 8)]
)
def test_the_grid_is_halved_and_doubled_as_often_as_said(size, depth, grid):
    generator = DCGANGenerator([3, size, size], latent_dim=5, width=2, depth=depth)
    critic = DCGANCritic([3, size, size], width=2, depth=depth)
    samples = generator(torch.randn(2, 5, generator=torch.Generator().manual_seed(0)))
    assert samples.shape == (2, 3, size, size)
    assert bool((samples.abs() <= 1).all())
    assert critic(samples).shape == (2,)
    assert generator.body[1].unflattened_size[1:] == (grid, grid)
    assert critic.body[-1].in_features % grid**2 == 0


def test_a_critic_of_packs_sees_their_channels_side_by_side():
    packs = normal(5, 2, 3, 8, 8)
    packed, plain = DCGANCritic([2, 3, 8, 8], width=4).double(), DCGANCritic([6, 8, 8], width=4).double()
    for one, other in zip(plain.parameters(), packed.parameters(), strict=True):
        one.data = other.data
    torch.testing.assert_close(packed(packs), plain(packs.flatten(1, 2)), rtol=0, atol=0)
    params = {name: leaf.detach().unsqueeze(0) for name, leaf in packed.named_parameters()}
    torch.testing.assert_close(packed.stacked(params, packs.unsqueeze(0))[0], packed(packs))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: DCGANGenerator([1, 8, 9]),
            r"DCGANGenerator needs square images .* found samples of shape \[1, 8, 9\]",
        ),
        (lambda: DCGANGenerator([2]), r"DCGANGenerator needs square images .* shape \[2\]"),
        (lambda: DCGANCritic([2]), r"DCGANCritic needs square images .* shape \[2\]"),
        (lambda: DCGANCritic([2, 2, 1, 8, 8]), r"images .* or packs of them, found samples of shape \[2, 2, 1, 8, 8\]"),
        (lambda: DCGANGenerator([1, 7, 7]), "side is even and at least 8 pixels, found 7: resize"),
        (lambda: DCGANCritic([1, 6, 6]), "side is even and at least 8 pixels, found 6: resize"),
        (lambda: DCGANCritic([1, 32, 32], depth=4), "can halve images of 32 pixels 1 to 3 times, found depth 4"),
        (lambda: DCGANGenerator([1, 32, 32], depth=0), "can halve images of 32 pixels 1 to 3 times, found depth 0"),
        (lambda: DCGANGenerator([1, 8, 8], latent_dim=0), "latent of at least 1 dimension, found 0"),
        (lambda: DCGANGenerator([1, 8, 8], width=0), "DCGANGenerator needs a width of at least 1 channel, found 0"),
        (lambda: DCGANCritic([1, 8, 8], width=0), "DCGANCritic needs a width of at least 1 channel, found 0"),
        (lambda: GroupNormalization(0), "Group normalisation needs at least 1 group, found 0"),
    ],
)
def test_bad_sizes_are_refused(build, message):
    with pytest.raises(InvalidInputError, match=message):
        build()
