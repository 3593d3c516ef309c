"""Convolutions of K particles, each with kernels of its own, as one: their channels lie side by side, in K groups.

That is fast where the particles' own convolutions are small, and on accelerators, where launches cost most. Networks
of larger convolutions go one particle after the other instead (`layered.run_population`); `prefers_groups` decides, by
what `benchmarks/stacked_convolutions.py` measured. Neither needs `vmap`, whose rule for convolutions is the grouped one
with more copies around it.
"""

import torch.nn.functional as F
from torch import Tensor

from mixnash.core.types import Params

Size = tuple[int, ...]

FEW_PRODUCTS = 2**18
"""On the CPU groups win up to so many samples times convolution weights per particle: then all fits into the caches."""


def prefers_groups(params: Params, inputs: Tensor) -> bool:
    """Whether to run all particles at once rather than one after the other.

    A fixed rule rather than a timing at run time: both ways round differently, and a run must repeat bit by bit.

    Args:
        params: stacked parameters of the network, leaves [K, ...]; those of five axes are kernels.
        inputs: [K, n, ...].
    """
    kernels = sum(leaf[0].numel() for leaf in params.values() if leaf.dim() == 5)
    return inputs.device.type != "cpu" or inputs.shape[1] * kernels <= FEW_PRODUCTS


def seen_by_all(inputs: Tensor) -> bool:
    """Whether inputs [K, n, ...] are the same n for every particle, so that what they share is computed once.

    Not if they are a leaf to differentiate in: then every particle has a gradient of its own in them.
    """
    return inputs.stride(0) == 0 and not (inputs.is_leaf and inputs.requires_grad)


def stacked_convolution(
    inputs: Tensor, weight: Tensor, bias: Tensor | None, stride: Size, padding: Size, groups: int = 1
) -> Tensor:
    """Convolutions of all particles.

    Args:
        inputs: [K, n, in, H, W].
        weight: [K, out, in / groups, kernel, kernel].
        bias: [K, out], or None.
        stride: of each axis.
        padding: zeros on each side of each axis.
        groups: within each particle.
    """
    particles = len(weight)
    if particles == 1:
        return F.conv2d(inputs[0], weight[0], _only(bias), stride, padding, groups=groups).unsqueeze(0)
    if groups == 1 and seen_by_all(inputs):  # the kernels of all particles are those of one larger convolution
        return _apart(F.conv2d(inputs[0], weight.flatten(0, 1), _flat(bias), stride, padding), particles)
    side_by_side = inputs.transpose(0, 1).flatten(1, 2)
    out = F.conv2d(side_by_side, weight.flatten(0, 1), _flat(bias), stride, padding, groups=particles * groups)
    return _apart(out, particles)


def stacked_transposed_convolution(
    inputs: Tensor, weight: Tensor, bias: Tensor | None, stride: Size, padding: Size
) -> Tensor:
    """Transposed convolutions of all particles.

    Args:
        inputs: [K, n, in, H, W].
        weight: [K, in, out, kernel, kernel].
        bias: [K, out], or None.
        stride: of each axis.
        padding: cut off from each side of each axis.
    """
    particles = len(weight)
    if particles == 1:
        return F.conv_transpose2d(inputs[0], weight[0], _only(bias), stride, padding).unsqueeze(0)
    side_by_side = inputs.transpose(0, 1).flatten(1, 2)
    out = F.conv_transpose2d(side_by_side, weight.flatten(0, 1), _flat(bias), stride, padding, groups=particles)
    return _apart(out, particles)


def _apart(side_by_side: Tensor, particles: int) -> Tensor:
    """Channels [n, K c, H, W] by particle [K, n, c, H, W]."""
    return side_by_side.reshape(len(side_by_side), particles, -1, *side_by_side.shape[2:]).transpose(0, 1)


def _only(bias: Tensor | None) -> Tensor | None:
    return None if bias is None else bias[0]


def _flat(bias: Tensor | None) -> Tensor | None:
    return None if bias is None else bias.flatten()
