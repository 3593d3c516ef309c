"""Generators that share all but their first layers, where K whole ones would not fit into memory."""

import itertools
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import singledispatch
from typing import NamedTuple, final

import torch
from torch import Tensor, nn

from mixnash.core.errors import InvalidInputError, require
from mixnash.core.population import stack
from mixnash.core.types import Params
from mixnash.networks.base import AbstractGenerator
from mixnash.networks.layered import BODY, AbstractLayeredGenerator
from mixnash.networks.mlp import MLPGenerator
from mixnash.networks.normalizations import mixes_samples
from mixnash.networks.stacked_layers import run_stacked

MLP_LAYERS = "layers"
"""The name of the layers within an MLP."""


class GeneratorCut(NamedTuple):
    """A generator in two parts, which share their parameters with it."""

    name: str
    """Of the first part within the generator, as in the names of its parameters."""
    first: nn.Sequential
    """Layers up to the first one that has parameters, from latents."""
    trunk: nn.Module
    """The layers after them, to samples [n, ...] of any shape."""
    places: Mapping[str, str]
    """The name within the generator of each parameter of the trunk."""


@final
class ReLULayers(nn.ModuleList):
    """Layers with ReLU units in front of each."""

    def forward(self, hidden: Tensor) -> Tensor:
        """[n, width] to [n, out]."""
        for layer in self:
            hidden = layer(hidden.relu())
        return hidden


@singledispatch
def cut_generator(generator: AbstractGenerator) -> GeneratorCut:
    """Cut a generator after the first of its layers that has parameters.

    Raises:
        InvalidInputError: when no cut is known for its kind, it has one layer only, or its trunk mixes samples.
    """
    raise InvalidInputError(
        f"{type(generator).__name__} cannot be cut into a first layer and a trunk: give MGAN a network of layers, as "
        "DCGANGenerator, ResNetGenerator and R3GANGenerator are, or an MLPGenerator."
    )


@cut_generator.register
def _(generator: MLPGenerator) -> GeneratorCut:
    first, *rest = generator.layers
    require(
        isinstance(first, nn.Linear) and first.in_features == generator.latent_dim,
        "An MLPGenerator with Fourier features cannot be cut into a first layer and a trunk: set its octaves to 0.",
    )
    trunk = ReLULayers(rest)
    places = {name: _after_first(name) for name, _ in trunk.named_parameters()}
    return GeneratorCut(MLP_LAYERS, nn.Sequential(OrderedDict({"0": first})), trunk, places)


def _after_first(name: str) -> str:
    """The name in the MLP of a parameter in the list of all layers but the first."""
    index, _, kind = name.partition(".")
    return f"{MLP_LAYERS}.{int(index) + 1}.{kind}"


@cut_generator.register
def _(generator: AbstractLayeredGenerator) -> GeneratorCut:
    name = type(generator).__name__
    body = sequence_of_layers(generator.body, name)
    with_parameters = [index for index, layer in enumerate(body) if next(layer.parameters(), None) is not None]
    require(
        len(with_parameters) >= 2,
        f"{name} cannot be cut into a first layer and a trunk: MGAN needs at least 2 layers that have parameters, "
        f"found {len(with_parameters)}.",
    )
    at = with_parameters[0] + 1
    first, trunk = body[:at], body[at:]  # slices keep the names of the layers
    assert isinstance(first, nn.Sequential)
    assert isinstance(trunk, nn.Sequential)
    places = {place: f"{BODY}.{place}" for place, _ in trunk.named_parameters()}
    return GeneratorCut(BODY, first, trunk, places)


def sequence_of_layers(body: nn.Module, name: str) -> nn.Sequential:
    """The body of a network of an MGAN, checked.

    Args:
        body: the layers.
        name: of the network's class, for messages.

    Raises:
        InvalidInputError: when the body is no sequence, or a layer mixes the samples of a batch.
    """
    require(
        isinstance(body, nn.Sequential),
        f"{name} cannot be cut: its body is a {type(body).__name__}, not a sequence of layers.",
    )
    require(
        not mixes_samples(body),
        f"A {name} that normalises by batches cannot be part of an MGAN, where one batch holds samples of all "
        "generators: use GroupNormalization or NoNormalization.",
    )
    assert isinstance(body, nn.Sequential)
    return body


@final
class SharedTrunkGenerators(nn.Module):
    """K generators of one architecture that share all layers after the first one that has parameters.

    The parameters are those of K first layers and of one trunk, which sees the samples of all generators as one batch.

    Args:
        event_shape: shape of one sample.
        count: K >= 1.
        make: builds one generator; called K times for first layers of their own, the trunk is the first one's.

    Raises:
        InvalidInputError: when K is below 1 or the generator cannot be cut, see `cut_generator`.
    """

    def __init__(self, event_shape: Sequence[int], count: int, make: Callable[[], AbstractGenerator]) -> None:
        super().__init__()
        require(count >= 1, f"num_generators must be at least 1, found {count}: a mixed strategy needs a particle.")
        cut = cut_generator(make())
        # Cut one by one, so that no more than two whole generators exist at a time.
        others = (cut_generator(make()).first for _ in range(count - 1))
        first = stack([_parameters_in(cut.name, one) for one in itertools.chain([cut.first], others)])
        self._own = {_attribute(name): name for name in first}
        for attribute, name in self._own.items():
            self.register_parameter(attribute, nn.Parameter(first[name]))  # [K, ...]
        self.trunk = cut.trunk
        self._first, self._name, self._places = _without_parameters(cut.first), cut.name, dict(cut.places)
        self._event_shape = tuple(event_shape)

    def forward(self, latent: Tensor) -> Tensor:
        """Latents [K, n, latent_dim] to samples [K, n, *event_shape]."""
        own: Params = {self._own[attribute]: leaf for attribute, leaf in self.named_parameters(recurse=False)}
        hidden = run_stacked(self._first[0], own, self._name, latent)
        samples = torch.as_tensor(self.trunk(hidden.flatten(0, 1)))
        return samples.reshape(*latent.shape[:2], *self._event_shape)

    def as_particles(self, shared: Mapping[str, Tensor]) -> Params:
        """This module's parameters by name, or others of the same names, as those of K stacked generators [K, ...].

        They are copies. The leaves of the trunk are one tensor seen K times: they must not be written to.
        """
        params = {name: shared[attribute].detach().clone() for attribute, name in self._own.items()}
        count = len(next(iter(params.values())))
        for place, name in self._places.items():
            copy = shared[f"trunk.{place}"].detach().clone()
            params[name] = copy.expand(count, *copy.shape)
        return params


def _attribute(name: str) -> str:
    """`body.0.scale.weight` as `scale_weight`: names of registered tensors cannot hold dots."""
    return name.split(".", 2)[2].replace(".", "_")


def _parameters_in(name: str, first: nn.Sequential) -> Params:
    """The parameters of the first part, named as within the generator, copied."""
    return {f"{name}.{place}": leaf.detach().clone() for place, leaf in first.named_parameters()}


def _without_parameters(first: nn.Sequential) -> tuple[nn.Sequential]:
    """The first part as a description for `run_stacked`, without storage, in a tuple that hides it from the module."""
    return (first.to("meta"),)
