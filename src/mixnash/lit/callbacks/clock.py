"""How long training itself has taken."""

import time
from typing import Any, final

import pytorch_lightning as pl

from mixnash.core.errors import require


@final
class TrainingClock(pl.Callback):
    """Logs `time/training_seconds` at every evaluation, with nothing but training steps in it; survives resuming.

    On accelerators that run ahead of Python it is exact only over many steps.
    """

    def __init__(self) -> None:
        self._seconds = 0.0
        self._start = 0.0

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Start counting."""
        del trainer, pl_module, batch, batch_idx
        self._start = time.perf_counter()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop counting."""
        del trainer, pl_module, outputs, batch, batch_idx
        self._seconds += time.perf_counter() - self._start

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the sum."""
        if trainer.state.fn == "fit":
            pl_module.log("time/training_seconds", self._seconds)

    def state_dict(self) -> dict[str, float]:
        """The sum, for checkpoints."""
        return {"seconds": self._seconds}

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        """Go on from a checkpoint's sum."""
        self._seconds = state_dict["seconds"]


@final
class TrainingTimeLimit(pl.Callback):
    """Ends the run at the first evaluation after so much logged training time; needs a `TrainingClock` before it.

    Unlike Lightning's `max_time` it does not count evaluation and pictures, so runs can be compared at equal cost.

    Args:
        seconds: limit, positive.

    Raises:
        InvalidInputError: when the limit is not positive.
    """

    def __init__(self, seconds: float) -> None:
        require(seconds > 0, f"The limit of the training time must be positive, found {seconds}.")
        self._limit = seconds

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Ask the trainer to stop."""
        del pl_module
        if float(trainer.callback_metrics.get("time/training_seconds", 0.0)) >= self._limit:
            trainer.should_stop = True
