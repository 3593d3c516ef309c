"""Where training samples come from: fresh draws at every step, or a fixed set in a new order every epoch."""

import abc
from collections.abc import Callable
from typing import TypeAlias, final

import torch
from jaxtyping import Int64, Shaped
from torch import Tensor

from mixnash.core.errors import require
from mixnash.core.random import Purpose, stream

Law: TypeAlias = Callable[[int, torch.Generator], Tensor]
"""A probability law: a count and a generator give independent samples [count, *event]."""


def data_stream(seed: int, purpose: Purpose, index: int = 0) -> torch.Generator:
    """The CPU generator of one purpose; `index` counts steps or epochs."""
    return stream(torch.device("cpu"), seed, purpose, index)


class AbstractSource(abc.ABC):
    """Training samples by step, with random access."""

    @abc.abstractmethod
    def draws(self, step: int, count: int) -> Shaped[Tensor, "count *event"]:
        """The samples of a step [count, *event]; `count` must be the same at every step."""


@final
class FreshDraws(AbstractSource):
    """Independent draws from a law, never repeated.

    Args:
        law: what to draw from.
        seed: any integer.
    """

    def __init__(self, law: Law, seed: int) -> None:
        self._law, self._seed = law, seed

    def draws(self, step: int, count: int) -> Shaped[Tensor, "count *event"]:
        """Samples from the stream of this step."""
        return self._law(count, data_stream(self._seed, Purpose.TRAINING, step))


@final
class ShuffledSet(AbstractSource):
    """A fixed set, read in a random order that changes every epoch; an epoch may end within a step.

    Args:
        samples: the set [n, *event].
        seed: any integer; gives the orders.
    """

    def __init__(self, samples: Shaped[Tensor, "n *event"], seed: int) -> None:
        self._samples, self._seed = samples, seed
        self._latest = (-1, torch.empty(0, dtype=torch.int64))

    def draws(self, step: int, count: int) -> Shaped[Tensor, "count *event"]:
        """Places step * count to (step + 1) * count of the endless sequence of epochs."""
        size = len(self._samples)
        start, stop = step * count, (step + 1) * count
        places = [
            self._order(epoch)[max(start - epoch * size, 0) : stop - epoch * size]
            for epoch in range(start // size, (stop - 1) // size + 1)
        ]
        return self._samples[torch.cat(places)]

    def _order(self, epoch: int) -> Int64[Tensor, " n"]:
        """The permutation of an epoch; the latest is kept, as drawing 100,000 places takes 2 ms."""
        if self._latest[0] != epoch:
            rng = data_stream(self._seed, Purpose.ORDER, epoch)
            self._latest = (epoch, torch.randperm(len(self._samples), generator=rng))
        return self._latest[1]


def law_source(law: Law, fixed_size: int | None, seed: int) -> AbstractSource:
    """Fresh draws from a law, or a set of `fixed_size` draws made once from the seed.

    Raises:
        InvalidInputError: when `fixed_size` is an integer below 1.
    """
    if fixed_size is None:
        return FreshDraws(law, seed)
    require(fixed_size >= 1, f"A fixed data set needs at least one point, found fixed_size={fixed_size}.")
    return ShuffledSet(law(fixed_size, data_stream(seed, Purpose.FIXED_SET)), seed)
