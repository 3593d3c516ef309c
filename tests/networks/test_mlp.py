"""MLPs: hand-computed outputs, stacked against one by one, and the written-out input gradient."""

import math

import pytest
import torch

from mixnash.core.errors import InvalidInputError
from mixnash.core.population import particle, stack
from mixnash.networks.base import differentiated, functions_of, newly_made, parameters_of, vmapped
from mixnash.networks.mlp import MLPCritic, MLPGenerator, fourier_features, fourier_pullback
from problems import DOUBLE, normal

EVENTS = [(2,), (1, 4, 4)]
# Widths differ from inputs, samples and particles, so that no two axes can be mistaken for each other.
NETWORKS = {
    "generator": lambda event: MLPGenerator(event, latent_dim=3, width=7, depth=2),
    "shallow generator": lambda event: MLPGenerator(event, latent_dim=3, width=7, depth=1),
    "Fourier generator": lambda event: MLPGenerator(event, latent_dim=3, width=7, depth=2, octaves=2, period=5.0),
    "critic": lambda event: MLPCritic(event, width=6, depth=3),
    "leaky critic": lambda event: MLPCritic(event, width=6, depth=2, negative_slope=0.2),
    "shallow critic": lambda event: MLPCritic(event, width=6, depth=1, negative_slope=0.3),
    "Fourier critic": lambda event: MLPCritic(event, width=6, depth=2, negative_slope=0.1, octaves=3, period=5.0),
}
CRITICS = [name for name in NETWORKS if "critic" in name]
COUNTS, SAMPLES = [1, 3], 5


