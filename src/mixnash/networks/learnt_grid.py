"""The beginning of a generator whose first grid is learnt instead of computed."""

import math
from typing import final

import torch
from torch import Tensor, nn

from mixnash.core.types import Params
from mixnash.networks.stacked_layers import run_stacked


@final
class LearntGrid(nn.Module):
    r"""A learnt grid of features whose channels a linear map of the latent scales: :math:`b_{cij} \, (W z)_c`.

    The map has no constant term; grid and map are drawn such that the features have variance one.

    Args:
        latent_dim: length of the latent.
        channels: of the grid.
        size: of each side of the grid.
    """

    def __init__(self, latent_dim: int, channels: int, size: int) -> None:
        super().__init__()
        self.basis = nn.Parameter(torch.randn(channels, size, size))
        self.scale = nn.Linear(latent_dim, channels, bias=False)
        nn.init.normal_(self.scale.weight, std=1 / math.sqrt(latent_dim))

    def forward(self, latent: Tensor) -> Tensor:
        """Latents [n, latent_dim] to features [n, channels, size, size]."""
        return self.basis * torch.as_tensor(self.scale(latent))[..., None, None]


@run_stacked.register
def _(module: LearntGrid, params: Params, name: str, inputs: Tensor) -> Tensor:
    scales = run_stacked(module.scale, params, f"{name}.scale", inputs)
    return params[f"{name}.basis"].unsqueeze(1) * scales[..., None, None]
