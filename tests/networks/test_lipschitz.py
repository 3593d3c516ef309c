"""Critics that are 1-Lipschitz by construction: the bound, its sharpness, and populations against plain modules."""

import sys

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
from mixnash.networks.lipschitz import LipschitzConvolutionalCritic, LipschitzMLPCritic
from mixnash.networks.orthonormal import Orthonormal, SortedPairs, orthonormal, spectral_bound
from problems import make_rng, normal

EVENT = (2, 8, 8)
CRITICS = {
    "fully connected": lambda: LipschitzMLPCritic(EVENT, width=6, depth=2, iterations=5),
    "convolutional": lambda: LipschitzConvolutionalCritic(EVENT, width=6, iterations=5),
    "overlapping": lambda: LipschitzConvolutionalCritic(EVENT, width=4, kernel=4, iterations=3),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("samples", SAMPLES)
@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("name", CRITICS)
def test_stacked_equals_plain_modules_with_gradients(name, count, samples, way, monkeypatch):
    # The library's test for the end of its iteration looks at numbers, which vmap forbids.
    assert_stacked_equals_plain_modules(CRITICS[name], EVENT, count, samples, way, monkeypatch, by_vmap=False)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", CRITICS)
def test_shared_inputs_are_as_copied_ones(name, way, monkeypatch):
    assert_shared_inputs_are_as_copied_ones(CRITICS[name], EVENT, way, monkeypatch)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", CRITICS)
def test_the_input_gradient_is_the_slope_and_differentiable(name, way, monkeypatch):
    assert_input_gradient_is_the_slope_and_differentiable(CRITICS[name], EVENT, way, monkeypatch)


# ---------------------------------------------------------------------- the bound


@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0])
@pytest.mark.parametrize("iterations", [0, 1, 8])
@pytest.mark.parametrize(
    "make",
    [
        lambda iterations: LipschitzMLPCritic(EVENT, width=6, depth=2, iterations=iterations),
        lambda iterations: LipschitzConvolutionalCritic(EVENT, width=6, iterations=iterations),
        lambda iterations: LipschitzConvolutionalCritic(EVENT, width=6, kernel=4, iterations=iterations),
    ],
    ids=["fully connected", "convolutional", "overlapping"],
)
def test_scores_of_each_particle_rise_by_at_most_the_distance_whatever_the_parameters(make, iterations, scale):
    network, params = population(lambda: make(iterations), 3)
    params = {name: scale * leaf * (1 + normal(*leaf.shape, key=9)) for name, leaf in params.items()}
    inputs = normal(3, 40, *EVENT)
    slopes = network.input_gradient(params, inputs).flatten(2).norm(dim=-1)
    assert bool((slopes <= 1 + 1e-9).all())
    others = inputs + 10.0 ** torch.linspace(-4, 1, 40, dtype=inputs.dtype).reshape(40, 1, 1, 1) * normal(*EVENT, key=4)
    rises = (network.stacked(params, inputs) - network.stacked(params, others)).abs()
    distances = (inputs - others).flatten(2).norm(dim=-1)
    assert bool((rises <= distances * (1 + 1e-9)).all())
    assert bool((slopes > 0).any())


@pytest.mark.parametrize(
    "make",
    [
        lambda: LipschitzMLPCritic(EVENT, width=32, depth=2, iterations=30),
        lambda: LipschitzConvolutionalCritic(EVENT, width=8, iterations=30),
    ],
    ids=["fully connected", "convolutional"],
)
def test_slopes_are_one_where_no_layer_has_more_outputs_than_inputs(make):
    network, params = population(make, 2)
    slopes = network.input_gradient(params, normal(2, 6, *EVENT)).flatten(2).norm(dim=-1)
    torch.testing.assert_close(slopes, torch.ones_like(slopes), rtol=0, atol=1e-6)


@pytest.mark.parametrize("shape", [(3, 50), (50, 3), (20, 20), (1, 7), (128, 40)])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_the_spectral_bound_is_above_the_largest_singular_value_and_close(shape, scale):
    matrix = scale * normal(*shape)
    exact, bound = torch.linalg.matrix_norm(matrix, 2).item(), spectral_bound(matrix).item()
    assert exact * (1 - 1e-12) <= bound <= exact * min(shape) ** (1 / 2**7) * (1 + 1e-12)


