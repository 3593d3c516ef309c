"""Random cutout of a rectangle."""

from typing import final

import torch
from torch import Tensor

from mixnash.core.augmentations.base import AbstractAugmentation, drawn_index
from mixnash.core.errors import require


@final
class Cutout(AbstractAugmentation):
    r"""Overwrites a rectangle of :math:`h = \lfloor r H + 1/2 \rfloor` times :math:`w = \lfloor r W + 1/2 \rfloor`
    pixels, by two uniform draws for its place.

    The rectangle's rows are c - floor(h / 2) and the h - 1 after it, with c uniform on 0, ..., H - 1, and on H too if h
    is even; columns likewise. What sticks out of the image is lost.

    References:
        Zhao et al., 2020, arXiv 2006.10738 ("cutout" of the released code: r = 1/2, filled with 0).

    Args:
        ratio: r, in (0, 1).
        fill: the value that is written; 0 is mid-grey on the scale of [-1, 1].

    Raises:
        InvalidInputError: when the ratio is outside its range.
    """

    def __init__(self, ratio: float = 0.5, fill: float = 0.0) -> None:
        require(0 < ratio < 1, f"The ratio of a cutout must lie between 0 and 1, found {ratio}.")
        self.ratio, self.fill = ratio, fill

    @property
    def draws(self) -> int:
        """Two."""
        return 2

    def __call__(self, images: Tensor, uniforms: Tensor) -> Tensor:
        """Images [..., C, H, W] with a hole placed by uniforms [..., 2]."""
        height, width = images.shape[-2:]
        rows, columns = self._covered(uniforms[..., 0], height), self._covered(uniforms[..., 1], width)
        hole = rows.unsqueeze(-1) & columns.unsqueeze(-2)
        return torch.where(hole.unsqueeze(-3), self.fill, images)

    def _covered(self, uniform: Tensor, size: int) -> Tensor:
        """Whether the rectangle covers each place along an axis [..., size]."""
        length = int(self.ratio * size + 0.5)
        first = drawn_index(uniform, size + 1 - length % 2) - length // 2
        place = torch.arange(size, device=uniform.device) - first.unsqueeze(-1)
        return (place >= 0) & (place < length)
