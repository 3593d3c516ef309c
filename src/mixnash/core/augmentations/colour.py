"""Random brightness, saturation and contrast."""

from typing import final

from torch import Tensor

from mixnash.core.augmentations.base import AbstractAugmentation


@final
class Colour(AbstractAugmentation):
    r"""Brightness, saturation and contrast, in this order, by three uniform draws :math:`u_1, u_2, u_3`:

    .. math:: x \leftarrow x + (u_1 - \tfrac12), \qquad x \leftarrow m_c + 2 u_2\, (x - m_c), \qquad
              x \leftarrow m + (u_3 + \tfrac12) (x - m),

    where :math:`m_c` is a pixel's mean over channels and m the image's mean over everything. Draws of 1/2 change
    nothing. Images are on the scale of [-1, 1] and may leave it. Grey images have no saturation to change.

    References:
        Zhao, Liu, Lin, Zhu, Han, 2020, Differentiable augmentation for data-efficient GAN training, arXiv 2006.10738
        ("color" of the released code).
    """

    @property
    def draws(self) -> int:
        """Three."""
        return 3

    def __call__(self, images: Tensor, uniforms: Tensor) -> Tensor:
        """Images [..., C, H, W], changed by uniforms [..., 3]."""
        brightness, saturation, contrast = uniforms[..., None, None, None].unbind(-4)
        images = images + (brightness - 0.5)
        grey = images.mean(-3, keepdim=True)
        images = grey + 2 * saturation * (images - grey)
        mean = images.mean((-3, -2, -1), keepdim=True)
        return mean + (contrast + 0.5) * (images - mean)
