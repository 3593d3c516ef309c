"""Layers and convolutions of all particles against torch's own of each."""

import pytest
import torch
from torch import nn

import image_networks
from mixnash.networks import convolutions, layered
from mixnash.networks.base import functions_of
from mixnash.networks.dcgan import DCGANCritic
from mixnash.networks.learnt_grid import LearntGrid
from mixnash.networks.normalizations import BatchNormalization, GroupNormalization, NoNormalization
from mixnash.networks.residual import Residual
from mixnash.networks.stacked_layers import run_stacked
from problems import DOUBLE, make_rng, normal

LAYERS = {
    "linear": (lambda: nn.Linear(6, 5), (6,)),
    "linear without offset": (lambda: nn.Linear(6, 5, bias=False), (6,)),
    "convolution": (lambda: nn.Conv2d(2, 6, 3, stride=2, padding=1), (2, 7, 6)),
    "convolution without offset": (lambda: nn.Conv2d(2, 6, 4, padding=2, bias=False), (2, 7, 6)),
    "grouped convolution": (lambda: nn.Conv2d(4, 6, 3, padding=1, groups=2), (4, 5, 6)),
    "convolution per channel": (lambda: nn.Conv2d(4, 4, 3, groups=4, bias=False), (4, 5, 6)),
    "transposed convolution": (lambda: nn.ConvTranspose2d(4, 3, 4, 2, 1), (4, 5, 6)),
    "transposed convolution without offset": (lambda: nn.ConvTranspose2d(4, 3, 3, bias=False), (4, 5, 6)),
    "group norm": (lambda: nn.GroupNorm(2, 6, eps=0.1), (6, 3, 4)),
    "plain group norm": (lambda: nn.GroupNorm(3, 6, affine=False), (6, 3, 4)),
    "batch norm": (lambda: nn.BatchNorm2d(6, eps=0.1, track_running_stats=False), (6, 3, 4)),
    "plain batch norm": (lambda: nn.BatchNorm2d(6, affine=False, track_running_stats=False), (6, 3, 4)),
    "layer without parameters": (lambda: nn.AvgPool2d(2), (2, 4, 6)),
    "residual": (lambda: Residual(nn.Conv2d(3, 3, 3, padding=1), nn.Identity()), (3, 5, 4)),
    "learnt grid": (lambda: LearntGrid(3, 5, 4), (3,)),
    "sequence": (lambda: nn.Sequential(nn.Flatten(), nn.ReLU(), nn.Linear(12, 2)), (3, 2, 2)),
}


