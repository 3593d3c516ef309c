"""Starts the other processes of a run on this machine, and notices when one of them is gone."""

import signal
from collections.abc import Callable
from typing import Any, final

import pytorch_lightning as pl
from lightning_fabric.utilities.distributed import _set_num_threads_if_needed
from pytorch_lightning.strategies.launchers import _SubprocessScriptLauncher

from mixnash.lit.parallel.watch import PATIENCE, watch


@final
class WatchfulLauncher(_SubprocessScriptLauncher):
    """Lightning's launcher with another observer.

    Lightning's kills the first process by SIGKILL as soon as it sees that another one failed, which may be before it
    could say a word or while it writes. This one lets it notice by itself, which takes milliseconds where the exchange
    fails, and ends it only if it does not.
    """

    def launch(self, function: Callable[..., Any], *args: Any, trainer: pl.Trainer | None = None, **kwargs: Any) -> Any:
        """Start the processes, unless torchrun or SLURM did, and call the function in this one."""
        del trainer
        self.cluster_environment.validate_settings(num_devices=self.num_processes, num_nodes=self.num_nodes)
        if not self.cluster_environment.creates_processes_externally:
            self._call_children_scripts()
            watch(
                lambda: any(process.poll() not in {None, 0} for process in self.procs),
                "Another process of this run ended, so this one ends too. Checkpoints written before are intact: "
                "continue with --resume.",
                lambda: self.kill(signal.SIGKILL),
                PATIENCE,
            )
        _set_num_threads_if_needed(num_processes=self.num_processes)
        return function(*args, **kwargs)
