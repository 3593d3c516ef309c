"""CIFAR-10."""

from pathlib import Path
from typing import final
from urllib.error import URLError

import torch
from torchvision import datasets

from mixnash.core.errors import InvalidInputError
from mixnash.data.labelled_images import Split
from mixnash.data.labelled_sets import AbstractLabelledSet, LabelledPixels
from mixnash.data.transforms import Framing


@final
class CIFAR10(AbstractLabelledSet):
    """Colour 32x32 photographs of ten classes: 50,000 to train with, the official 10,000 test images held out.

    Pixels 0..255 are mapped to [-1, 1] by x / 127.5 - 1. The files are those of torchvision, which checks their MD5
    sums, in root/cifar-10-batches-py.

    References:
        Krizhevsky, 2009, Learning multiple layers of features from tiny images, technical report, University of
        Toronto.

    Args:
        root: the folder that contains the folder cifar-10-batches-py, relative to the working directory.
        download: fetch the files if they are missing, in one process of each machine.
        image_size: height and width in pixels; 32 unless resized.
        resize: scale to `image_size` (bilinear with antialiasing).
        flip: mirror every training image with probability 1/2.
        batch_size: real samples per draw over all processes together, at least 1.
        validation_size: held-out samples over all processes together, at least 1; beyond the size of the test part,
            drawn with replacement.
        num_workers: processes that make batches ahead of time, at least 0; the batches are the same for any number.
        seed: any integer; decides every draw.

    Raises:
        InvalidInputError: when a number is outside its range; from `setup` on, when the files are missing, damaged or
            hold fewer images than one batch.
    """

    def __init__(
        self,
        root: str = "data",
        download: bool = False,
        image_size: int = 32,
        resize: bool = False,
        flip: bool = False,
        batch_size: int = 64,
        validation_size: int = 10_000,
        num_workers: int = 0,
        seed: int = 0,
    ) -> None:
        framing = Framing(image_size, resize, False)
        framing.check(32, 32, "Every image of CIFAR-10")
        super().__init__("CIFAR-10", root, 3, framing, flip, batch_size, validation_size, num_workers, seed)
        self._download = download

    @property
    def num_classes(self) -> int:
        """Ten."""
        return 10

    def prepare_data(self) -> None:
        """Download what is missing, if asked to; the trainer calls this in one process of each machine."""
        if not self._download:
            return
        try:
            datasets.CIFAR10(self.root, download=True)
        except (RuntimeError, URLError, OSError) as error:
            raise InvalidInputError(
                f"CIFAR-10 could not be downloaded to {self.root.resolve()} ({str(error).splitlines()[0]}): put "
                "cifar-10-batches-py there by hand and set download: false."
            ) from error

    def read_part(self, split: Split) -> LabelledPixels:
        """All images of a part with their labels."""
        try:
            data = datasets.CIFAR10(self.root, train=split is Split.TRAINING)
        except RuntimeError as error:
            raise InvalidInputError(_missing(self.root)) from error
        return LabelledPixels(torch.as_tensor(data.data).permute(0, 3, 1, 2).contiguous(), torch.tensor(data.targets))


def _missing(root: Path) -> str:
    folder = root.resolve() / "cifar-10-batches-py"
    if folder.is_dir():
        return (
            f"The files of CIFAR-10 in {folder} are incomplete or damaged (their MD5 sums were compared): delete the "
            "folder and set download: true to fetch them anew."
        )
    return (
        f"CIFAR-10 was looked for in {folder} and not found: set download: true to fetch it, or root to the folder "
        "that contains cifar-10-batches-py."
    )
