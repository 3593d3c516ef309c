"""Random translation by whole pixels."""

from typing import final

import torch
from torch import Tensor

from mixnash.core.augmentations.base import AbstractAugmentation, drawn_index
from mixnash.core.errors import require


@final
class Translation(AbstractAugmentation):
    r"""Moves an image down and right by whole pixels, at most a share r of its size, by two uniform draws.

    Shifts are uniform on the integers from -s to s with :math:`s = \lfloor r H + 1/2 \rfloor`, and likewise for the
    width. What comes in from outside has one value. Draws of 1/2 change nothing.

    References:
        Zhao et al., 2020, arXiv 2006.10738 ("translation" of the released code: r = 1/8, filled with 0).

    Args:
        ratio: r, in (0, 1).
        fill: the value outside of an image; 0 is mid-grey on the scale of [-1, 1].

    Raises:
        InvalidInputError: when the ratio is outside its range.
    """

    def __init__(self, ratio: float = 0.125, fill: float = 0.0) -> None:
        require(0 < ratio < 1, f"The ratio of a translation must lie between 0 and 1, found {ratio}.")
        self.ratio, self.fill = ratio, fill

    @property
    def draws(self) -> int:
        """Two."""
        return 2

    def __call__(self, images: Tensor, uniforms: Tensor) -> Tensor:
        """Images [..., C, H, W], moved by uniforms [..., 2]."""
        height, width = images.shape[-2:]
        rows, rows_inside = self._sources(uniforms[..., 0], height)
        columns, columns_inside = self._sources(uniforms[..., 1], width)
        source = (rows.unsqueeze(-1) * width + columns.unsqueeze(-2)).flatten(-2).unsqueeze(-2)
        moved = images.flatten(-2).gather(-1, source.expand(*images.shape[:-2], -1)).reshape(images.shape)
        inside = rows_inside.unsqueeze(-1) & columns_inside.unsqueeze(-2)
        return torch.where(inside.unsqueeze(-3), moved, self.fill)

    def _sources(self, uniform: Tensor, size: int) -> tuple[Tensor, Tensor]:
        """Where along an axis each pixel comes from [..., size], and whether that is inside the image."""
        most = int(self.ratio * size + 0.5)
        shift = drawn_index(uniform, 2 * most + 1) - most
        source = torch.arange(size, device=uniform.device) - shift.unsqueeze(-1)
        return source.clamp(0, size - 1), (source >= 0) & (source < size)
