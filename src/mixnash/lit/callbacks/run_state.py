"""Tells others what the run is doing."""

import os
import signal
import socket
import time
import warnings
from pathlib import Path
from typing import Any, final

import pytorch_lightning as pl
from pytorch_lightning.utilities.exceptions import SIGTERMException

from mixnash.core.errors import InvalidInputError, MixnashError
from mixnash.lit.run_status import RunStatus, State, better, is_figure, now, read_status, write_status

HEARTBEAT = 5.0
"""Least seconds between two writes while nothing but the step changes. Not only at log steps, which may be hours apart:
others take a run that is silent for long for dead."""


@final
class RunState(pl.Callback):
    """Keeps RUN_DIR/status.json, which `mixnash runs` and `mixnash follow` read; only the first process writes.

    It is written when training starts, after steps (at most every five seconds), after evaluations and at the end,
    each time replacing the file at once. A run that was killed still says that it is running; whoever reads sees that
    its process is gone. When the file cannot be written, the run goes on and says so once.

    A resumed run keeps the time of its start and its best figures.
    """

    def __init__(self) -> None:
        self._status: RunStatus | None = None
        self._stopped_by = ""
        self._last_write = 0.0
        self._has_warned = False

    def stopped_by(self, name: str) -> None:
        """Say, before training ends in good order, that a signal is why.

        Args:
            name: of the signal, such as "SIGTERM".
        """
        self._stopped_by = name

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The run begins, or goes on."""
        del pl_module
        if not trainer.is_global_zero or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        try:
            before = read_status(Path(trainer.default_root_dir))
        except InvalidInputError:  # a damaged file is replaced
            before = None
        start = now()
        self._status = RunStatus(
            State.RUNNING,
            "",
            trainer.global_step,
            trainer.max_steps,
            start if before is None else before.started,
            start,
            os.getpid(),
            socket.gethostname(),
            trainer.world_size,
            {} if before is None else before.best,
        )
        self._write(trainer)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Show that the run is alive."""
        del pl_module, outputs, batch, batch_idx
        if time.monotonic() - self._last_write >= HEARTBEAT:
            self._write(trainer)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the best figures."""
        del pl_module
        if self._status is not None and not trainer.sanity_checking:
            found = {name: float(value) for name, value in trainer.callback_metrics.items() if is_figure(name)}
            self._status = self._status._replace(best=better(self._status.best, found))
            self._write(trainer)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The last checkpoint is written."""
        del pl_module
        self._end(trainer, State.STOPPED if self._stopped_by else State.FINISHED, self._stopped_by)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """The run ends otherwise."""
        del pl_module
        name = self._stopped_by or _signal_behind(exception)
        self._end(trainer, State.STOPPED if name else State.FAILED, name or _sentence(exception))

    def _end(self, trainer: pl.Trainer, state: State, reason: str) -> None:
        if self._status is not None:
            self._status = self._status._replace(state=state, reason=reason)
            self._write(trainer)

    def _write(self, trainer: pl.Trainer) -> None:
        if self._status is None:
            return
        self._status = self._status._replace(step=trainer.global_step, updated=now())
        self._last_write = time.monotonic()
        try:
            write_status(Path(trainer.default_root_dir), self._status)
        except InvalidInputError as error:
            if not self._has_warned:
                self._has_warned = True
                warnings.warn(
                    f"The run goes on, but others cannot see how it is doing: status.json cannot be written "
                    f"({error.__cause__}).",
                    stacklevel=2,
                )


def _signal_behind(exception: BaseException) -> str:
    """The name of the signal that an exception stands for; empty if none."""
    if isinstance(exception, KeyboardInterrupt):
        return signal.SIGINT.name
    if isinstance(exception, SIGTERMException):
        return signal.SIGTERM.name
    if isinstance(exception, SystemExit):
        names = {128 + one: one.name for one in (signal.SIGTERM, signal.SIGINT)}
        return names.get(exception.code, "") if isinstance(exception.code, int) else ""
    return ""


def _sentence(exception: BaseException) -> str:
    """The first line of what it says, behind its kind if it is none of ours."""
    text = (str(exception).strip().splitlines() or [""])[0]
    return text if isinstance(exception, MixnashError) else f"{type(exception).__name__}: {text}".rstrip(": ")
