"""The distance from equilibrium, cheaply, while a run trains."""

from typing import Any, final

import pytorch_lightning as pl
from pytorch_lightning.utilities import rank_zero_only

from mixnash.core.errors import require
from mixnash.equilibrium.duality_gap import require_bounded
from mixnash.lit.base import AbstractGAN
from mixnash.lit.deviations import SearchPlan, measure_gap


@final
class DualityGapMonitor(pl.Callback):
    """Logs `equilibrium/gap_lower_bound` and `equilibrium/gap_restricted` every n steps, after the step.

    A short search for deviations of both players (see `equilibrium.duality_gap`), of the averaged generators as
    evaluation sees them; `evaluate.py --equilibrium` searches longer. The numbers of one run compare with each other,
    for they share their draws and their effort; a longer search finds larger ones.

    The run is what it would be without this: every draw comes from streams of its own. Of several processes only the
    first searches, without exchanging anything; the others wait for it at the next step. In a configuration::

        trainer:
          callbacks+:
            - class_path: mixnash.lit.callbacks.duality_gap.DualityGapMonitor
              init_args: {every_n_steps: 250, steps: 20, starts: 2, samples: 256}

    or `--trainer.callbacks+=mixnash.lit.callbacks.duality_gap.DualityGapMonitor` on the command line.

    Args:
        every_n_steps: n >= 1.
        steps: updates of each deviator, at least 1.
        starts: of each kind (atoms, perturbed atoms, fresh networks) for each player, at least 1.
        samples: real samples per batch, at least 2.

    Raises:
        InvalidInputError: when an argument is out of range; when training starts, if the critics can win without bound.
    """

    def __init__(self, every_n_steps: int = 250, steps: int = 20, starts: int = 2, samples: int = 256) -> None:
        for name, value, least in (
            ("every_n_steps", every_n_steps, 1),
            ("steps", steps, 1),
            ("starts", starts, 1),
            ("samples", samples, 2),
        ):
            require(value >= least, f"{name} of the duality gap's monitor must be at least {least}, found {value}.")
        self._every = every_n_steps
        self._plan = SearchPlan(
            (0, steps),
            starts,
            train_samples=samples,
            generator_samples=32,
            samples=samples,
            search_batches=4,
            score_batches=8,
        )

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Refuse unbounded critics before the first step."""
        del trainer
        assert isinstance(pl_module, AbstractGAN)
        require_bounded(pl_module.game)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Search and log where it is due."""
        del outputs, batch, batch_idx
        if trainer.global_step % self._every == 0:
            assert isinstance(pl_module, AbstractGAN)
            with pl_module.whole():
                self._measure(trainer, pl_module)

    @rank_zero_only
    def _measure(self, trainer: pl.Trainer, module: AbstractGAN) -> None:
        found = measure_gap(module, module.datamodule, self._plan, module.seed, trainer.global_step, averaged=True)
        numbers = {
            "equilibrium/gap_lower_bound": found.gap.value,
            "equilibrium/gap_restricted": found.restricted,
        }
        for logger in trainer.loggers:
            logger.log_metrics(numbers, trainer.global_step - 1)  # the index of the last step, counted from 0
