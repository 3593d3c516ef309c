"""Critics that are 1-Lipschitz by construction, in place of a penalty on their slopes."""

import math
from collections.abc import Sequence
from typing import final

from torch import nn

from mixnash.core.errors import require
from mixnash.networks.image_shapes import critic_entrance, halvings, widths
from mixnash.networks.layered import AbstractLayeredCritic
from mixnash.networks.orthonormal import Orthonormal, SortedPairs, torchlip


def _check(width: int, iterations: int, network: str) -> None:
    require(
        width >= 2 and width % 2 == 0,
        f"{network} sorts channels in pairs: it needs an even width of at least 2, found {width}.",
    )
    require(iterations >= 0, f"{network} needs at least 0 Björck iterations, found {iterations}.")


@final
class LipschitzMLPCritic(AbstractLayeredCritic):
    r"""Linear layers with orthonormal weights and sorted pairs of units: :math:`|d(x) - d(y)| \le \|x - y\|_2`.

    Play it with a Wasserstein game `LipschitzByConstruction`. Needs the package deel-torchlip (extra `lipschitz`).

    References:
        Anil, Lucas, Grosse, 2019, Sorting out Lipschitz function approximation, arXiv 1811.05381; Serrurier et al.,
        2021, Achieving robustness in classification using optimal transport with hinge regularization, arXiv
        2006.06520.

    Args:
        event_shape: shape of one sample; set from the data.
        width: units per hidden layer, even.
        depth: hidden layers, at least 1.
        iterations: rounds that pull the singular values towards 1, at least 0; the bound holds for any number.

    Raises:
        InvalidInputError: when a number is out of range or deel-torchlip is not installed.
    """

    def __init__(self, event_shape: Sequence[int], width: int = 128, depth: int = 3, iterations: int = 8) -> None:
        _check(width, iterations, "LipschitzMLPCritic")
        require(depth >= 1, f"LipschitzMLPCritic needs a depth of at least 1, found {depth}.")
        torchlip("normalizers")
        layers: list[nn.Module] = [nn.Flatten()]
        seen = math.prod(event_shape)
        for _ in range(depth):
            layers += [Orthonormal(nn.Linear(seen, width), 1.0, iterations), SortedPairs()]
            seen = width
        super().__init__(nn.Sequential(*layers, Orthonormal(nn.Linear(seen, 1), 1.0, iterations)))


@final
class LipschitzConvolutionalCritic(AbstractLayeredCritic):
    r"""Convolutions of stride 2 with orthonormal kernels and sorted pairs of channels:
    :math:`|d(x) - d(y)| \le \|x - y\|_2`.

    A kernel of k pixels and stride 2 sees every pixel (k / 2)^2 times, so its flattened weights are divided by k / 2.
    Kernels of 2 do not overlap: slopes up to 1 are then reached. With kernels of 4 they are smaller, as the bound is
    not tight, which scales the payoff. Play it with a Wasserstein game `LipschitzByConstruction`. Needs the package
    deel-torchlip (extra `lipschitz`).

    References:
        Anil, Lucas, Grosse, 2019, arXiv 1811.05381; Serrurier et al., 2021, arXiv 2006.06520.

    Args:
        event_shape: [channels, size, size], or [m, channels, size, size] for packs of m; set from the data.
        width: channels after the first layer, even; every halving doubles them.
        depth: halvings; as many as leave a grid of at least 4 if None.
        kernel: pixels on a side of the kernels, even.
        iterations: rounds that pull the singular values towards 1, at least 0; the bound holds for any number.

    Raises:
        InvalidInputError: when the images are not square, a number is out of range, or deel-torchlip is not installed.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        width: int = 32,
        depth: int | None = None,
        kernel: int = 2,
        iterations: int = 8,
    ) -> None:
        layers, seen, size = critic_entrance(event_shape, "LipschitzConvolutionalCritic")
        _check(width, iterations, "LipschitzConvolutionalCritic")
        require(
            kernel >= 2 and kernel % 2 == 0,
            f"LipschitzConvolutionalCritic needs an even kernel of at least 2 pixels, found {kernel}.",
        )
        steps = halvings(size, depth, "LipschitzConvolutionalCritic")
        factor = float(torchlip("utils.lconv_norm").compute_lconv_coef((kernel, kernel), None, (2, 2)))
        for wide in widths(width, 2, steps, "LipschitzConvolutionalCritic"):
            convolution = nn.Conv2d(seen, wide, kernel, 2, (kernel - 2) // 2)
            layers += [Orthonormal(convolution, factor, iterations), SortedPairs()]
            seen = wide
        inputs = seen * (size // 2**steps) ** 2
        super().__init__(nn.Sequential(*layers, nn.Flatten(), Orthonormal(nn.Linear(inputs, 1), 1.0, iterations)))
