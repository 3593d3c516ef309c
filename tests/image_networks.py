"""Small image networks of every kind, and what the tests of all of them ask for."""

import torch
from torch.func import functional_call

from mixnash.core.population import particle, stack
from mixnash.networks import layered
from mixnash.networks.base import AbstractCritic, parameters_of, vmapped
from problems import normal

COUNTS, SAMPLES = [1, 3], [5, 40]
WAYS = [layered.grouped, layered.looped]


def population(make, count):
    """One network, and the parameters of several of them moved at random, in double precision."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        made = [make().double() for _ in range(count)]
    params = stack([parameters_of(one) for one in made])
    return made[0], {name: leaf + 0.1 * normal(*leaf.shape, key=7) for name, leaf in params.items()}


def inputs_of(network, event, count, samples):
    """Images for a critic, latents for a generator."""
    return normal(count, samples, *(event if isinstance(network, AbstractCritic) else (network.latent_dim,)))


def one_by_one(network, params, inputs):
    """The definition: every particle through the plain module."""
    return torch.stack([functional_call(network, particle(params, k), (own,)) for k, own in enumerate(inputs)])


def assert_stacked_equals_plain_modules(make, event, count, samples, way, monkeypatch, by_vmap=True):
    """Outputs and gradients of one way of running a population, against plain modules and vmap."""
    network, params = population(make, count)
    monkeypatch.setattr(layered, "prefers_groups", lambda *_: way is layered.grouped)
    inputs = inputs_of(network, event, count, samples)
    leaves = [leaf.requires_grad_() for leaf in (*params.values(), inputs)]
    together, alone = network.stacked(params, inputs), one_by_one(network, params, inputs)
    assert together.shape == (count, samples, *(() if isinstance(network, AbstractCritic) else event))
    assert together.std() > 1e-3
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-12)
    if by_vmap:
        torch.testing.assert_close(vmapped(network, params, inputs), alone, rtol=0, atol=1e-12)
    direction = normal(*together.shape, key=1)
    got, expected = (torch.autograd.grad(one, leaves, direction) for one in (together, alone))
    assert all(bool((one != 0).any()) for one in expected)
    torch.testing.assert_close(got, expected, rtol=1e-11, atol=1e-11)


def assert_shared_inputs_are_as_copied_ones(make, event, way, monkeypatch):
    """Expanded inputs, differentiated in what they were expanded from, and in themselves."""
    network, params = population(make, 3)
    monkeypatch.setattr(layered, "prefers_groups", lambda *_: way is layered.grouped)
    one = inputs_of(network, event, 1, 4)[0].requires_grad_()
    shared = one.expand(3, *one.shape)
    got, expected = network.stacked(params, shared), network.stacked(params, shared.detach().clone())
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-12)
    direction = normal(*got.shape, key=1)
    own = shared.detach().clone().requires_grad_()
    (apart,) = torch.autograd.grad(network.stacked(params, own), own, direction)
    (summed,) = torch.autograd.grad(got, one, direction)
    torch.testing.assert_close(summed, apart.sum(0), rtol=0, atol=1e-11)
    if isinstance(network, AbstractCritic):
        assert not torch.allclose(apart[0], apart[1])
        (ones,) = torch.autograd.grad(network.stacked(params, own).sum(), own)
        torch.testing.assert_close(network.input_gradient(params, shared.detach()), ones, rtol=0, atol=1e-11)


def assert_input_gradient_is_the_slope_and_differentiable(make, event, way, monkeypatch):
    """Against plain modules: the gradients, and the parameters' gradients of a penalty on them."""
    network, params = population(make, 3)
    monkeypatch.setattr(layered, "prefers_groups", lambda *_: way is layered.grouped)
    inputs, leaves = inputs_of(network, event, 3, 4), [leaf.requires_grad_() for leaf in params.values()]
    own = inputs.clone().requires_grad_()
    (expected,) = torch.autograd.grad(one_by_one(network, params, own).sum(), own, create_graph=True)
    got = network.input_gradient(params, inputs)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-11)
    direction = normal(*got.shape, key=1)
    got, expected = (
        torch.autograd.grad(one.square().sum() + (one * direction).sum(), leaves, materialize_grads=True)
        for one in (got, expected)
    )
    assert any(bool((one != 0).any()) for one in expected)
    torch.testing.assert_close(got, expected, rtol=1e-11, atol=1e-11)
