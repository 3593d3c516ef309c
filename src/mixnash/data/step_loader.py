"""Loaders over sequences that can start anywhere: training steps without end, chunks of held-out samples."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple, final

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from mixnash.core.errors import InvalidInputError


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


class _Refusal(NamedTuple):
    """What a worker sends instead of a batch: torch would wrap its error in two tracebacks."""

    sentence: str


@final
class _Steps(IterableDataset["Tensor | _Refusal"]):
    """Batches from a step on; with W workers, every worker makes each W-th of them and the loader takes turns.

    Args:
        batch: the batch of a step, a pure function.
    """

    def __init__(self, batch: Callable[[int], Tensor]) -> None:
        self.first = 0
        self._batch = batch

    def __iter__(self) -> Iterator[Tensor | _Refusal]:
        worker = get_worker_info()
        if worker is None:
            return map(self._batch, itertools.count(self.first))
        return map(self._tried, itertools.count(self.first + worker.id, worker.num_workers))

    def _tried(self, step: int) -> Tensor | _Refusal:
        try:
            return self._batch(step)
        except InvalidInputError as error:
            return _Refusal(str(error))


def _unchanged(batch: Any) -> Any:
    """What the loader does to a batch."""
    return batch


@final
class StepLoader(DataLoader["Tensor | _Refusal"]):
    """Endless training batches numbered by the step that consumes them; Lightning can save and restore its position.

    The position is what the trainer has *done*, not what was fetched, so batches fetched ahead of a checkpoint come
    again after it. One batch must serve one optimiser step.

    Args:
        batch: the batch of a step, a pure function.
        steps_done: how many steps the trainer has made.
        num_workers: processes that make batches ahead of time; 0 makes them in this one. The sequence is the same.

    Raises:
        InvalidInputError: in the process that iterates, when making a batch raised it, in a worker or not.
    """

    def __init__(self, batch: Callable[[int], Tensor], steps_done: Callable[[], int], num_workers: int = 0) -> None:
        self._steps = _Steps(batch)
        self._steps_done = steps_done
        self._restored: int | None = None
        # With a generator of its own, starting a pass draws nothing from the global one.
        super().__init__(
            self._steps,
            batch_size=None,
            num_workers=num_workers,
            collate_fn=_unchanged,
            generator=torch.Generator(),
        )

    def __iter__(self) -> Iterator[Tensor]:  # type: ignore[override]
        # Settled here and not in the workers, which are copies that cannot reset the restored position.
        self._steps.first = self._next_step()
        self._restored = None
        return map(_batch_or_error, super().__iter__())

    def _next_step(self) -> int:
        return self._steps_done() if self._restored is None else self._restored

    def state_dict(self) -> dict[str, int]:
        """The step whose batch comes next if training goes on from here."""
        return {"step": self._next_step()}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Start the next pass at the saved step."""
        self._restored = state["step"]


def _batch_or_error(one: Tensor | _Refusal) -> Tensor:
    if isinstance(one, _Refusal):
        raise InvalidInputError(one.sentence)
    return one


def chunk_loader(chunks: Sequence[Tensor]) -> DataLoader[Tensor]:
    """A loader of the given tensors, one after the other, the same at every pass."""
    return DataLoader(Passes(partial(iter, chunks)), batch_size=None, num_workers=0, generator=torch.Generator())
