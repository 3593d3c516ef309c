"""Pictures in TensorBoard while a run trains."""

from typing import final

import pytorch_lightning as pl
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.utilities import rank_zero_only

from mixnash.core.errors import require
from mixnash.figures.encode import to_rgb
from mixnash.lit.base import AbstractGAN
from mixnash.lit.portraits import portraits


@final
class Pictures(pl.Callback):
    """Draws samples, critic, payoffs and weights after every n-th evaluation, the first and the last included.

    Args:
        every_n_evaluations: n >= 1.

    Raises:
        InvalidInputError: when n is below 1.
    """

    def __init__(self, every_n_evaluations: int = 1) -> None:
        require(every_n_evaluations >= 1, f"every_n_evaluations must be at least 1, found {every_n_evaluations}.")
        self._every, self._seen = every_n_evaluations, 0

    def state_dict(self) -> dict[str, int]:
        """The evaluations seen, for checkpoints."""
        return {"seen": self._seen}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Go on counting from a checkpoint."""
        self._seen = state_dict["seen"]

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw and log, on the first process."""
        self._seen += 1
        assert isinstance(pl_module, AbstractGAN)
        loggers = [logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
        due = (self._seen - 1) % self._every == 0 or trainer.global_step == trainer.max_steps
        if not loggers or not due or trainer.sanity_checking:
            return
        with pl_module.whole():
            self._draw(trainer, pl_module, loggers)

    @rank_zero_only
    def _draw(self, trainer: pl.Trainer, pl_module: AbstractGAN, loggers: list[TensorBoardLogger]) -> None:
        figures = portraits(pl_module, pl_module.datamodule)
        log_weights = pl_module.profile(averaged=True).generators.log_weights
        for logger in loggers:
            for name, figure in figures.items():
                logger.experiment.add_image(f"pictures/{name}", to_rgb(figure), trainer.global_step, dataformats="HWC")
            logger.experiment.add_histogram("weights/generators", log_weights.exp(), trainer.global_step)
