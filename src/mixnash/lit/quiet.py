"""Trainings without what Lightning says about itself."""

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from tensorboard.summary.writer.event_file_writer import _AsyncWriterThread  # type: ignore[import-untyped]


@contextmanager
def quiet_trainer() -> Iterator[None]:
    """Without remarks about Lightning and about loaders, which are as they should be."""
    logger = logging.getLogger("pytorch_lightning.utilities.rank_zero")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            for message in (".*does not have many workers.*", ".*LeafSpec.*", ".*`__len__` defined.*"):
                warnings.filterwarnings("ignore", message=message)
            yield
    finally:
        logger.setLevel(level)


def quieten_command() -> None:
    """Silence what Lightning says about itself and what cannot be helped from here; warnings about the run stay."""
    for name in (
        "pytorch_lightning.utilities.rank_zero",
        "pytorch_lightning.trainer.connectors.checkpoint_connector",
        "lightning_fabric.utilities.seed",
    ):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        ".*does not have many workers.*",  # batches are made in memory, faster than they could be sent
        ".*LeafSpec.*",  # Lightning 2.6 with torch 2.13
        "Checkpoint directory .* exists and is not empty",  # as it should when a run is resumed
        "Using ModelCheckpoint with manual optimization",  # the state after the step is what we want
        "It is recommended to use .*sync_dist=True",  # what is logged on evaluation is equal on all processes
    ):
        warnings.filterwarnings("ignore", message=message)
    threading.excepthook = _told_of_threads


def _told_of_threads(arguments: threading.ExceptHookArgs) -> None:
    """Keep quiet about TensorBoard's thread when it cannot write: its error is raised again where it is given more."""
    is_known = isinstance(arguments.thread, _AsyncWriterThread) and isinstance(arguments.exc_value, OSError)
    if not is_known:
        threading.__excepthook__(arguments)
