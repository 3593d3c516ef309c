"""What metrics are told about samples: pixels or coordinates, and for images features and logits, extracted once."""

from collections.abc import Callable, Sequence
from typing import final

import torch
from jaxtyping import Bool
from torch import Tensor

from mixnash.core.errors import require
from mixnash.data.base import AbstractImageData
from mixnash.data.distinct import first_places
from mixnash.metrics.features.base import AbstractExtractor, Extracted, extract

LEAST_IMAGES = 6
"""Images on a side of scores by neighbours, whose balls reach to the fifth other one."""
_LOOKED_AT = 64
"""Held-out images that are looked at first for different ones: to read all may take long."""


def observation(
    samples: Tensor, reference: Tensor, seen: Extracted | None, real: Extracted | None
) -> dict[str, Tensor]:
    """Keyword arguments for `MetricCollection.update`, of which every metric takes what it asks for.

    Args:
        samples: generated ones [n, *event].
        reference: held-out ones [n, *event].
        seen: what an extractor says about the samples, if there is one.
        real: what it says about different ones of the reference.
    """
    told = {"samples": samples.flatten(1), "reference": reference.flatten(1)}
    for name, side in (("", seen), ("reference_", real)):
        if side is not None:
            told[f"{name}features"] = side.features
            if side.logits is not None:
                told[f"{name}logits"] = side.logits
    return told


@final
class Observer:
    """Sees the batches of one evaluation after another; the features of held-out batches, always the same, are kept.

    Of held-out images that come several times one is looked at: copies have neighbours at distance 0, which would
    spoil every measure by neighbours.

    Args:
        extractor: for images; None for points.
        are_first: `first_of_validation` of the data, where a batch is not all there is: copies may be in other batches
            and processes. Asked for once; if None, each batch is looked through on its own.
    """

    def __init__(
        self, extractor: AbstractExtractor | None, are_first: Callable[[], Sequence[Bool[Tensor, " n"]]] | None = None
    ) -> None:
        self._extractor, self._are_first = extractor, are_first
        self._rows: Sequence[Bool[Tensor, " n"]] | None = None
        self._kept: dict[int, tuple[Tensor, Extracted]] = {}

    def __call__(self, samples: Tensor, reference: Tensor, index: int) -> dict[str, Tensor]:
        """The `observation` of samples and the held-out batch of that number."""
        if self._extractor is None:
            return observation(samples, reference, None, None)
        extractor = self._extractor.to(samples.device)
        seen = extract(extractor, samples)
        kept = self._kept.get(index)
        if kept is None or not torch.equal(kept[0], reference):
            different = reference[self._different(reference, index)]
            # A batch may hold nothing but copies of images in others; it then adds no rows, as wide as all others.
            real = extract(extractor, different) if len(different) else _none_like(seen)
            kept = reference, real
            self._kept[index] = kept
        return observation(samples, reference, seen, kept[1])

    def _different(self, reference: Tensor, index: int) -> Tensor:
        """Which images of a held-out batch are to be looked at."""
        if self._are_first is None:
            return first_places(reference)
        if self._rows is None:
            self._rows = self._are_first()
        return self._rows[index].to(reference.device)


def first_of_validation(data: AbstractImageData) -> tuple[Bool[Tensor, " n"], ...]:
    """For each batch of this process, which held-out images are no copies of any before, those of all processes."""
    held_out = data.held_out(data.validation_size)
    is_first = torch.zeros(len(held_out), dtype=torch.bool)
    is_first[first_places(held_out)] = True
    return data.validation_chunks(is_first)


def check_held_out(data: AbstractImageData, count: int) -> None:
    """Refuse held-out images among which neighbours cannot be found.

    Args:
        data: what is scored.
        count: how many held-out images are drawn.

    Raises:
        InvalidInputError: when fewer than `LEAST_IMAGES` of them differ.
    """
    some = len(first_places(data.held_out(min(count, _LOOKED_AT))))
    found = some if some >= LEAST_IMAGES or count <= _LOOKED_AT else len(first_places(data.held_out(count)))
    require(
        found >= LEAST_IMAGES,
        f"Scores of images need at least {LEAST_IMAGES} different held-out images, found {found} among {count}: ask "
        "for more of them, validation_size in a configuration and --num_samples on the command line, or hold out more "
        "images.",
    )


def _none_like(seen: Extracted) -> Extracted:
    return Extracted(seen.features[:0], None if seen.logits is None else seen.logits[:0])
