"""The two networks of MGAN: generators that share all but their first layers, and a critic that tells them apart."""

from collections.abc import Mapping, Sequence
from typing import final

import torch
from torch import Tensor, nn

from mixnash.core.errors import require
from mixnash.core.population import stack
from mixnash.core.types import Params
from mixnash.networks.base import parameters_of
from mixnash.networks.mlp import MLPCritic, MLPGenerator, fourier_features, stacked_linear

FIRST = "layers.0"
"""The layer of an `MLPGenerator` that every generator has for itself."""


@final
class SharedTrunkGenerators(nn.Module):
    """K generators, each an `MLPGenerator` that shares all layers after its first one with the others.

    Args:
        event_shape: shape of one sample.
        count: K >= 1.
        latent_dim: length of the standard normal latent.
        width: units per hidden layer.
        depth: hidden layers.

    Raises:
        InvalidInputError: when a size is below 1.
    """

    def __init__(self, event_shape: Sequence[int], count: int, latent_dim: int, width: int, depth: int) -> None:
        super().__init__()
        require(count >= 1, f"num_generators must be at least 1, found {count}: a mixed strategy needs a particle.")
        made = [MLPGenerator(event_shape, latent_dim, width, depth) for _ in range(count)]
        first = stack([parameters_of(one) for one in made])
        self.weight = nn.Parameter(first[f"{FIRST}.weight"])  # [K, width, latent]
        self.bias = nn.Parameter(first[f"{FIRST}.bias"])  # [K, width]
        self.trunk = nn.ModuleList(list(made[0].layers)[1:])
        self._event_shape = tuple(event_shape)

    def forward(self, latent: Tensor) -> Tensor:
        """Latents [K, n, latent_dim] to samples [K, n, *event_shape]."""
        own: Params = {f"{FIRST}.weight": self.weight, f"{FIRST}.bias": self.bias}
        hidden = stacked_linear(own, FIRST, latent)
        for layer in self.trunk:
            hidden = layer(hidden.relu())
        return hidden.reshape(*latent.shape[:2], *self._event_shape)


def as_particles(shared: Mapping[str, Tensor]) -> Params:
    """Parameters of `SharedTrunkGenerators` by name as those of K stacked `MLPGenerator`s [K, ...], copied.

    The leaves of the trunk are one tensor seen K times: they must not be written to.
    """
    own = {f"{FIRST}.{name}": shared[name].detach().clone() for name in ("weight", "bias")}
    count = len(own[f"{FIRST}.bias"])
    for name, leaf in shared.items():
        if name.startswith("trunk."):
            _, index, kind = name.split(".")
            copy = leaf.detach().clone()
            own[f"layers.{int(index) + 1}.{kind}"] = copy.expand(count, *copy.shape)
    return own


@final
class ClassifyingCritic(nn.Module):
    """An `MLPCritic` with a second head on its last hidden layer, which tells who made a sample.

    Args:
        event_shape: shape of one sample.
        classes: how many generators there are to tell apart, at least 1.
        width: units per hidden layer.
        depth: hidden layers.
        octaves: octaves of Fourier features of the flattened input; 0 for none.
        period: longest period of these features, in units of the data.

    Raises:
        InvalidInputError: when a size is below 1 or the period not positive.
    """

    def __init__(
        self, event_shape: Sequence[int], classes: int, width: int, depth: int, octaves: int, period: float
    ) -> None:
        super().__init__()
        self.scorer = MLPCritic(event_shape, width, depth, octaves=octaves, period=period)
        self.classifier = nn.Linear(width, classes)
        self._octaves, self._period = octaves, period

    def forward(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Samples [n, *event_shape] to scores [n], as the `MLPCritic` gives, and to logits of their makers [n, K]."""
        hidden = fourier_features(samples.flatten(1), self._octaves, self._period)
        *inner, last = self.scorer.layers
        for layer in inner:
            hidden = layer(hidden).relu()
        return torch.as_tensor(last(hidden)).squeeze(-1), self.classifier(hidden)
