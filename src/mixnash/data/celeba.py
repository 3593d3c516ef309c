"""CelebA: faces."""

from pathlib import Path
from typing import final
from urllib.error import URLError

from torchvision import datasets

from mixnash.core.errors import InvalidInputError
from mixnash.data.file_sets import FilePixels
from mixnash.data.image_checks import ImageDecoder, check_files
from mixnash.data.image_sets import AbstractImageSet, PixelSplits
from mixnash.data.transforms import Framing


@final
class CelebA(AbstractImageSet):
    """The 202,599 aligned faces of CelebA, 178x218: the official training part, its validation part held out.

    Files are decoded when a batch needs them; their headers are checked before training. Pixels 0..255 are mapped to
    [-1, 1] by x / 127.5 - 1. The files are those of torchvision, which checks the MD5 sums of the lists, in
    root/celeba; for a download it needs the package gdown.

    References:
        Liu, Luo, Wang, Tang, 2015, Deep learning face attributes in the wild, ICCV.

    Args:
        root: the folder that contains the folder celeba, relative to the working directory.
        download: fetch the files if they are missing, in one process of each machine.
        image_size: height and width in pixels, at least 1.
        resize: scale the shorter side, 178 pixels, to `image_size` (bilinear with antialiasing).
        flip: mirror every training image with probability 1/2.
        batch_size: real samples per draw over all processes together, at least 1.
        validation_size: held-out samples over all processes together, at least 1; there are 19,867 different ones.
        num_workers: processes that make batches ahead of time, at least 0; the batches are the same for any number.
        seed: any integer; decides every draw.

    Raises:
        InvalidInputError: when a number is outside its range; from `setup` on, when files are missing or damaged.
    """

    def __init__(
        self,
        root: str = "data",
        download: bool = False,
        image_size: int = 64,
        resize: bool = True,
        flip: bool = False,
        batch_size: int = 64,
        validation_size: int = 10_000,
        num_workers: int = 0,
        seed: int = 0,
    ) -> None:
        framing = Framing(image_size, resize, True)
        framing.check(178, 218, "Every image of CelebA")
        self._decoder = ImageDecoder(3, False, framing)
        shape = (3, image_size, image_size)
        super().__init__("CelebA", root, shape, flip, batch_size, validation_size, num_workers, seed)
        self._download = download

    def prepare_data(self) -> None:
        """Download what is missing, if asked to; the trainer calls this in one process of each machine."""
        if not self._download:
            return
        try:
            datasets.CelebA(self.root, download=True)
        except (RuntimeError, URLError, OSError) as error:
            raise InvalidInputError(
                f"CelebA could not be downloaded to {self.root.resolve()} ({str(error).splitlines()[0]}): put the "
                "folder celeba there by hand and set download: false."
            ) from error

    def load(self) -> PixelSplits:
        """The files of both parts, after a look at every header."""
        training, held_out = self._paths("train"), self._paths("valid")
        check_files([*training, *held_out], self._decoder, self._place()[0] == 0)
        return PixelSplits(FilePixels(training, self._decoder), FilePixels(held_out, self._decoder))

    def _paths(self, split: str) -> list[Path]:
        folder = self.root.resolve() / "celeba"
        try:
            names = datasets.CelebA(self.root, split=split).filename
        except RuntimeError as error:
            raise InvalidInputError(
                f"CelebA was looked for in {folder} and is missing there or incomplete (the MD5 sums of its lists were "
                "compared): set download: true to fetch it, or root to the folder that contains celeba, with the "
                "pictures in celeba/img_align_celeba."
            ) from error
        return [folder / "img_align_celeba" / name for name in names]
