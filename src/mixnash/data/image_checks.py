"""Decoding image files, with every way in which that fails said in one sentence that names the file."""

import io
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias, final

import torch
from jaxtyping import UInt8
from PIL import Image, ImageOps
from rich.progress import track
from torch import Tensor
from torchvision.transforms.v2.functional import pil_to_tensor

from mixnash.core.errors import InvalidInputError, require
from mixnash.data.transforms import Framing

Source: TypeAlias = Path | io.BytesIO
"""A file of an image, or its bytes."""

MODES = {1: "L", 3: "RGB"}
"""Pillow's mode for so many channels of 8 bits."""

CONVERTIBLE = {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"}
"""Modes that Pillow converts to grey or RGB without losing range; those of 16 and 32 bits it clips."""

FAILURES = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)
"""What Pillow raises on damaged files."""

MANY = 10_000
"""Checks of more files than this show their progress."""


@final
class ImageDecoder:
    """Turns files into images of one size and number of channels.

    Args:
        channels: 1 for grey, 3 for red, green and blue.
        convert: convert images of another colour mode (8 bits per channel; transparency is dropped) instead of
            refusing them.
        framing: resize and crop.

    Raises:
        InvalidInputError: when `channels` is another number.
    """

    def __init__(self, channels: int, convert: bool, framing: Framing) -> None:
        require(channels in MODES, f"Images have 1 channel (grey) or 3 (colour), found channels={channels}.")
        self._mode, self._convert, self._framing = MODES[channels], convert, framing

    def check(self, source: Source, name: str) -> None:
        """Look at the header, and at the checksums of formats that have them; pixels are not decoded.

        Args:
            source: the image.
            name: how to call it in errors.

        Raises:
            InvalidInputError: when the image is unreadable, or of a wrong size or colour mode.
        """
        with _reading(name), Image.open(source) as image:
            size, mode = image.size, image.mode
            image.verify()
        self._check_mode(mode, name)
        self._framing.check(*size, name)

    def read(self, source: Source, name: str) -> UInt8[Tensor, "C H W"]:
        """The pixels, turned upright if the file says how the camera was held.

        Args:
            source: the image.
            name: how to call it in errors.

        Raises:
            InvalidInputError: when the image is unreadable, or of a wrong size or colour mode.
        """
        with _reading(name), Image.open(source) as image:
            image.load()
            upright = ImageOps.exif_transpose(image)
        self._check_mode(upright.mode, name)
        self._framing.check(*upright.size, name)
        if upright.mode in ("P", "PA"):  # straight to RGB, Pillow warns of palettes with transparency
            upright = upright.convert("RGBA")
        return self._framing(pil_to_tensor(upright.convert(self._mode)))

    def _check_mode(self, mode: str, name: str) -> None:
        found = f"{name} has the colour mode {mode}{' (grey)' if mode == 'L' else ''}, but the set has {self._mode}"
        require(
            mode == self._mode or mode in CONVERTIBLE,
            f"{found} and cannot hold its range: save the image with 8 bits per channel or remove it.",
        )
        require(
            mode == self._mode or self._convert, f"{found}: set convert: true to convert such images, or remove it."
        )


def check_files(paths: Sequence[Path], decoder: ImageDecoder, show_progress: bool) -> None:
    """Look at the header of every file; with progress if they are many.

    Raises:
        InvalidInputError: at the first file that is missing, unreadable, or of a wrong size or colour mode.
    """
    shown = show_progress and len(paths) > MANY
    for path in track(paths, "Checking image files", transient=True, disable=not shown):
        decoder.check(path, str(path))


def read_files(paths: Sequence[Path], decoder: ImageDecoder) -> UInt8[Tensor, "n C H W"]:
    """All of these images.

    Raises:
        InvalidInputError: at the first file that is missing, unreadable, or of a wrong size or colour mode.
    """
    return torch.stack([decoder.read(path, str(path)) for path in paths])


@contextmanager
def _reading(name: str) -> Iterator[None]:
    """Damage in one sentence."""
    try:
        yield
    except FileNotFoundError as error:
        raise InvalidInputError(
            f"{name} is not there (any more): put the file back, and keep the folder in place while training reads it."
        ) from error
    except FAILURES as error:
        reason = str(error).splitlines()[0].strip() if str(error).strip() else type(error).__name__
        raise InvalidInputError(
            f"{name} is not a whole image, it is corrupt, truncated or of another format ({reason}): replace or "
            "remove it."
        ) from error
