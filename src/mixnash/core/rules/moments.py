"""What Adam and its relatives remember of the gradients."""

import math
from typing import NamedTuple

import torch

from mixnash.core.tree import map_params
from mixnash.core.types import Params


class AdamState(NamedTuple):
    """Updates made so far and the two moment estimates, shaped like the parameters."""

    updates: int
    mean: Params
    square: Params


def no_moments(params: Params) -> AdamState:
    """Zero moments before the first update."""
    return AdamState(0, map_params(torch.zeros_like, params), map_params(torch.zeros_like, params))


def next_moments(state: AdamState, grads: Params, beta1: float, beta2: float) -> AdamState:
    r""":math:`m \leftarrow \beta_1 m + (1-\beta_1) g` and :math:`v \leftarrow \beta_2 v + (1-\beta_2) g^2`."""
    # Without a first moment the mean is the gradient itself, to the last bit: one pass over the parameters less.
    mean = grads if beta1 == 0 else map_params(lambda m, g: torch.lerp(m, g, 1 - beta1), state.mean, grads)
    square = map_params(lambda v, g: (v * beta2).addcmul_(g, g, value=1 - beta2), state.square, grads)
    return AdamState(state.updates + 1, mean, square)


def corrections(updates: int, beta1: float, beta2: float) -> tuple[float, float]:
    r"""After t updates from zero, what m and :math:`\sqrt v` are to be divided by:
    :math:`1 - \beta_1^t` and :math:`\sqrt{1 - \beta_2^t}`.
    """
    return 1 - beta1**updates, math.sqrt(1 - beta2**updates)
