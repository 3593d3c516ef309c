"""What an augmentation is: a pure function of images and of uniform draws, differentiable in the images."""

import abc
from collections.abc import Sequence

from torch import Tensor

from mixnash.core.errors import require


class AbstractAugmentation(abc.ABC):
    """Changes each image by its own uniform draws, in the same way whatever leads the axes of an image."""

    @property
    @abc.abstractmethod
    def draws(self) -> int:
        """A, how many uniform numbers decide over one image."""

    @abc.abstractmethod
    def __call__(self, images: Tensor, uniforms: Tensor) -> Tensor:
        """Images [..., C, H, W], changed by uniforms [..., A] in [0, 1)."""

    def check(self, event_shape: Sequence[int]) -> None:
        """Refuse samples that it cannot change.

        Raises:
            InvalidInputError: when samples are not images.
        """
        require(
            len(event_shape) == 3,
            f"A {type(self).__name__} augmentation needs images [channels, height, width], found samples of shape "
            f"{list(event_shape)}. Leave the augmentation out.",
        )


def drawn_index(uniform: Tensor, count: int) -> Tensor:
    """Uniform draws in [0, 1) as equally likely integers 0, ..., count - 1, of the same shape."""
    # In low precision a draw just below 1 may be rounded up.
    return (uniform * count).long().clamp(max=count - 1)
