"""SIGTERM and SIGINT end a run in good order."""

import os
import signal
import threading
import time
from types import FrameType
from typing import Any, final

import pytorch_lightning as pl
from pytorch_lightning.strategies import DDPStrategy
from pytorch_lightning.strategies.launchers import _SubprocessScriptLauncher

from mixnash.lit.callbacks.run_state import RunState
from mixnash.lit.parallel.agreement import PATIENCE, StopAgreement

SIGNALS = (signal.SIGTERM, signal.SIGINT)
SAME = 1.0
"""Seconds within which a signal that comes twice counts once: `timeout` sends to the process and to its group."""


@final
class StopSignals(pl.Callback):
    """Finishes the step when SIGTERM or SIGINT arrives, so that training ends as it does after its last step.

    Whatever saves at the end of training, saves then. An evaluation that has begun is finished first, and one that is
    due after this step is made, so that the resumed run is the run without interruption; no other evaluation is made.
    The same signal once more, a second later or after that, ends the process at once.

    Of several processes, all stop after the same step, although only one may have been told. A signal that comes
    while the last step is made or later changes nothing: the run is finished.
    """

    def __init__(self) -> None:
        self.has_begun = False
        """Whether training has started."""
        self.stopped_by: signal.Signals | None = None
        """The signal that ended training before its last step."""
        self._noted: dict[int, float] = {}
        self._before: dict[signal.Signals, Any] = {}
        self._agreement: StopAgreement | None = None
        self._launcher: object = None
        self._is_first = True

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Remember who handled signals before Lightning did."""
        del trainer, pl_module, stage
        self._before = {one: signal.getsignal(one) for one in SIGNALS}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take over from the handlers that Lightning has just registered."""
        del pl_module
        self.has_begun = True
        self._launcher, self._is_first = trainer.strategy.launcher, trainer.is_global_zero
        if trainer.world_size > 1:
            strategy = trainer.strategy
            patience = strategy._timeout if isinstance(strategy, DDPStrategy) else None
            self._agreement = StopAgreement(patience or PATIENCE)
            # Before every step Lightning has the first process tell all others whether it got a signal, and they wait
            # for the answer, on accelerators until all work is done. The agreement takes its place.
            trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = _nothing  # type: ignore[method-assign]
        if threading.current_thread() is threading.main_thread():  # others may not
            for one in SIGNALS:
                signal.signal(one, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        now = time.monotonic()
        first = self._noted.setdefault(number, now)
        if first == now:
            if self._is_first:
                name = signal.Signals(number).name
                os.write(2, f"{name}: the run ends after this step; once more ends it at once.\n".encode())
        elif now - first >= SAME:
            self._end_at_once(number)

    def _end_at_once(self, number: int) -> None:
        if isinstance(self._launcher, _SubprocessScriptLauncher):
            self._launcher.kill(signal.SIGKILL)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop after this step if it was asked for."""
        del pl_module, outputs, batch, batch_idx
        asked = max(self._noted, default=0)
        if self._agreement is not None:
            asked = self._agreement.exchange(asked)
        if asked:
            self._stop(trainer, signal.Signals(asked))
            # Lightning evaluates whenever it is told to stop.
            every = trainer.val_check_batch
            if not isinstance(every, int) or trainer.global_step % every != 0:
                trainer.limit_val_batches = 0

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop after this evaluation, without another step, if a lonely process was asked to meanwhile."""
        del pl_module
        if self._noted and self._agreement is None and self.has_begun:
            self._stop(trainer, signal.Signals(max(self._noted)))

    def _stop(self, trainer: pl.Trainer, number: signal.Signals) -> None:
        if 0 <= trainer.max_steps <= trainer.global_step:
            return
        self.stopped_by = number
        trainer.should_stop = True
        trainer.fit_loop.min_epochs = 0  # or Lightning trains on until it has made that many
        trainer.fit_loop.epoch_loop.min_steps = None
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, RunState):
                callback.stopped_by(number.name)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Receive what the others said last. Lightning gives the old handlers back when everything is saved."""
        del trainer, pl_module
        if self._agreement is not None:
            self._agreement.finish()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Give the old handlers back: after an error, Lightning may not come to it."""
        del trainer, pl_module, exception
        if self.has_begun and threading.current_thread() is threading.main_thread():
            for one, handler in self._before.items():
                signal.signal(one, handler)


def _nothing() -> None:
    """In place of a broadcast."""
