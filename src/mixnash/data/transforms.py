"""From stored pixels 0..255 to images of the size asked for with values in [-1, 1]."""

from typing import final

import torch
from jaxtyping import Bool, Float, Float32, UInt8
from torch import Tensor
from torchvision.transforms.v2.functional import center_crop, resize

from mixnash.core.errors import require


def to_unit(pixels: UInt8[Tensor, "*event"]) -> Float32[Tensor, "*event"]:
    r"""Pixels as float32 in [-1, 1]: :math:`x / 127.5 - 1`."""
    return pixels.to(torch.float32) / 127.5 - 1


def flipped(images: Float[Tensor, "n C H W"], is_flipped: Bool[Tensor, " n"]) -> Float[Tensor, "n C H W"]:
    """The images with some of them mirrored left to right."""
    return torch.where(is_flipped[:, None, None, None], images.flip(-1), images)


def zero_padded(pixels: UInt8[Tensor, "n C h w"], size: int) -> UInt8[Tensor, "n C size size"]:
    """Square images with a border of zeros, equally wide on both sides up to one pixel."""
    before = (size - pixels.shape[-1]) // 2
    after = size - pixels.shape[-1] - before
    return torch.nn.functional.pad(pixels, (before, after, before, after))


@final
class Framing:
    """Brings images to one square size: first the resize, then the crop, each only if asked for.

    Args:
        image_size: height and width of the result in pixels, at least 1.
        resize: scale the shorter side to `image_size` (bilinear with antialiasing), keeping the proportions.
        crop: keep the central square of `image_size`.

    Raises:
        InvalidInputError: when `image_size` is below 1.
    """

    def __init__(self, image_size: int, resize: bool, crop: bool) -> None:
        require(image_size >= 1, f"The image size must be at least 1 pixel, found {image_size}.")
        self.image_size, self._resize, self._crop = image_size, resize, crop

    def check(self, width: int, height: int, name: str) -> None:
        """Whether an image of this size comes out right.

        Args:
            width: in pixels.
            height: in pixels.
            name: how to call the image in the error.

        Raises:
            InvalidInputError: when the result would not be the square asked for.
        """
        size, found = self.image_size, f"{name} is {width}x{height} pixels"
        if self._resize:
            require(
                self._crop or width == height,
                f"{found}, which no resize alone makes {size}x{size}: set crop: true to keep the central square.",
            )
        elif self._crop:
            require(
                min(width, height) >= size,
                f"{found}, too small for a crop of {size}x{size}: set resize: true or a smaller image_size.",
            )
        else:
            wanted = "resize: true" if width == height else "resize: true and crop: true"
            require(
                (width, height) == (size, size),
                f"{found}, but image_size is {size}: set {wanted}, or use images of that size.",
            )

    def __call__(self, pixels: UInt8[Tensor, "*n C h w"]) -> UInt8[Tensor, "*n C size size"]:
        """Images that passed `check`, in the size asked for."""
        if self._resize and min(pixels.shape[-2:]) != self.image_size:
            pixels = resize(pixels, [self.image_size], antialias=True)
        return center_crop(pixels, [self.image_size]) if self._crop else pixels
