"""The progress bar."""

import time
from typing import Any, final

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ProgressBar
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

SHOWN = {"val/modes": "modes {:.0f}", "val/high_quality": "quality {:.3f}", "val/sliced_wasserstein2": "SW2 {:.3f}"}
"""Evaluation scores behind the bar, as far as there are any."""


@final
class StepProgress(ProgressBar):
    """One rich bar over the steps of the run, with steps per second and the scores of the last evaluation.

    Args:
        refresh_seconds: least time between two redraws, positive.
    """

    def __init__(self, refresh_seconds: float = 0.5) -> None:
        super().__init__()
        self._refresh_seconds = refresh_seconds
        self._progress: Progress | None = None
        self._task = TaskID(0)
        self._last_time, self._last_step = 0.0, 0
        self._enabled = True

    def disable(self) -> None:
        """Keep quiet, as Lightning asks on processes other than the first."""
        self._enabled = False

    def enable(self) -> None:
        """Draw again."""
        self._enabled = True

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the bar at the steps already made."""
        del pl_module
        if not self._enabled:
            return
        total = trainer.max_steps if trainer.max_steps > 0 else None
        columns = (BarColumn(None), MofNCompleteColumn(), TextColumn("{task.fields[scores]}"), TimeRemainingColumn())
        self._progress = Progress(*columns, expand=True, auto_refresh=False)
        self._progress.start()
        self._task = self._progress.add_task("", total=total, completed=trainer.global_step, scores="")
        self._last_time, self._last_step = time.monotonic(), trainer.global_step

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Redraw now and then."""
        del pl_module, outputs, batch, batch_idx
        now, steps = time.monotonic(), trainer.global_step
        if self._progress is not None and now - self._last_time >= self._refresh_seconds:
            speed = (steps - self._last_step) / (now - self._last_time)
            self._draw(trainer, f"{speed:.1f} steps/s")
            self._last_time, self._last_step = now, steps

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave the finished bar on the screen."""
        del pl_module
        self._draw(trainer, "done")
        self._stop()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Give the terminal back."""
        del trainer, pl_module, exception
        self._stop()

    def _draw(self, trainer: pl.Trainer, head: str) -> None:
        if self._progress is not None:
            scores = [
                form.format(float(trainer.callback_metrics[name]))
                for name, form in SHOWN.items()
                if name in trainer.callback_metrics
            ]
            self._progress.update(self._task, completed=trainer.global_step, scores="  ".join([head, *scores]))
            self._progress.refresh()

    def _stop(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