def population(name, event, count):
    """One of the networks, and the parameters of several particles of it, in double precision."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        particles = [NETWORKS[name](event).double() for _ in range(count)]
    return particles[0], stack([parameters_of(one) for one in particles])


def inputs_of(name, event, count):
    return normal(count, SAMPLES, *((3,) if "generator" in name else event))


# ---------------------------------------------------------------------- known answers


def filled(network, values):
    """The network with its parameters set, in the order of their names in the module."""
    for leaf, value in zip(network.parameters(), values, strict=True):
        leaf.data = torch.tensor(value, dtype=DOUBLE)
    return network


def test_a_generator_computes_relu_layers_and_then_a_linear_one():
    network = filled(
        MLPGenerator([2], 1, width=2, depth=1), [[[2.0], [-1.0]], [0.5, 0.0], [[1.0, 3.0], [-1.0, 0.5]], [0.1, 0.2]]
    )
    got = network(torch.tensor([[1.0], [-2.0]], dtype=DOUBLE))
    # z = 1: hidden (2.5, 0); z = -2: hidden (0, 2)
    torch.testing.assert_close(got, torch.tensor([[2.6, -2.3], [6.1, 1.2]], dtype=DOUBLE))


@pytest.mark.parametrize(("slope", "score"), [(0.0, 2.5 * 1.0 + 0.25), (0.2, 2.5 * 1.0 - 0.4 * 3.0 + 0.25)])
def test_a_critic_computes_leaky_layers_and_then_a_score(slope, score):
    network = filled(
        MLPCritic([2], width=2, depth=1, negative_slope=slope),
        [[[2.0, 0.0], [0.0, -1.0]], [0.5, 0.0], [[1.0, 3.0]], [0.25]],
    )
    got = network(torch.tensor([[1.0, 2.0]], dtype=DOUBLE))  # hidden 2.5 and -2 before the units
    torch.testing.assert_close(got, torch.tensor([score], dtype=DOUBLE))


def test_fourier_features_are_sines_and_cosines_of_doubling_frequency():
    got = fourier_features(torch.tensor([[1.0, 0.5]], dtype=DOUBLE), octaves=2, period=4.0)
    r = math.sqrt(0.5)
    # angles: x pi/2, pi; y pi/4, pi/2
    expected = [1.0, 0.5, 1.0, 0.0, r, 1.0, 0.0, -1.0, r, 0.0]
    assert got[0].tolist() == pytest.approx(expected, abs=1e-15)


def test_fourier_features_repeat_after_the_period_except_for_the_point_itself():
    points = normal(6, 2)
    one, other = (fourier_features(points + shift, octaves=4, period=3.0) for shift in (0.0, 3.0))
    torch.testing.assert_close(one[:, 2:], other[:, 2:], rtol=0, atol=1e-12)


def test_no_octaves_leave_the_points_alone():
    points = normal(6, 2)
    assert torch.equal(fourier_features(points, octaves=0, period=3.0), points)


def test_a_fourier_critic_is_a_plain_critic_of_the_features():
    critic = MLPCritic([2], width=6, depth=2, octaves=3, period=5.0).double()
    plain = MLPCritic([14], width=6, depth=2).double()
    plain.load_state_dict(critic.state_dict())
    points = normal(8, 2)
    torch.testing.assert_close(critic(points), plain(fourier_features(points, 3, 5.0)))


def test_a_fourier_generator_is_a_plain_generator_of_the_features():
    generator = MLPGenerator([2], latent_dim=3, width=6, depth=2, octaves=2, period=5.0).double()
    plain = MLPGenerator([2], latent_dim=15, width=6, depth=2).double()
    plain.load_state_dict(generator.state_dict())
    latent = normal(8, 3)
    assert generator.latent_dim == 3
    torch.testing.assert_close(generator(latent), plain(fourier_features(latent, 2, 5.0)))


def test_a_generator_without_octaves_has_the_parameters_of_before_whatever_the_period():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        expected = [torch.nn.Linear(i, o) for i, o in ((3, 6), (6, 6), (6, 2))]
        torch.manual_seed(5)
        generator = MLPGenerator([2], latent_dim=3, width=6, depth=2, octaves=0, period=1.5)
    got = parameters_of(generator)
    assert list(got) == [f"layers.{index}.{kind}" for index in range(3) for kind in ("weight", "bias")]
    for index, layer in enumerate(expected):
        assert torch.equal(got[f"layers.{index}.weight"], layer.weight)
        assert torch.equal(got[f"layers.{index}.bias"], layer.bias)


@pytest.mark.parametrize("octaves", [0, 1, 3])
def test_the_pullback_of_fourier_features_is_their_derivative(octaves):
    points, gradient = normal(4, 5, 2).requires_grad_(), normal(4, 5, 2 * (1 + 2 * octaves), key=1)
    features = fourier_features(points, octaves, 5.0)
    (expected,) = torch.autograd.grad(features, points, gradient)
    torch.testing.assert_close(fourier_pullback(gradient, points.detach(), octaves, 5.0), expected, rtol=0, atol=1e-12)


# ---------------------------------------------------------------------- stacked


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("name", NETWORKS)
def test_stacked_equals_one_forward_pass_per_particle_with_gradients(name, event, count):
    network, params = population(name, event, count)
    inputs = inputs_of(name, event, count)
    leaves = [leaf.requires_grad_() for leaf in (*params.values(), inputs)]
    together = network.stacked(params, inputs)
    alone = torch.stack([torch.func.functional_call(network, particle(params, k), (inputs[k],)) for k in range(count)])
    assert together.shape == (count, SAMPLES, *(event if "generator" in name else ()))
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-13)
    torch.testing.assert_close(vmapped(network, params, inputs), alone, rtol=0, atol=1e-13)
    direction = normal(*together.shape, key=1)
    torch.testing.assert_close(
        torch.autograd.grad(together, leaves, direction),
        torch.autograd.grad(alone, leaves, direction),
        rtol=0,
        atol=1e-12,
    )


@pytest.mark.parametrize("name", NETWORKS)
def test_the_functions_of_a_network_do_not_use_its_own_parameters(name):
    network, params = population(name, (2,), 2)
    functions, inputs = functions_of(network), inputs_of(name, (2,), 2)
    before = functions.stacked(params, inputs), functions.single(particle(params, 1), inputs[1])
    for leaf in network.parameters():
        leaf.data.fill_(torch.nan)
    assert torch.equal(functions.stacked(params, inputs), before[0])
    assert torch.equal(functions.single(particle(params, 1), inputs[1]), before[1])
    torch.testing.assert_close(before[0][1], before[1])


# ---------------------------------------------------------------------- the input gradient


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("name", CRITICS)
def test_the_input_gradient_equals_automatic_differentiation_also_in_the_parameters(name, event, count):
    network, params = population(name, event, count)
    inputs, leaves = inputs_of(name, event, count), [leaf.requires_grad_() for leaf in params.values()]
    got, expected = network.input_gradient(params, inputs), differentiated(network, params, inputs)
    assert got.shape == inputs.shape
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-13)
    direction = normal(*got.shape, key=1)
    got, expected = (
        torch.autograd.grad((one * direction).sum() + one.square().sum(), leaves, materialize_grads=True)
        for one in (got, expected)
    )
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", CRITICS)
def test_the_input_gradient_is_the_slope_of_the_score(name):
    network, params = population(name, (2,), 3)
    inputs, direction = inputs_of(name, (2,), 3), normal(3, SAMPLES, 2, key=1)
    ahead, behind = (network.stacked(params, inputs + h * direction) for h in (1e-6, -1e-6))
    slopes = (network.input_gradient(params, inputs) * direction).sum(-1)
    torch.testing.assert_close(slopes, (ahead - behind) / 2e-6, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("name", CRITICS)
def test_the_input_gradient_keeps_the_dtype(name, dtype):
    network, params = population(name, (2,), 3)
    params = {key: leaf.to(dtype) for key, leaf in params.items()}
    inputs = inputs_of(name, (2,), 3).to(dtype)
    assert network.stacked(params, inputs).dtype == dtype
    assert network.input_gradient(params, inputs).dtype == dtype


def test_only_critics_offer_an_input_gradient():
    assert functions_of(MLPGenerator([2])).input_gradient is None
    critic = MLPCritic([2])
    assert functions_of(critic).input_gradient == critic.input_gradient


# ---------------------------------------------------------------------- the rest


def test_parameters_are_a_detached_copy():
    network = MLPCritic([2], width=3, depth=1)
    params = parameters_of(network)
    assert params.keys() == dict(network.named_parameters()).keys()
    assert not any(leaf.requires_grad for leaf in params.values())
    before = {name: leaf.clone() for name, leaf in params.items()}
    for leaf in network.parameters():
        leaf.data.add_(1.0)
    assert all(torch.equal(params[name], leaf) for name, leaf in before.items())


def test_a_generator_tells_its_latent_dimension():
    assert MLPGenerator([2], latent_dim=5).latent_dim == 5


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: MLPGenerator([2], width=0), "MLP needs width and depth of at least 1, found 0 and 3"),
        (lambda: MLPGenerator([2], latent_dim=0), "generator needs a latent of at least 1 dimension, found 0"),
        (lambda: MLPGenerator([2], octaves=-2), "octaves of Fourier features must be at least 0, found -2"),
        (lambda: MLPGenerator([2], period=-1.0), "period of Fourier features must be positive, found -1.0"),
        (lambda: MLPCritic([2], depth=0), "MLP needs width and depth of at least 1, found 128 and 0"),
        (lambda: MLPCritic([2], negative_slope=1.0), r"negative slope must lie in \[0, 1\), found 1.0"),
        (lambda: MLPCritic([2], negative_slope=-0.1), r"negative slope must lie in \[0, 1\), found -0.1"),
        (lambda: MLPCritic([2], octaves=-1), "octaves of Fourier features must be at least 0, found -1"),
        (lambda: MLPCritic([2], period=0.0), "period of Fourier features must be positive, found 0.0"),
    ],
)
def test_a_network_refuses_arguments_outside_their_range(build, message):
    with pytest.raises(InvalidInputError, match=message):
        build()


def test_new_networks_depend_on_the_seed_alone_and_leave_the_random_state_of_all_devices(monkeypatch):
    on_cards = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", on_cards.append)  # cannot be undone by forking the CPU's state

    def made(seed):
        return newly_made(lambda: MLPGenerator((2,), 3, 7, 1), 2, seed, torch.device("cpu"))["layers.0.weight"]

    before = torch.get_rng_state()
    first, again, other = made(1), made(1), made(2)
    assert torch.equal(torch.get_rng_state(), before)
    assert on_cards == []
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
