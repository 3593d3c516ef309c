r"""Toy strategies: a vector in place of a network.

The generator ignores its latent and emits its vector x; the critic is the linear functional
:math:`d_y(s) = \langle s, y \rangle`. With these, games on vectors are ordinary games of two functions, and the
dynamics that train GANs are tested on them unchanged.
"""

import torch
from torch import Tensor

from mixnash.core.types import NetworkFunctions, Networks, Params

VECTOR = "vector"
"""The name of the one leaf, [dim]; stacked [K, dim]."""


def _emit(params: Params, latent: Tensor) -> Tensor:
    return params[VECTOR].unsqueeze(-2).expand(*latent.shape[:-1], -1)


def _pair_with(params: Params, samples: Tensor) -> Tensor:
    return torch.einsum("...nd,...d->...n", samples, params[VECTOR])


VECTOR_NETWORKS = Networks(
    generator=NetworkFunctions(single=_emit, stacked=_emit),
    critic=NetworkFunctions(single=_pair_with, stacked=_pair_with),
)
"""Both players are vectors."""
