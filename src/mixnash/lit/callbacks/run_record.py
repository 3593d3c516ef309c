"""What a run was started with, in its folder and in each of its checkpoints."""

from typing import Any, final

import pytorch_lightning as pl
from pytorch_lightning.cli import SaveConfigCallback

from mixnash.lit.checkpoints import CONFIG


@final
class RunRecord(SaveConfigCallback):
    """Writes config.yaml and puts the same text into checkpoints, so that one file is enough to evaluate."""

    _text: str | None = None

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add the configuration."""
        del trainer, pl_module
        if self._text is None:  # the configuration does not change, and writing it out takes a while
            self._text = self.parser.dump(self.config, skip_unset=False)
        checkpoint[CONFIG] = self._text
