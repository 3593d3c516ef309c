"""The sum of two branches, for networks with residual connections."""

from typing import final

import torch
from torch import Tensor, nn

from mixnash.core.types import Params
from mixnash.networks.stacked_layers import run_stacked


@final
class Residual(nn.Module):
    """`main(x) + skip(x)`.

    Args:
        main: the long way.
        skip: the short way; the identity where both ends have the same shape.
    """

    def __init__(self, main: nn.Module, skip: nn.Module) -> None:
        super().__init__()
        self.main, self.skip = main, skip

    def forward(self, inputs: Tensor) -> Tensor:
        """[n, ...] to [n, ...]."""
        return torch.as_tensor(self.main(inputs) + self.skip(inputs))


@run_stacked.register
def _(module: Residual, params: Params, name: str, inputs: Tensor) -> Tensor:
    return run_stacked(module.main, params, f"{name}.main", inputs) + run_stacked(
        module.skip, params, f"{name}.skip", inputs
    )
