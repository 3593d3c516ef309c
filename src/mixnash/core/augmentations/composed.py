"""Several augmentations, one after the other."""

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from mixnash.core.augmentations.base import AbstractAugmentation
from mixnash.core.errors import require


@final
class Composed(AbstractAugmentation):
    """Augmentations in the order given, each by draws of its own.

    References:
        Zhao et al., 2020, arXiv 2006.10738 (colour, translation, cutout in this order).

    Args:
        augmentations: at least one.

    Raises:
        InvalidInputError: when there is none.
    """

    def __init__(self, augmentations: Sequence[AbstractAugmentation]) -> None:
        require(len(augmentations) >= 1, "A composed augmentation needs at least one part, found none.")
        self._parts = list(augmentations)

    @property
    def draws(self) -> int:
        """Those of all parts."""
        return sum(part.draws for part in self._parts)

    def __call__(self, images: Tensor, uniforms: Tensor) -> Tensor:
        """Images [..., C, H, W], changed by uniforms [..., A]: the first part's, then the second's."""
        shares = torch.split(uniforms, [part.draws for part in self._parts], -1)
        for part, share in zip(self._parts, shares, strict=True):
            images = part(images, share)
        return images

    def check(self, event_shape: Sequence[int]) -> None:
        """By every part."""
        for part in self._parts:
            part.check(event_shape)
