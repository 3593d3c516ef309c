"""The user's own pictures, in any folders and without labels."""

from typing import final

from mixnash.data.file_sets import FilePixels, check_fraction, image_paths, split_by_name
from mixnash.data.image_checks import ImageDecoder, check_files
from mixnash.data.image_sets import AbstractImageSet, PixelSplits
from mixnash.data.transforms import Framing


@final
class ImageFolder(AbstractImageSet):
    """All png, jpg, jpeg, webp and bmp files below a folder; names of folders mean nothing.

    Files are decoded when a batch needs them; their headers are checked before training, which takes about 10 s for
    100,000 files. Pixels 0..255 are mapped to [-1, 1] by x / 127.5 - 1.

    Args:
        root: the folder, relative to the working directory.
        image_size: height and width in pixels, at least 1.
        resize: scale the shorter side to `image_size` (bilinear with antialiasing).
        crop: keep the central square of `image_size`, after the resize if there is one. With neither, every image
            must have this size already.
        channels: 3 for colour, 1 for grey.
        convert: convert images of another colour mode instead of refusing them; transparency is dropped.
        flip: mirror every training image with probability 1/2.
        held_out_fraction: share of the images that training does not see, above 0 and below 1; at least one image.
            Files are told apart, not what is in them: a copy of a held-out image may be trained on.
        split_seed: any integer; decides which images these are, so that all seeds of a run hold out the same. They
            are drawn by their paths below the root: a file more or less moves at most one image to the other part.
        batch_size: real samples per draw over all processes together, at least 1.
        validation_size: held-out samples over all processes together, at least 1; beyond the number of held-out
            images, drawn with replacement.
        num_workers: processes that make batches ahead of time, at least 0; the batches are the same for any number.
        seed: any integer; decides every draw.

    Raises:
        InvalidInputError: when a number is outside its range; from `setup` on, when the folder is missing or empty, an
            image is unreadable or of a wrong size or colour mode, or there are fewer images than one batch.
    """

    def __init__(
        self,
        root: str,
        image_size: int,
        resize: bool = True,
        crop: bool = True,
        channels: int = 3,
        convert: bool = False,
        flip: bool = False,
        held_out_fraction: float = 0.1,
        split_seed: int = 0,
        batch_size: int = 64,
        validation_size: int = 10_000,
        num_workers: int = 0,
        seed: int = 0,
    ) -> None:
        check_fraction(held_out_fraction)
        self._decoder = ImageDecoder(channels, convert, Framing(image_size, resize, crop))
        shape = (channels, image_size, image_size)
        super().__init__("The folder of images", root, shape, flip, batch_size, validation_size, num_workers, seed)
        self._held_out_fraction, self._split_seed = held_out_fraction, split_seed

    def load(self) -> PixelSplits:
        """The files of both parts, after a look at every header."""
        paths = image_paths(self.root)
        check_files(paths, self._decoder, self._place()[0] == 0)
        root = self.root.resolve()
        names = [path.relative_to(root).as_posix() for path in paths]
        training, held_out = split_by_name(names, self._held_out_fraction, self._split_seed)
        return PixelSplits(
            FilePixels([paths[place] for place in training.tolist()], self._decoder),
            FilePixels([paths[place] for place in held_out.tolist()], self._decoder),
        )
