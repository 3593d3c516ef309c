"""Fully connected networks."""

import itertools
import math
from collections.abc import Sequence
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mixnash.core.errors import require
from mixnash.core.types import Params
from mixnash.networks.base import AbstractCritic, AbstractGenerator


def stacked_linear(params: Params, layer: str, inputs: Tensor) -> Tensor:
    """One linear layer of all particles: [K, n, in] to [K, n, out]."""
    weight, bias = params[f"{layer}.weight"], params[f"{layer}.bias"]
    if weight.shape[0] == 1:  # a batched product of one matrix is slower than the plain one
        return F.linear(inputs[0], weight[0], bias[0]).unsqueeze(0)
    return torch.baddbmm(bias.unsqueeze(1), inputs, weight.mT)


def stacked_product(rows: Tensor, weight: Tensor) -> Tensor:
    """Rows of all particles times their matrices: [K, n, out] x [K, out, in] to [K, n, in]."""
    if weight.shape[0] == 1:
        return (rows[0] @ weight[0]).unsqueeze(0)
    return torch.bmm(rows, weight)


def fourier_features(points: Tensor, octaves: int, period: float) -> Tensor:
    r"""Appends :math:`\sin, \cos (2 \pi 2^j x / \text{period})`, j = 0 ... octaves - 1, to the last axis.

    Gives a smooth network access to detail much finer than the range of its input.

    References:
        Tancik et al., 2020, Fourier features let networks learn high frequency functions, arXiv 2006.10739, section 4.
    """
    if octaves == 0:
        return points
    angles = (points.unsqueeze(-1) * _frequencies(points, octaves, period)).flatten(-2)
    return torch.cat([points, angles.sin(), angles.cos()], dim=-1)


def fourier_pullback(gradient: Tensor, points: Tensor, octaves: int, period: float) -> Tensor:
    """The gradient in the points, from the gradient in their `fourier_features`."""
    if octaves == 0:
        return gradient
    axes = points.shape[-1]
    frequencies = _frequencies(points, octaves, period)
    angles = points.unsqueeze(-1) * frequencies
    plain, sines, cosines = torch.split(gradient, [axes, axes * octaves, axes * octaves], dim=-1)
    waves = sines.reshape(angles.shape) * angles.cos() - cosines.reshape(angles.shape) * angles.sin()
    return plain + (waves * frequencies).sum(-1)


def _frequencies(points: Tensor, octaves: int, period: float) -> Tensor:
    return 2 * math.pi / period * 2.0 ** torch.arange(octaves, device=points.device, dtype=points.dtype)


def _check(width: int, depth: int, octaves: int, period: float) -> None:
    require(width >= 1 and depth >= 1, f"An MLP needs width and depth of at least 1, found {width} and {depth}.")
    require(octaves >= 0, f"The number of octaves of Fourier features must be at least 0, found {octaves}.")
    require(period > 0, f"The period of Fourier features must be positive, found {period}.")


