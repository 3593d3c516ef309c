"""TensorBoard without what means nothing here."""

from collections.abc import Mapping
from pathlib import Path
from typing import final

from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.utilities import rank_zero_only


@final
class StepTensorBoardLogger(TensorBoardLogger):
    """Writes into the run folder itself and leaves out the epoch, of which there is only one.

    Args:
        folder: the run's folder.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder), name="", version="", default_hp_metric=False)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Scalars over the number of steps made; `step` is the index of the last one, counted from 0."""
        kept = {name: value for name, value in metrics.items() if name != "epoch"}
        super().log_metrics(kept, None if step is None else step + 1)
