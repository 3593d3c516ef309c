"""What a step takes, before it takes it."""

from typing import final

import pytorch_lightning as pl
from pytorch_lightning.utilities import rank_zero_only

from mixnash.lit.base import AbstractGAN
from mixnash.lit.memory import free_bytes
from mixnash.lit.step_memory import in_words


@final
class MemoryReport(pl.Callback):
    """Prints, before the first step, how much memory a step takes on one process, and how much is free.

    On a GPU torch's allocator and the libraries take some hundred MiB more.
    """

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say it."""
        del trainer
        assert isinstance(pl_module, AbstractGAN)
        self._say(pl_module)

    @rank_zero_only
    def _say(self, module: AbstractGAN) -> None:
        free = free_bytes(module.device)
        print(
            f"memory: {module.step_memory()}" + ("" if free is None else f"; {in_words(free)} free on {module.device}")
        )
