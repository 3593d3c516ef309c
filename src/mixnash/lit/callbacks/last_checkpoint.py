"""last.ckpt, from which a run is resumed."""

from pathlib import Path
from typing import final

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint


@final
class LastCheckpoint(Checkpoint):
    """Writes checkpoints/last.ckpt after every evaluation and when training ends.

    Lightning's `save_last` writes it only together with a new best checkpoint, so that a run which stopped improving
    would be resumed from its best moment. List this callback after the others that save, or it misses what they know.
    """

    def __init__(self) -> None:
        self._step = -1

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
        self._step = trainer.global_step
        trainer.save_checkpoint(Path(trainer.default_root_dir) / "checkpoints" / "last.ckpt")
