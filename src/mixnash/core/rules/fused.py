"""Adam's step in one pass over memory, by the kernel of torch's own optimiser."""

from collections.abc import Iterable
from itertools import chain

import torch
from torch import Tensor

from mixnash.core.rules.moments import AdamState
from mixnash.core.types import Params

FUSED_DEVICES = frozenset({"cpu", "cuda", "meta"})
"""Where torch has the kernel, whatever its build; and where tensors without contents stand for such."""


def can_fuse(params: Params, grads: Params) -> bool:
    """Whether the kernel takes these leaves: of one floating precision, on one device that has it, outside of graphs.

    It cannot be differentiated, so leaves that somebody differentiates go the plain way.
    """
    first = next(iter(params.values()))
    return (
        first.is_floating_point()
        and first.device.type in FUSED_DEVICES
        and all(_is_like(leaf, first) for leaf in chain(params.values(), grads.values()))
    )


def _is_like(leaf: Tensor, first: Tensor) -> bool:
    return leaf.dtype == first.dtype and leaf.device == first.device and not leaf.requires_grad


def fused_step(
    params: Params,
    grads: Params,
    state: AdamState,
    betas: tuple[float, float],
    epsilon: float,
    step_size: float,
    corrected_as: float,
) -> tuple[Params, AdamState]:
    r"""One step of `adam.Adam`, with one rounding less here and there than where it is written out.

    The kernel reads memory in order whatever the strides say, so what it gets is made contiguous first: gradients of
    stacked matrices come transposed. Arguments stay as they are, for it works on copies. Without a first moment the
    mean is the gradient itself and needs none: what the kernel writes there is what it read.

    Args:
        params: leaves for which `can_fuse` holds.
        grads: likewise.
        state: the moments before.
        betas: decays of the mean and of the square.
        epsilon: added to the root.
        step_size: eta, before the corrections.
        corrected_as: t of the corrections :math:`1 - \beta^t`; infinity for none.

    Returns:
        New positions and moments, contiguous, with one update more.
    """
    slopes = [grads[name].detach().contiguous() for name in params]
    new, square = _copies(params.values()), _copies(state.square[name] for name in params)
    mean = slopes if betas[0] == 0 else _copies(state.mean[name] for name in params)
    # Filled in, not sent: a transfer would wait for the device.
    count = torch.full((), corrected_as, dtype=torch.float32, device=slopes[0].device)
    torch._fused_adam_(
        new,
        slopes,
        mean,
        square,
        [],
        [count] * len(slopes),
        lr=step_size,
        beta1=betas[0],
        beta2=betas[1],
        weight_decay=0.0,
        eps=epsilon,
        amsgrad=False,
        maximize=False,
    )
    moments = AdamState(state.updates + 1, _named(params, mean), _named(params, square))
    return _named(params, new), moments


def _copies(leaves: Iterable[Tensor]) -> list[Tensor]:
    return [leaf.clone(memory_format=torch.contiguous_format) for leaf in leaves]


def _named(params: Params, leaves: list[Tensor]) -> Params:
    return dict(zip(params, leaves, strict=True))
