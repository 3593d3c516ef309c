"""Grey 28x28 images in the files of MNIST, read by torchvision."""

import abc
from pathlib import Path
from urllib.error import URLError

import torch
from torchvision import datasets

from mixnash.core.errors import InvalidInputError
from mixnash.data.labelled_images import Split
from mixnash.data.labelled_sets import AbstractLabelledSet, LabelledPixels, check_labels
from mixnash.data.transforms import Framing, zero_padded

SIZE = 28
"""Height and width of the images in the files."""

CLASSES = 10
"""How many classes they are of."""


def fetch_idx_files(kind: type[datasets.MNIST], root: Path) -> None:
    """Download the four files unless they are there.

    Raises:
        InvalidInputError: when that fails.
    """
    try:
        kind(root, download=True)
    except (RuntimeError, URLError, OSError) as error:
        raise InvalidInputError(
            f"{kind.__name__} could not be downloaded to {root.resolve()} ({str(error).splitlines()[0]}): put its "
            f"files into {root / kind.__name__ / 'raw'} by hand and set download: false."
        ) from error


def read_idx_files(kind: type[datasets.MNIST], root: Path, split: Split) -> LabelledPixels:
    """All images [n, 1, 28, 28] of a part, with their labels; the official test part is held out.

    Raises:
        InvalidInputError: when the files are missing or damaged.
    """
    folder = root.resolve() / kind.__name__ / "raw"
    try:
        data = kind(root, train=split is Split.TRAINING)
    except RuntimeError as error:
        if any(folder.glob("*-ubyte")):
            raise InvalidInputError(_damaged(kind, folder)) from error
        raise InvalidInputError(
            f"{kind.__name__} was looked for in {folder} and not found: set download: true to fetch it, or root to "
            f"the folder that contains {kind.__name__}/raw."
        ) from error
    except (AssertionError, ValueError, KeyError, OSError, EOFError) as error:
        raise InvalidInputError(_damaged(kind, folder)) from error
    if data.data.shape[1:] != (SIZE, SIZE):
        raise InvalidInputError(_damaged(kind, folder))
    part = LabelledPixels(data.data.unsqueeze(1), data.targets.to(torch.int64))
    check_labels(part, CLASSES, f"The {split.value} part of {kind.__name__} in {folder}")
    return part


def _damaged(kind: type[datasets.MNIST], folder: Path) -> str:
    return (
        f"The files of {kind.__name__} in {folder} are incomplete or damaged (four files of 28x28 images and labels "
        "were expected): delete the folder and set download: true to fetch them anew."
    )


class AbstractIdxSet(AbstractLabelledSet, abc.ABC):
    """Grey images of ten classes in the files of MNIST; see `AbstractImageSet`.

    Args:
        kind: torchvision's class, whose name the folder of the files has.
        root: the folder in which torchvision keeps the set in a folder of its own.
        download: fetch missing files, in one process of each machine.
        image_size: 28 as in the files; larger, with a border of zeros, unless resized; smaller, only resized.
        resize: scale to `image_size` (bilinear with antialiasing).
        batch_size: see `AbstractDataModule`.
        validation_size: see `AbstractDataModule`.
        num_workers: see `AbstractDataModule`.
        seed: see `AbstractDataModule`.

    Raises:
        InvalidInputError: see `AbstractImageSet`; also when `image_size` is below 28 without a resize.
    """

    @abc.abstractmethod
    def __init__(
        self,
        kind: type[datasets.MNIST],
        root: str,
        download: bool,
        image_size: int,
        resize: bool,
        batch_size: int,
        validation_size: int,
        num_workers: int,
        seed: int,
    ) -> None:
        framing = Framing(image_size, resize, False)
        if not resize:
            framing.check(max(image_size, SIZE), max(image_size, SIZE), f"Every image of {kind.__name__}")
        super().__init__(kind.__name__, root, 1, framing, False, batch_size, validation_size, num_workers, seed)
        self._kind, self._download, self._padded = kind, download, 0 if resize else image_size

    @property
    def num_classes(self) -> int:
        """Ten."""
        return CLASSES

    @property
    def border(self) -> int | None:
        """Pixels of zeros around the images of the files; None if they were scaled, or not all sides have as many."""
        size = self.event_shape[1]
        framed = size == max(self._padded, SIZE)
        return (size - SIZE) // 2 if framed and size % 2 == SIZE % 2 else None

    def prepare_data(self) -> None:
        """Download what is missing, if asked to; the trainer calls this in one process of each machine."""
        if self._download:
            fetch_idx_files(self._kind, self.root)

    def read_part(self, split: Split) -> LabelledPixels:
        """All images of a part, in a border of zeros if asked to, with their labels."""
        images, labels = read_idx_files(self._kind, self.root, split)
        return LabelledPixels(zero_padded(images, max(self._padded, SIZE)), labels)
