"""Networks whose whole computation is one tree of layers: written once, read for one particle and for all."""

import abc

import torch
from torch import Tensor, nn

from mixnash.core.types import Params
from mixnash.networks.base import AbstractCritic, AbstractGenerator, differentiated
from mixnash.networks.convolutions import prefers_groups
from mixnash.networks.stacked_layers import run_stacked

BODY = "body"
"""The name of the layers within a network."""


def run_population(body: nn.Module, params: Params, inputs: Tensor) -> Tensor:
    """All particles through the body, the faster way of the two that follow: [K, n, ...] to [K, n, ...]."""
    way = grouped if prefers_groups(params, inputs) else looped
    return way(body, params, inputs)


def grouped(body: nn.Module, params: Params, inputs: Tensor) -> Tensor:
    """All particles through each layer at once."""
    return run_stacked(body, params, BODY, inputs)


def looped(body: nn.Module, params: Params, inputs: Tensor) -> Tensor:
    """One particle after the other through all layers, so that its activations stay in the caches."""
    # Splitting once is faster than indexing K times: the backward pass of a split is one concatenation.
    own = {name: torch.split(leaf, 1) for name, leaf in params.items()}
    parts = enumerate(torch.split(inputs, 1))
    return torch.cat([run_stacked(body, {name: one[k] for name, one in own.items()}, BODY, part) for k, part in parts])


class AbstractLayeredGenerator(AbstractGenerator, abc.ABC):
    """A generator that is its `body`.

    Args:
        latent_dim: length of the standard normal latent.
        body: layers from latents [n, latent_dim] to samples [n, *event_shape], of types that `run_stacked` knows.
    """

    @abc.abstractmethod
    def __init__(self, latent_dim: int, body: nn.Module) -> None:
        super().__init__()
        self._latent_dim = latent_dim
        self.body = body

    @property
    def latent_dim(self) -> int:
        """Length of the latent."""
        return self._latent_dim

    def forward(self, latent: Tensor) -> Tensor:
        """Latents [n, latent_dim] to samples [n, *event_shape]."""
        return torch.as_tensor(self.body(latent))

    def stacked(self, params: Params, inputs: Tensor) -> Tensor:
        """Latents [K, n, latent_dim] to samples [K, n, *event_shape]."""
        return run_population(self.body, params, inputs)


class AbstractLayeredCritic(AbstractCritic, abc.ABC):
    """A critic that is its `body`.

    Args:
        body: layers from samples [n, *event_shape] to scores [n, 1], of types that `run_stacked` knows.
    """

    @abc.abstractmethod
    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, samples: Tensor) -> Tensor:
        """Samples [n, *event_shape] to scores [n]."""
        return torch.as_tensor(self.body(samples)).squeeze(-1)

    def stacked(self, params: Params, inputs: Tensor) -> Tensor:
        """Samples [K, n, *event_shape] to scores [K, n]."""
        return run_population(self.body, params, inputs).squeeze(-1)

    def input_gradient(self, params: Params, inputs: Tensor) -> Tensor:
        """By automatic differentiation."""
        return differentiated(self, params, inputs)
