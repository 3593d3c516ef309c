"""A generator that can stand in for a whole mixture."""

import itertools
import math
from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn

from mixnash.core.errors import require
from mixnash.core.types import Params
from mixnash.networks.base import AbstractGenerator
from mixnash.networks.mlp import stacked_linear


@final
class DistilledGenerator(AbstractGenerator):
    r"""An MLP of the latent and of stairs that one more latent coordinate climbs.

    The last coordinate c of the latent (z, c) is standard normal as the others, so :math:`u = \Phi(c)` is uniform. With
    edges :math:`e_1 < \dots < e_{n-1}` in (0, 1),

    .. math:: G(z, c) = \text{MLP}(z, s_1(u), \dots, s_{n-1}(u)), \qquad
              s_j(u) = \text{clip}\Bigl(\frac{u - e_j}{w} + \frac12,\ 0,\ 1\Bigr), \quad w = \text{bridges} / (n - 1).

    Between two edges all s are constant: there, G is an ordinary generator of z. At an edge it leaps to the next one
    within w of the latent's probability. G is continuous, so samples bridge the gaps between the modes of separate
    bins, but no more of them than the share `bridges`. Smooth features of c would have to build the same leaps
    from many waves, and fit the flat parts worse.

    Args:
        event_shape: shape of one sample; set from the data.
        latent_dim: length of the standard normal latent, c included; at least 2.
        bins: n >= 2; equally wide at first. The edges are parameters as the weights are.
        width: units per hidden layer.
        depth: hidden layers.
        bridges: share of the samples that may lie between two bins, in (0, 1).

    Raises:
        InvalidInputError: when an argument is outside its range.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        latent_dim: int = 3,
        bins: int = 25,
        width: int = 128,
        depth: int = 3,
        bridges: float = 0.005,
    ) -> None:
        super().__init__()
        require(width >= 1 and depth >= 1, f"An MLP needs width and depth of at least 1, found {width} and {depth}.")
        require(
            latent_dim >= 2,
            f"A distilled generator needs a latent of at least 2 dimensions, one of them for its stairs, found "
            f"{latent_dim}.",
        )
        require(bins >= 2, f"Stairs need at least 2 bins, found {bins}.")
        require(0 < bridges < 1, f"The share of samples on bridges must lie between 0 and 1, found {bridges}.")
        self._event_shape, self._latent_dim = tuple(event_shape), latent_dim
        self._ramp = bridges / (bins - 1)
        self.edges = nn.Parameter(torch.arange(1, bins) / bins)
        sizes = [latent_dim - 1 + bins - 1] + [width] * depth + [math.prod(event_shape)]
        self.layers = nn.ModuleList(nn.Linear(i, o) for i, o in itertools.pairwise(sizes))

    @property
    def latent_dim(self) -> int:
        """Length of the latent, the stairs' coordinate included."""
        return self._latent_dim

    @property
    def ramp(self) -> float:
        """w: the share of the latent within which one leap happens."""
        return self._ramp

    def forward(self, latent: Tensor) -> Tensor:
        """Latents [n, latent_dim] to samples [n, *event_shape]."""
        hidden = self._features(latent, self.edges)
        for layer in self.layers[:-1]:
            hidden = layer(hidden).relu()
        return torch.as_tensor(self.layers[-1](hidden)).reshape(-1, *self._event_shape)

    def stacked(self, params: Params, inputs: Tensor) -> Tensor:
        """Latents [K, n, latent_dim] to samples [K, n, *event_shape]."""
        hidden = self._features(inputs, params["edges"].unsqueeze(1))
        for index in range(len(self.layers) - 1):
            hidden = stacked_linear(params, f"layers.{index}", hidden).relu()
        samples = stacked_linear(params, f"layers.{len(self.layers) - 1}", hidden)
        return samples.reshape(*inputs.shape[:2], *self._event_shape)

    def _features(self, latent: Tensor, edges: Tensor) -> Tensor:
        height = torch.special.ndtr(latent[..., -1:])
        stairs = ((height - edges) / self._ramp + 0.5).clamp(0, 1)
        return torch.cat([latent[..., :-1], stairs], dim=-1)
