"""Small handwritten digits that come with scikit-learn, so that images need no download."""

from typing import final

import torch
from jaxtyping import Float
from sklearn.datasets import load_digits
from torch import Tensor

from mixnash.core.random import Purpose
from mixnash.data.labelled_images import AbstractLabelledImages, LabelledImages, Split
from mixnash.data.sources import ShuffledSet, data_stream


@final
class Digits(AbstractLabelledImages):
    """The 1,797 grey 8x8 digits of scikit-learn, values 0..16 scaled to [-1, 1]; every tenth image is held out.

    Training reads the other 1,617 in a new order every epoch.

    References:
        Alpaydin, Kaynak, 1998, Optical recognition of handwritten digits, UCI machine learning repository (its test
        part, which scikit-learn ships).

    Args:
        batch_size: real samples per draw over all processes together, at least 1.
        validation_size: held-out samples over all processes together, at least 1; there are 180 different ones.
        seed: any integer; decides every draw.

    Raises:
        InvalidInputError: when a size is below 1.
    """

    def __init__(self, batch_size: int = 256, validation_size: int = 10_000, seed: int = 0) -> None:
        super().__init__(batch_size, validation_size, seed)
        digits = load_digits()
        images = torch.as_tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 8 - 1  # [1797, 1, 8, 8]
        labels = torch.as_tensor(digits.target, dtype=torch.int64)
        is_held_out = torch.arange(len(images)) % 10 == 0
        self._labelled = {
            Split.TRAINING: LabelledImages(images[~is_held_out], labels[~is_held_out]),
            Split.HELD_OUT: LabelledImages(images[is_held_out], labels[is_held_out]),
        }
        self._held_out = self._labelled[Split.HELD_OUT].images
        self._training = ShuffledSet(self._labelled[Split.TRAINING].images, seed)

    @property
    def event_shape(self) -> tuple[int, int, int]:
        """One channel of 8x8."""
        return (1, 8, 8)

    @property
    def num_classes(self) -> int:
        """Ten."""
        return 10

    def labelled(self, split: Split) -> LabelledImages:
        """All images of a part in scikit-learn's order, with their labels."""
        return self._labelled[split]

    def training_draws(self, step: int, count: int) -> Float[Tensor, "count 1 8 8"]:
        """The images of a step."""
        return self._training.draws(step, count)

    def held_out(self, count: int) -> Float[Tensor, "count 1 8 8"]:
        """Different held-out images up to 180; beyond that, draws with replacement."""
        rng, size = data_stream(self.seed, Purpose.HELD_OUT), len(self._held_out)
        if count <= size:
            return self._held_out[torch.randperm(size, generator=rng)[:count]]
        return self._held_out[torch.randint(size, (count,), generator=rng)]
