"""Loaders over sequences that can start anywhere: training steps without end, chunks of held-out samples."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import final

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset


@final
class Passes(IterableDataset[Tensor]):
    """A sequence of finished batches, started afresh at every pass; Lightning gives such data no sampler of its own.

    Args:
        start: begins a pass.
    """

    def __init__(self, start: Callable[[], Iterator[Tensor]]) -> None:
        self._start = start

    def __iter__(self) -> Iterator[Tensor]:
        return self._start()


@final
class StepLoader(DataLoader[Tensor]):
    """Endless training batches numbered by the step that consumes them; Lightning can save and restore its position.

    The position is what the trainer has *done*, not what was fetched, so batches fetched ahead of a checkpoint come
    again after it. One batch must serve one optimiser step.

    Args:
        batch: the batch of a step, a pure function.
        steps_done: how many steps the trainer has made.
    """

    def __init__(self, batch: Callable[[int], Tensor], steps_done: Callable[[], int]) -> None:
        self._batch = batch
        self._steps_done = steps_done
        self._restored: int | None = None
        # With a generator of its own, starting a pass draws nothing from the global one.
        super().__init__(Passes(self._start), batch_size=None, num_workers=0, generator=torch.Generator())

    def _start(self) -> Iterator[Tensor]:
        first = self._next_step()
        self._restored = None
        return map(self._batch, itertools.count(first))

    def _next_step(self) -> int:
        return self._steps_done() if self._restored is None else self._restored

    def state_dict(self) -> dict[str, int]:
        """The step whose batch comes next if training goes on from here."""
        return {"step": self._next_step()}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Start the next pass at the saved step."""
        self._restored = state["step"]


def chunk_loader(chunks: Sequence[Tensor]) -> DataLoader[Tensor]:
    """A loader of the given tensors, one after the other, the same at every pass."""
    return DataLoader(Passes(partial(iter, chunks)), batch_size=None, num_workers=0, generator=torch.Generator())
