"""Features of a random network, for images of any kind: they need no file."""

import math
from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from mixnash.core.errors import require
from mixnash.core.random import stream
from mixnash.metrics.features.base import AbstractExtractor, Extracted, as_pictures, weights_hash

_VERSION = 1
"""To be raised with any change of the architecture or of the draws."""
_WIDTHS = (32, 64, 128)
_LEAST = 2 ** (len(_WIDTHS) - 1)
"""Pixels along a side that leave at least one at the last scale."""


@final
class RandomConvolutions(AbstractExtractor):
    r"""Averages over the image of a convolutional network with random weights, at several scales.

    .. math:: h_0 = x, \qquad h_i = \mathrm{relu}(W_i * P(h_{i-1}) + b_i), \qquad
        f = \big(\mathrm{mean}_{\mathrm{pixels}}\, h_i,\ \mathrm{std}_{\mathrm{pixels}}\, h_i\big)_{i = 1, 2, 3},

    with P the mean of 2x2 pixels (nothing for i = 1), 3x3 convolutions of 32, 64 and 128 channels, weights
    N(0, 2 / (9 channels)) after He et al. and biases N(0, 1/4): 448 features. They tell colours and textures apart, at
    scales of 3 to some 20 pixels, and know nothing of objects: distances rank training runs on one set of images, and
    compare with nothing else. Numbers on other machines agree up to float32 rounding: the draws are those of torch's
    CPU generator, which has been the same over its versions (Mersenne twister).

    References:
        He, Zhang, Ren, Sun, 2015, Delving deep into rectifiers, equation (10): the scale of the weights.

    Args:
        channels: of the images, at least 1.
        seed: of the weights; distances compare under equal seeds only, and the identity says which.

    Raises:
        InvalidInputError: when there is no channel.
    """

    def __init__(self, channels: int = 3, seed: int = 0) -> None:
        require(channels >= 1, f"Images have at least 1 channel, found channels={channels}.")
        self._channels = channels
        rng = stream(torch.device("cpu"), seed)
        self._weights: list[tuple[Tensor, Tensor]] = []
        incoming = channels
        for width in _WIDTHS:
            weight = torch.randn(width, incoming, 3, 3, generator=rng) * math.sqrt(2 / (9 * incoming))
            self._weights.append((weight, torch.randn(width, generator=rng) / 2))
            incoming = width
        named = {f"{scale}.{part}": leaf for scale, pair in enumerate(self._weights) for part, leaf in enumerate(pair)}
        self._identity = weights_hash(named, "random_cnn", _VERSION, channels, seed)

    @property
    def name(self) -> str:
        """Always "random_cnn"."""
        return "random_cnn"

    @property
    def has_logits(self) -> bool:
        """No."""
        return False

    @property
    def identity(self) -> str:
        """Of weights, seed and version."""
        return self._identity

    def check(self, event_shape: tuple[int, ...]) -> None:
        """Refuse other channels and images too small for the coarsest scale."""
        require(
            len(event_shape) == 3 and event_shape[0] == self._channels and min(event_shape[1:]) >= _LEAST,
            f"The extractor random_cnn with channels={self._channels} takes images of shape ({self._channels}, H, W), "
            f"at least {_LEAST} x {_LEAST} pixels, found {event_shape}.",
        )

    def __call__(self, images: Float[Tensor, "n C H W"]) -> Extracted:
        """Features [n, 448]; no logits."""
        self.check(tuple(images.shape[1:]))
        found = []
        with torch.no_grad():
            hidden = as_pictures(images, self._weights[0][0].device)
            for scale, (weight, bias) in enumerate(self._weights):
                hidden = F.conv2d(hidden if scale == 0 else F.avg_pool2d(hidden, 2), weight, bias, padding=1).relu_()
                pixels = hidden.flatten(2)
                found += [pixels.mean(2), pixels.std(2, correction=0)]
        return Extracted(torch.cat(found, 1), None)

    def to(self, device: torch.device) -> "RandomConvolutions":
        """Move to a device; gives the same extractor."""
        self._weights = [(weight.to(device), bias.to(device)) for weight, bias in self._weights]
        return self