@pytest.mark.parametrize("shape", [(6, 20), (20, 6), (6, 5, 2, 2)])
def test_singular_values_go_to_one(shape):
    values = torch.linalg.svdvals(orthonormal(normal(*shape), 30).flatten(1))
    torch.testing.assert_close(values, torch.ones_like(values), rtol=0, atol=1e-9)


@pytest.mark.parametrize("iterations", [0, 3, 4, 6])
def test_weights_are_differentiated_through_every_round(iterations):
    weight = normal(3, 5).requires_grad_()
    assert torch.autograd.gradcheck(lambda one: orthonormal(one, iterations), (weight,))


def test_weights_of_zero_stay_zero_without_nan():
    weight = torch.zeros(3, 5, requires_grad=True)
    got = orthonormal(weight, 4)
    (gradient,) = torch.autograd.grad(got.sum(), weight)
    assert not got.any()
    assert gradient.isfinite().all()


def test_nothing_is_kept_or_drawn():
    network, params = population(CRITICS["fully connected"], 2)
    state, inputs = torch.get_rng_state(), normal(2, 3, *EVENT)
    first, again = network.stacked(params, inputs), network.train().stacked(params, inputs)
    assert torch.equal(first, again)
    assert torch.equal(torch.get_rng_state(), state)
    assert not list(network.buffers())


def test_pairs_of_channels_are_sorted():
    inputs = torch.tensor([[3.0, 1.0, -2.0, 5.0], [0.0, 4.0, 2.0, -1.0]])
    expected = torch.tensor([[1.0, 3.0, -2.0, 5.0], [0.0, 4.0, -1.0, 2.0]])
    assert torch.equal(SortedPairs()(inputs), expected)
    images = torch.randn(2, 4, 3, 3, generator=make_rng(1))
    pairs = images.reshape(2, 2, 2, 3, 3).sort(2).values.reshape(images.shape)
    assert torch.equal(SortedPairs()(images), pairs)
    assert torch.equal(SortedPairs()(images.to(memory_format=torch.channels_last)), pairs)


def test_a_layer_starts_orthonormal():
    layer = Orthonormal(nn.Linear(9, 4), 1.0, 4)
    torch.testing.assert_close(layer.inner.weight @ layer.inner.weight.T, torch.eye(4), rtol=0, atol=1e-5)


# ---------------------------------------------------------------------- what is refused


@pytest.mark.parametrize("critic", [LipschitzMLPCritic, LipschitzConvolutionalCritic])
def test_a_missing_package_is_named(critic, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("deel")] or ["deel"]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "deel.torchlip", None)
    with pytest.raises(InvalidInputError, match=r"need the package deel-torchlip: pip install 'mixnash\[lipschitz\]'"):
        critic((1, 8, 8))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: LipschitzMLPCritic([2], width=3), "LipschitzMLPCritic sorts channels in pairs: .* found 3"),
        (lambda: LipschitzMLPCritic([2], width=0), "an even width of at least 2, found 0"),
        (lambda: LipschitzMLPCritic([2], depth=0), "LipschitzMLPCritic needs a depth of at least 1, found 0"),
        (
            lambda: LipschitzMLPCritic([2], iterations=-1),
            "LipschitzMLPCritic needs at least 0 Björck iterations, found -1",
        ),
        (lambda: LipschitzConvolutionalCritic([2]), r"LipschitzConvolutionalCritic needs square images .* shape \[2\]"),
        (lambda: LipschitzConvolutionalCritic([1, 8, 8], width=5), "LipschitzConvolutionalCritic sorts .* found 5"),
        (lambda: LipschitzConvolutionalCritic([1, 8, 8], kernel=3), "even kernel of at least 2 pixels, found 3"),
        (lambda: LipschitzConvolutionalCritic([1, 8, 8], depth=2), "can halve images of 8 pixels 1 to 1 times"),
    ],
)
def test_arguments_out_of_range_are_refused(build, message):
    with pytest.raises(InvalidInputError, match=message):
        build()
