"""The progress bar."""

from typing import final

import pytorch_lightning as pl
from pytorch_lightning.callbacks import RichProgressBar


@final
class Progress(RichProgressBar):
    """Lightning's rich bar over the steps of the run, with speed, modes and quality; no epochs, no version number."""

    def get_metrics(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """What stands behind the bar: the last evaluation's scores."""
        shown = super().get_metrics(trainer, pl_module)
        return {name.removeprefix("val/"): value for name, value in shown.items() if name != "v_num"}
