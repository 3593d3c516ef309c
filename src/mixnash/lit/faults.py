"""What the machine does to a run, as one sentence each: no memory, no room on the disk, lost data or processes."""

import os
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.distributed as dist

from mixnash.core.errors import InvalidInputError, MixnashError, ProcessLostError, RunFailedError
from mixnash.lit.parallel.collectives import answered

FAULTS = (OSError, MemoryError, RuntimeError, ValueError)
"""What Python and torch raise for faults of the machine; other errors are faults of the code."""

_LESS_MEMORY = (
    "Let a step take less at once with --model.memory_limit GIB, which gives the same result in more parts; or lower "
    "data.batch_size, model.generator_samples, model.num_generators or model.num_critics; or share the particles out "
    "with --trainer.strategy particle_parallel and more --trainer.devices."
)


def failure_of(error: Exception, folder: Path | None, has_begun: bool) -> MixnashError | None:
    """The sentence behind an error; None if it says one itself, or is no fault of the machine or of the user.

    Args:
        error: what was raised.
        folder: of the run, if it has one.
        has_begun: whether training had started: from then on, bad input is a failed run.
    """
    causes = list(causes_of(error))
    for cause in causes:
        if isinstance(cause, InvalidInputError) and has_begun:
            return RunFailedError(f"The run stopped. {cause} {resume_advice(folder)}")
        if isinstance(cause, MixnashError):
            return None if cause is error else cause
    for cause in causes:
        if is_out_of_memory(cause):
            return RunFailedError(f"A step does not fit into memory ({_first_line(cause)}). {_LESS_MEMORY}")
        if _is_lost_process(cause):
            return _lost(cause)
        if isinstance(cause, OSError):
            return RunFailedError(
                f"A file cannot be written or read ({_first_line(cause)}): make room on the disk, or see what became "
                f"of the folder. {resume_advice(folder)}"
            )
        if "DataLoader worker" in str(cause) and isinstance(cause, RuntimeError):
            return RunFailedError(
                f"A process that makes batches ended ({_first_line(cause)}): if memory ran out, lower "
                f"data.num_workers. {resume_advice(folder)}"
            )
    return None


def resume_advice(folder: Path | None) -> str:
    """How to go on after a failure."""
    if folder is None or not any((folder / "checkpoints").glob("*.ckpt")):
        return "There is no checkpoint yet: start anew."
    return f"Checkpoints written before are intact: continue with --resume {folder}."


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an accelerator's or the machine's memory did not suffice."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(
        words in str(error) for words in ("can't allocate memory", "not enough memory", "out of memory")
    )


def causes_of(error: BaseException) -> Iterator[BaseException]:
    """An error, what it came from, what that came from, and so on; each once.

    Who keeps an error and raises it again, as TensorBoard's writer does, can close the chain to a circle.
    """
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__


def _is_lost_process(error: BaseException) -> bool:
    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error))


def _lost(error: BaseException) -> ProcessLostError:
    """The sentence of an exchange that did not go through ours, such as those of metrics."""
    try:
        with answered():
            raise error
    except ProcessLostError as lost:
        return lost


def _first_line(error: BaseException) -> str:
    text = str(error)
    if isinstance(error, OSError) and isinstance(error.filename, bytes):
        text = str(OSError(error.errno, error.strerror, os.fsdecode(error.filename)))
    return (text.strip().splitlines() or [type(error).__name__])[0][:200]