def particles(make, count):
    """Plain layers with different parameters, and these stacked under the name `it`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        made = [make().double() for _ in range(count)]
    for key, one in enumerate(made):
        for leaf in one.parameters():
            leaf.data += 0.3 * normal(*leaf.shape, key=key + 20)
    names = dict(made[0].named_parameters())
    return made, {f"it.{n}": torch.stack([dict(one.named_parameters())[n] for one in made]) for n in names}


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_of_all_particles_equals_the_plain_layers_with_gradients(name, count):
    make, shape = LAYERS[name]
    made, params = particles(make, count)
    inputs = normal(count, 4, *shape).requires_grad_()
    got = run_stacked(made[0], params, "it", inputs)
    expected = torch.stack([one(own) for one, own in zip(made, inputs, strict=True)])
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-13)
    leaves = [inputs, *(leaf for one in made for leaf in one.parameters())]
    direction = normal(*got.shape, key=1)
    torch.testing.assert_close(
        *(torch.autograd.grad(one, leaves, direction, retain_graph=True) for one in (got, expected)),
        rtol=0,
        atol=1e-12,
    )


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_gives_the_same_for_shared_inputs_as_for_copies_of_them(name):
    make, shape = LAYERS[name]
    made, params = particles(make, 3)
    one = normal(4, *shape).requires_grad_()
    shared = one.expand(3, *one.shape)
    got, expected = (run_stacked(made[0], params, "it", inputs) for inputs in (shared, shared.clone()))
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-13)
    direction = normal(*got.shape, key=1)
    got, expected = (torch.autograd.grad(each, one, direction) for each in (got, expected))
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_does_not_use_its_own_parameters(name):
    make, shape = LAYERS[name]
    made, params = particles(make, 2)
    inputs = normal(2, 4, *shape)
    expected = run_stacked(made[0], params, "it", inputs)
    for leaf in made[0].parameters():
        leaf.data = torch.full_like(leaf, torch.nan)
    assert torch.equal(run_stacked(made[0], params, "it", inputs), expected)


def test_every_particle_has_a_gradient_of_its_own_in_shared_inputs_that_are_differentiated_themselves():
    layer, weight = nn.Conv2d(1, 1, 1, bias=False), torch.tensor([2.0, 3.0], dtype=DOUBLE).reshape(2, 1, 1, 1, 1)
    shared = normal(4, 1, 2, 2).expand(2, 4, 1, 2, 2).detach().requires_grad_()
    (got,) = torch.autograd.grad(run_stacked(layer, {"it.weight": weight}, "it", shared).sum(), shared)
    assert torch.equal(got, torch.tensor([2.0, 3.0], dtype=DOUBLE).reshape(2, 1, 1, 1, 1).expand_as(got))


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (nn.BatchNorm2d(4), "Layer 'it' keeps running statistics, which no pure function can: switch them off"),
        (nn.Conv2d(4, 4, 3, dilation=2), "no stacked form of the convolution 'it' with dilation"),
        (
            nn.Conv2d(4, 4, 3, padding="same"),
            "no stacked form of the convolution 'it' with dilation or padding by name",
        ),
        (nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"), "no stacked form of the convolution 'it'"),
        (nn.ConvTranspose2d(4, 4, 3, groups=2), "transposed convolution 'it' with groups or output padding"),
        (nn.ConvTranspose2d(4, 4, 3, 2, output_padding=1), "transposed convolution 'it' with groups or output padding"),
        (nn.PReLU(), r"no stacked form of PReLU \(layer 'it'\): register one"),
        (nn.BatchNorm2d(4, affine=False), "Layer 'it' keeps running statistics"),
    ],
)
def test_a_layer_that_cannot_be_stacked_is_refused(layer, message):
    params = {f"it.{name}": leaf.expand(2, *leaf.shape) for name, leaf in layer.named_parameters()}
    with pytest.raises(TypeError, match=message):
        run_stacked(layer, params, "it", torch.zeros(2, 3, 4, 8, 8))


# ---------------------------------------------------------------------- normalisation


def test_batch_norm_normalises_by_the_batch_of_each_particle_alone():
    layer = BatchNormalization().layer(2)
    inputs = torch.randn(3, 50, 2, 4, 4, generator=make_rng(1)) * torch.tensor([1.0, 5.0, 0.2]).reshape(3, 1, 1, 1, 1)
    params = {f"it.{name}": leaf.expand(3, *leaf.shape) for name, leaf in layer.named_parameters()}
    got = run_stacked(layer, params, "it", inputs)
    torch.testing.assert_close(got.mean((1, 3, 4)), torch.zeros(3, 2), rtol=0, atol=1e-5)
    torch.testing.assert_close(got.var((1, 3, 4), correction=0), torch.ones(3, 2), rtol=0, atol=1e-3)
    assert not list(layer.buffers())


@pytest.mark.parametrize(("channels", "groups"), [(12, 6), (8, 8), (7, 7), (5, 5), (22, 2), (64, 8)])
def test_group_norm_takes_the_largest_number_of_groups_that_divides_the_channels(channels, groups):
    assert GroupNormalization(8).layer(channels).num_groups == groups


def test_no_normalisation_is_the_identity():
    inputs = normal(2, 3, 4, 4)
    assert NoNormalization().layer(3)(inputs) is inputs


# ---------------------------------------------------------------------- the two ways of a population


def critics(samples, width=8, count=3):
    network, params = image_networks.population(lambda: DCGANCritic([1, 8, 8], width), count)
    return network, params, normal(count, samples, 1, 8, 8)


@pytest.mark.parametrize(("samples", "way"), [(4, "grouped"), (5000, "looped")])
def test_a_population_runs_in_groups_if_there_is_little_to_compute_and_one_by_one_otherwise(samples, way, monkeypatch):
    network, params, inputs = critics(samples)
    for name in ("grouped", "looped"):
        monkeypatch.setattr(layered, name, lambda *_, name=name: torch.full((1, 1, 1), float(name == way)))
    assert network.stacked(params, inputs).item() == 1.0


def test_work_is_counted_in_samples_times_weights_of_convolutions(monkeypatch):
    _, params, inputs = critics(10, width=4)
    monkeypatch.setattr(convolutions, "FEW_PRODUCTS", 10 * 4 * 16)  # one convolution, 4 kernels of 4 x 4
    assert convolutions.prefers_groups(params, inputs)
    monkeypatch.setattr(convolutions, "FEW_PRODUCTS", 10 * 4 * 16 - 1)
    assert not convolutions.prefers_groups(params, inputs)
    assert convolutions.prefers_groups(params, inputs.to("meta"))


@pytest.mark.parametrize("way", image_networks.WAYS)
def test_both_ways_leave_the_module_alone(way):
    network, params, inputs = critics(4)
    expected = way(network.body, params, inputs)
    for leaf in network.parameters():
        leaf.data.fill_(torch.nan)
    assert torch.equal(way(network.body, params, inputs), expected)
    assert functions_of(network).stacked(params, inputs).isfinite().all()
