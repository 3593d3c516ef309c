"""Named parts of a step, for profilers; they cost next to nothing while nobody profiles."""

from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import final

import torch
from torch.profiler import record_function

PREFIX = "mixnash/"
"""What the names of all sections begin with in a trace."""

_NOTHING = nullcontext()


@final
class _Section:
    """A range in the trace that ends when the device has done what was asked of it within."""

    def __init__(self, name: str) -> None:
        self._range = record_function(PREFIX + name)

    def __enter__(self) -> None:
        _finish()
        self._range.__enter__()  # type: ignore[no-untyped-call]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _finish()
        self._range.__exit__(kind, error, trace)


def section(name: str) -> AbstractContextManager[None]:
    """A part of a step; nested parts are told apart by who reads the trace.

    While a profiler records, GPUs are waited for at both ends, so that the time between them is the part's own.

    Args:
        name: short, the same for all parts that are to be added up.
    """
    # An open range costs some 4 microseconds even if nobody profiles, this question a tenth of one.
    return _Section(name) if torch.autograd._profiler_enabled() else _NOTHING  # type: ignore[attr-defined]


def _finish() -> None:
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.synchronize()
