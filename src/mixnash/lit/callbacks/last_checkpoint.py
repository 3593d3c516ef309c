"""last.ckpt, from which a run is resumed."""

from pathlib import Path
from typing import Any, final

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint

from mixnash.core.errors import require
from mixnash.lit.checkpoint_plugin import LAST


@final
class LastCheckpoint(Checkpoint):
    """Writes checkpoints/last.ckpt after every evaluation and when training ends, and between evaluations if asked to.

    The one before stays beside it as previous.ckpt. Lightning's `save_last` writes only together with a new best
    checkpoint, so that a run which stopped improving would be resumed from its best moment. List this callback after
    the others that save, or it misses what they know.

    Args:
        every_n_steps: steps between further checkpoints, at least 1: a run that is killed loses at most the steps since
            the last one. None for those of evaluations only.

    Raises:
        InvalidInputError: when the interval is not positive.
    """

    def __init__(self, every_n_steps: int | None = None) -> None:
        require(
            every_n_steps is None or every_n_steps >= 1,
            f"every_n_steps must be at least 1, or null for checkpoints after evaluations only, found {every_n_steps}.",
        )
        self._every = every_n_steps
        self._step = -1

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save between evaluations."""
        del pl_module, outputs, batch, batch_idx
        if self._every is None or trainer.global_step % self._every or self._is_evaluation_next(trainer):
            return
        if trainer.global_step != trainer.max_steps:  # the end saves
            self._save(trainer)

    @staticmethod
    def _is_evaluation_next(trainer: pl.Trainer) -> bool:
        """A run resumed from before an evaluation of the same step would leave the evaluation out."""
        every = trainer.val_check_batch
        return trainer.enable_validation and every is not None and trainer.global_step % every == 0

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save where training is."""
        del pl_module
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self._save(trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save the steps after the last evaluation."""
        del pl_module
        if trainer.global_step != self._step:
            self._save(trainer)

    def _save(self, trainer: pl.Trainer) -> None:
        if trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        trainer.save_checkpoint(Path(trainer.default_root_dir) / "checkpoints" / LAST)
        self._step = trainer.global_step
