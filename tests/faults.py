"""Callbacks that do to a run what machines and people do, and how to start runs that suffer it."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from training import REPOSITORY


class SignalAt(pl.Callback):
    """Sends a signal to a process of the run, in the middle of one of its steps or evaluations.

    Args:
        step: steps made before.
        name: of the signal.
        rank: which process.
        evaluating: during the evaluation after that many steps instead.
    """

    def __init__(self, step: int, name: str = "SIGTERM", rank: int = 0, evaluating: bool = False) -> None:
        self._step, self._signal, self._rank, self._evaluating = step, signal.Signals[name], rank, evaluating

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """During a step."""
        if not self._evaluating:
            self._send(trainer)

    def on_validation_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        """During an evaluation."""
        if self._evaluating:
            self._send(trainer)

    def _send(self, trainer: pl.Trainer) -> None:
        if trainer.global_step == self._step and trainer.global_rank == self._rank:
            os.kill(os.getpid(), self._signal)


class SpoilAt(pl.Callback):
    """Makes parameters of the first generator NaN before a step, every time it comes there with too large a step size.

    Args:
        step: steps made before.
        above: only if the generators' step size is larger.
    """

    def __init__(self, step: int, above: float = 0.0) -> None:
        self._step, self._above = step, above

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """In place."""
        if trainer.global_step == self._step and _step_size(pl_module) > self._above:
            with torch.no_grad():
                next(iter(pl_module.profile(averaged=False).generators.params.values()))[0] = float("nan")


def _step_size(module: Any) -> float:
    return float(module._stepper.diagnostics()["generators/step_size"])


class FailAt(pl.Callback):
    """Fails in a step like the allocator of an accelerator, of the machine, or Python's.

    Args:
        step: steps made before.
        kind: which of the three.
    """

    def __init__(self, step: int, kind: str) -> None:
        self._step, self._kind = step, kind

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Raise."""
        errors = {
            "accelerator": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.\nMore of it."),
            "machine": RuntimeError("[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory"),
            "python": MemoryError(),
        }
        if trainer.global_step == self._step:
            raise errors[self._kind]


class RemoveAt(pl.Callback):
    """Removes a folder with all that is in it, or puts a file in its place.

    Args:
        step: steps made before.
        folder: the folder.
        replace: whether a file of the same name takes its place.
    """

    def __init__(self, step: int, folder: str, replace: bool = False) -> None:
        self._step, self._folder, self._replace = step, Path(folder), replace

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Gone."""
        if trainer.global_step == self._step:
            shutil.rmtree(self._folder)
            if self._replace:
                self._folder.touch()


def command(*words: str, processes: int = 1, strategy: str = "data_parallel") -> list[str]:
    """`train.py` as a user starts it."""
    several = [f"--trainer.devices={processes}", f"--trainer.strategy={strategy}"] if processes > 1 else []
    return [sys.executable, str(REPOSITORY / "train.py"), *words, *several]


def environment() -> dict[str, str]:
    """With this folder on the path, one thread per process."""
    paths = [str(REPOSITORY / "tests"), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}


def finished(*words: str, processes: int = 1, strategy: str = "data_parallel") -> subprocess.CompletedProcess[str]:
    """What such a run said, and its exit code; an error if it takes more than five minutes."""
    return subprocess.run(
        command(*words, processes=processes, strategy=strategy),
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
