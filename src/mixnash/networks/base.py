"""What an architecture must offer to be played by a population."""

import abc
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call

from mixnash.core.population import stack
from mixnash.core.types import NetworkFunctions, Params


class AbstractNetwork(nn.Module, abc.ABC):
    """A network without randomness or mutable buffers, usable alone (`forward`) and stacked (`stacked`).

    Random draws come in as inputs; BatchNorm would mutate its statistics inside a pure step, so normalise by group or
    not at all. The contract tests hold `stacked` to `forward`.
    """

    @abc.abstractmethod
    def stacked(self, params: Params, inputs: Tensor) -> Tensor:
        """All particles at once: parameters with a leading particle axis K, inputs [K, n, ...], outputs [K, n, ...].

        The module's own parameters are not used. `vmapped` is an implementation that fits any network.
        """


class AbstractGenerator(AbstractNetwork):
    """Maps latents [n, latent_dim] to samples [n, *event_shape]."""

    @property
    @abc.abstractmethod
    def latent_dim(self) -> int:
        """Length of the latent, standard normal in every coordinate."""


class AbstractCritic(AbstractNetwork):
    """Maps samples [n, *event_shape] to scores [n], without a final squashing."""

    @abc.abstractmethod
    def input_gradient(self, params: Params, inputs: Tensor) -> Tensor:
        """Gradients [L, n, ...] of all scores in their own inputs [L, n, ...], differentiable in the parameters.

        `differentiated` is an implementation that fits any network.
        """


def vmapped(module: nn.Module, params: Params, inputs: Tensor) -> Tensor:
    """`module` on stacked parameters by `torch.func.vmap`: right for any network, not always the fastest."""

    def one(particle: Params, own: Tensor) -> Tensor:
        return torch.as_tensor(functional_call(module, particle, (own,)))

    return torch.vmap(one)(params, inputs)


def differentiated(network: AbstractCritic, params: Params, inputs: Tensor) -> Tensor:
    """The input gradient by automatic differentiation of `stacked`: right for any critic, not always the fastest."""
    own = inputs.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(network.stacked(params, own).sum(), own, create_graph=True)
    return gradient


def parameters_of(module: nn.Module) -> Params:
    """A detached copy of a module's parameters by name."""
    return {name: leaf.detach().clone() for name, leaf in module.named_parameters()}


def newly_made(make: Callable[[], AbstractNetwork], count: int, seed: int, device: torch.device) -> Params:
    """Stacked parameters [count, ...] of as many new networks; torch's global random state stays as it was.

    Args:
        make: builds one network on the CPU, drawing its initialisation from torch's global state.
        count: how many, at least 1.
        seed: decides the draws.
        device: where the parameters go.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        made = [parameters_of(make()) for _ in range(count)]
    return {name: leaf.to(device) for name, leaf in stack(made).items()}


def functions_of(network: AbstractNetwork) -> NetworkFunctions:
    """A network as the two pure functions that the core calls."""

    def single(params: Params, inputs: Tensor) -> Tensor:
        return torch.as_tensor(functional_call(network, params, (inputs,)))

    gradient = network.input_gradient if isinstance(network, AbstractCritic) else None
    return NetworkFunctions(single=single, stacked=network.stacked, input_gradient=gradient)
