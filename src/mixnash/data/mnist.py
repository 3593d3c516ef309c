"""The 70,000 handwritten digits of MNIST."""

from typing import final

from torchvision import datasets

from mixnash.data.idx_files import AbstractIdxSet


@final
class MNIST(AbstractIdxSet):
    """Grey 28x28 images of ten classes: 60,000 to train with, the official 10,000 test images held out.

    Pixels 0..255 are mapped to [-1, 1] by x / 127.5 - 1; background is -1. The files are those of torchvision, in
    root/MNIST/raw; a smaller set in the same layout is taken as it is.

    References:
        LeCun, Bottou, Bengio, Haffner, 1998, Gradient-based learning applied to document recognition, Proceedings of
        the IEEE 86(11).

    Args:
        root: the folder that contains the folder MNIST, relative to the working directory.
        download: fetch the files if they are missing, in one process of each machine.
        image_size: height and width in pixels, at least 28 unless resized; above, in a border of zeros.
        resize: scale to `image_size` instead of adding a border (bilinear with antialiasing).
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
        image_size: int = 28,
        resize: bool = False,
        batch_size: int = 64,
        validation_size: int = 10_000,
        num_workers: int = 0,
        seed: int = 0,
    ) -> None:
        kind = datasets.MNIST
        super().__init__(kind, root, download, image_size, resize, batch_size, validation_size, num_workers, seed)
