"""Layers on stacked parameters: one description of a network, a tree of torch modules, read for K particles at once.

`run_stacked(module, params, name, inputs)` does for K particles what `module(inputs)` does for one. Layers without
parameters see all samples of all particles as one batch; layers with parameters are registered here, one function each.
New containers and layers with parameters join by `run_stacked.register`.
"""

from collections.abc import Callable
from functools import singledispatch

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mixnash.core.types import Params
from mixnash.networks.convolutions import seen_by_all, stacked_convolution, stacked_transposed_convolution


def folded(function: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
    """A function of samples [n, ...], on the samples [K, n, ...] of all particles."""
    outputs = function(inputs.flatten(0, 1))
    return outputs.reshape(*inputs.shape[:2], *outputs.shape[1:])


@singledispatch
def run_stacked(module: nn.Module, params: Params, name: str, inputs: Tensor) -> Tensor:
    """All particles through one module.

    Args:
        module: says what to compute; its own parameters are not used.
        params: stacked parameters of the whole network, leaves [K, ...].
        name: of the module within the network, as in the names of the parameters.
        inputs: [K, n, ...]; may be expanded along K where all particles see the same.

    Raises:
        TypeError: when the module has parameters or buffers and no function is registered for its type.
    """
    del params
    if next(module.parameters(), None) is not None or next(module.buffers(), None) is not None:
        raise TypeError(f"There is no stacked form of {type(module).__name__} (layer {name!r}): register one.")
    if seen_by_all(inputs):
        outputs: Tensor = module(inputs[0])
        return outputs.expand(len(inputs), *outputs.shape)
    return folded(module, inputs)


@run_stacked.register
def _(module: nn.Sequential, params: Params, name: str, inputs: Tensor) -> Tensor:
    for child, layer in module.named_children():
        inputs = run_stacked(layer, params, f"{name}.{child}", inputs)
    return inputs


@run_stacked.register
def _(module: nn.Linear, params: Params, name: str, inputs: Tensor) -> Tensor:
    weight, bias = params[f"{name}.weight"], None if module.bias is None else params[f"{name}.bias"]
    if len(weight) == 1:  # a batched product of one matrix is slower than the plain one
        return F.linear(inputs[0], weight[0], None if bias is None else bias[0]).unsqueeze(0)
    return torch.bmm(inputs, weight.mT) if bias is None else torch.baddbmm(bias.unsqueeze(1), inputs, weight.mT)


@run_stacked.register
def _(module: nn.Conv2d, params: Params, name: str, inputs: Tensor) -> Tensor:
    padding = _checked_padding(module, name)
    bias = None if module.bias is None else params[f"{name}.bias"]
    return stacked_convolution(inputs, params[f"{name}.weight"], bias, module.stride, padding, module.groups)


@run_stacked.register
def _(module: nn.ConvTranspose2d, params: Params, name: str, inputs: Tensor) -> Tensor:
    padding = _checked_padding(module, name)
    plain = module.groups == 1 and module.output_padding == (0, 0)
    if not plain:
        raise TypeError(
            f"There is no stacked form of the transposed convolution {name!r} with groups or output padding."
        )
    bias = None if module.bias is None else params[f"{name}.bias"]
    return stacked_transposed_convolution(inputs, params[f"{name}.weight"], bias, module.stride, padding)


@run_stacked.register
def _(module: nn.GroupNorm, params: Params, name: str, inputs: Tensor) -> Tensor:
    normal = folded(lambda one: F.group_norm(one, module.num_groups, eps=module.eps), inputs)
    return _scaled(module.affine, params, name, normal)


@run_stacked.register
def _(module: nn.BatchNorm2d, params: Params, name: str, inputs: Tensor) -> Tensor:
    if module.track_running_stats:
        raise TypeError(f"Layer {name!r} keeps running statistics, which no pure function can: switch them off.")
    # Statistics of each particle's own samples: its channels side by side with the others'.
    side_by_side = inputs.transpose(0, 1).flatten(1, 2)
    normal = F.batch_norm(side_by_side, None, None, training=True, eps=module.eps)
    apart = normal.reshape(inputs.shape[1], inputs.shape[0], *inputs.shape[2:]).transpose(0, 1)
    return _scaled(module.affine, params, name, apart)


def _scaled(affine: bool, params: Params, name: str, normal: Tensor) -> Tensor:
    if not affine:
        return normal
    weight, bias = (params[f"{name}.{part}"][:, None, :, None, None] for part in ("weight", "bias"))
    return torch.addcmul(bias, normal, weight)


def _checked_padding(module: nn.Conv2d | nn.ConvTranspose2d, name: str) -> tuple[int, ...]:
    padding = module.padding
    if isinstance(padding, str) or module.padding_mode != "zeros" or module.dilation != (1, 1):
        raise TypeError(f"There is no stacked form of the convolution {name!r} with dilation or padding by name.")
    return padding