@final
class MLPGenerator(AbstractGenerator):
    r"""Optional Fourier features, `depth` hidden layers of ReLU units, then a linear layer reshaped to the event.

    Fourier features of the latent make steep maps easy: a generator that covers several modes by itself, or that
    imitates a whole mixture, must leap from mode to mode within little of the latent, or its samples bridge the gaps
    between them. A generator of a mixture that owns one mode needs none.

    Args:
        event_shape: shape of one sample; set from the data.
        latent_dim: length of the standard normal latent.
        width: units per hidden layer.
        depth: hidden layers.
        octaves: octaves of Fourier features of the latent; 0 for none.
        period: longest period of these features, in units of the latent; 8 spans nearly all of a standard normal.

    Raises:
        InvalidInputError: when a size is below 1, or the period not positive.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        latent_dim: int = 2,
        width: int = 128,
        depth: int = 3,
        octaves: int = 0,
        period: float = 8.0,
    ) -> None:
        super().__init__()
        _check(width, depth, octaves, period)
        require(latent_dim >= 1, f"A generator needs a latent of at least 1 dimension, found {latent_dim}.")
        self._event_shape, self._latent_dim = tuple(event_shape), latent_dim
        self._octaves, self._period = octaves, period
        sizes = [latent_dim * (1 + 2 * octaves)] + [width] * depth + [math.prod(event_shape)]
        self.layers = nn.ModuleList(nn.Linear(i, o) for i, o in itertools.pairwise(sizes))

    @property
    def latent_dim(self) -> int:
        """Length of the latent."""
        return self._latent_dim

    def forward(self, latent: Tensor) -> Tensor:
        """Latents [n, latent_dim] to samples [n, *event_shape]."""
        hidden = fourier_features(latent, self._octaves, self._period)
        for layer in self.layers[:-1]:
            hidden = layer(hidden).relu()
        return torch.as_tensor(self.layers[-1](hidden)).reshape(-1, *self._event_shape)

    def stacked(self, params: Params, inputs: Tensor) -> Tensor:
        """Latents [K, n, latent_dim] to samples [K, n, *event_shape]."""
        hidden = fourier_features(inputs, self._octaves, self._period)
        for index in range(len(self.layers) - 1):
            hidden = stacked_linear(params, f"layers.{index}", hidden).relu()
        samples = stacked_linear(params, f"layers.{len(self.layers) - 1}", hidden)
        return samples.reshape(*inputs.shape[:2], *self._event_shape)


@final
class MLPCritic(AbstractCritic):
    r"""Optional Fourier features, `depth` hidden layers of leaky ReLU units, then one score.

    Args:
        event_shape: shape of one sample; set from the data.
        width: units per hidden layer.
        depth: hidden layers.
        negative_slope: slope of the units below zero, in [0, 1); 0 is ReLU.
        octaves: octaves of Fourier features of the flattened input; 0 for none.
        period: longest period of these features, in units of the data.

    Raises:
        InvalidInputError: when a size is below 1, the slope outside [0, 1), or the period not positive.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        width: int = 128,
        depth: int = 3,
        negative_slope: float = 0.0,
        octaves: int = 0,
        period: float = 8.0,
    ) -> None:
        super().__init__()
        _check(width, depth, octaves, period)
        require(0 <= negative_slope < 1, f"The negative slope must lie in [0, 1), found {negative_slope}.")
        self._event_dims, self._negative_slope = len(event_shape), negative_slope
        self._octaves, self._period = octaves, period
        sizes = [math.prod(event_shape) * (1 + 2 * octaves)] + [width] * depth + [1]
        self.layers = nn.ModuleList(nn.Linear(i, o) for i, o in itertools.pairwise(sizes))

    def _activate(self, hidden: Tensor) -> Tensor:
        return F.leaky_relu(hidden, self._negative_slope) if self._negative_slope else hidden.relu()

    def _slopes(self, hidden: Tensor) -> Tensor:
        """Slopes of the units, from their outputs."""
        if not self._negative_slope:
            return hidden.sign()
        return torch.full_like(hidden, self._negative_slope).masked_fill_(hidden > 0, 1.0)

    def _features(self, samples: Tensor) -> Tensor:
        return fourier_features(samples.flatten(-self._event_dims), self._octaves, self._period)

    def forward(self, samples: Tensor) -> Tensor:
        """Samples [n, *event_shape] to scores [n]."""
        hidden = self._features(samples)
        for layer in self.layers[:-1]:
            hidden = self._activate(layer(hidden))
        return torch.as_tensor(self.layers[-1](hidden)).squeeze(-1)

    def stacked(self, params: Params, inputs: Tensor) -> Tensor:
        """Samples [K, n, *event_shape] to scores [K, n]."""
        hidden = self._features(inputs)
        for index in range(len(self.layers) - 1):
            hidden = self._activate(stacked_linear(params, f"layers.{index}", hidden))
        return stacked_linear(params, f"layers.{len(self.layers) - 1}", hidden).squeeze(-1)

    def input_gradient(self, params: Params, inputs: Tensor) -> Tensor:
        """Gradients [K, n, *event_shape] of the scores in the inputs, by a backward pass written out.

        The units are piecewise linear, so their slopes are constants: the result is a product of weights and slopes.
        Differentiating it in the weights takes a third fewer matrix products than differentiating twice.
        """
        with torch.no_grad():
            slopes = []
            hidden = self._features(inputs)
            for index in range(len(self.layers) - 1):
                before = stacked_linear(params, f"layers.{index}", hidden)
                hidden = self._activate(before)
                slopes.append(self._slopes(hidden))
        gradient = params[f"layers.{len(self.layers) - 1}.weight"] * slopes[-1]
        for index in range(len(self.layers) - 2, -1, -1):
            gradient = stacked_product(gradient, params[f"layers.{index}.weight"])
            if index > 0:
                gradient = gradient * slopes[index - 1]
        flat = fourier_pullback(gradient, inputs.flatten(-self._event_dims), self._octaves, self._period)
        return flat.reshape(inputs.shape)
