"""Small labelled pictures in one folder for each class."""

from pathlib import Path
from typing import final

import torch

from mixnash.core.errors import require
from mixnash.data.file_sets import image_paths
from mixnash.data.image_checks import ImageDecoder, check_files, read_files
from mixnash.data.labelled_images import Split
from mixnash.data.labelled_sets import AbstractLabelledSet, LabelledPixels
from mixnash.data.transforms import Framing


@final
class ClassFolders(AbstractLabelledSet):
    """Pictures in root/train/CLASS and root/test/CLASS, decoded once and held in memory; the test part is held out.

    For sets of small pictures with an official test part, such as CIFAR-10 kept as JPEG files; 50,000 of 32x32 take
    154 MB. Classes are numbered in alphabetical order of the folders in root/train. Pixels 0..255 are mapped to
    [-1, 1] by x / 127.5 - 1.

    Args:
        root: the folder that contains the folders train and test, relative to the working directory.
        image_size: height and width in pixels, at least 1.
        resize: scale the shorter side to `image_size` (bilinear with antialiasing).
        crop: keep the central square of `image_size`, after the resize if there is one. With neither, every image
            must have this size already.
        channels: 3 for colour, 1 for grey.
        convert: convert images of another colour mode instead of refusing them; transparency is dropped.
        flip: mirror every training image with probability 1/2.
        batch_size: real samples per draw over all processes together, at least 1.
        validation_size: held-out samples over all processes together, at least 1; beyond the size of the test part,
            drawn with replacement.
        num_workers: processes that make batches ahead of time, at least 0; the batches are the same for any number.
        seed: any integer; decides every draw.

    Raises:
        InvalidInputError: when a number is outside its range; from `setup` on, when a folder is missing or empty, an
            image is unreadable or of a wrong size or colour mode, the test part has a class that the training part has
            not, or there are fewer images than one batch.
    """

    def __init__(
        self,
        root: str,
        image_size: int,
        resize: bool = False,
        crop: bool = False,
        channels: int = 3,
        convert: bool = False,
        flip: bool = False,
        batch_size: int = 64,
        validation_size: int = 10_000,
        num_workers: int = 0,
        seed: int = 0,
    ) -> None:
        self._decoder = ImageDecoder(channels, convert, Framing(image_size, resize, crop))
        framed = Framing(image_size, False, False)  # the decoder has done it
        name = "The set of class folders"
        super().__init__(name, root, channels, framed, flip, batch_size, validation_size, num_workers, seed)

    @property
    def num_classes(self) -> int:
        """As many as there are folders in root/train."""
        return len(self._classes())

    def read_part(self, split: Split) -> LabelledPixels:
        """All images of a part in alphabetical order of their paths, with their labels."""
        classes = {name: label for label, name in enumerate(self._classes())}
        folder = self.root.resolve() / {Split.TRAINING: "train", Split.HELD_OUT: "test"}[split]
        paths = image_paths(folder)
        names = [_class_of(path, folder) for path in paths]
        for path, name in zip(paths, names, strict=True):
            require(
                name in classes,
                f"{path} belongs to no class: the classes are the folders in {self.root.resolve() / 'train'}, put the "
                "image into a folder named after one of them.",
            )
        check_files(paths, self._decoder, self._place()[0] == 0)
        return LabelledPixels(read_files(paths, self._decoder), torch.tensor([classes[name] for name in names]))

    def _classes(self) -> list[str]:
        folder = self.root.resolve() / "train"
        return sorted({_class_of(path, folder) for path in image_paths(folder)} - {""})


def _class_of(path: Path, folder: Path) -> str:
    """The first folder below, or nothing if the image lies in the folder itself."""
    return path.relative_to(folder).parts[0] if path.parent != folder else ""
