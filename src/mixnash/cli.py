"""`train.py`: LightningCLI over our models and data, with run folders that cannot collide."""

import logging
import os
import sys
import warnings
from argparse import ArgumentError
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NoReturn, final

import pytorch_lightning as pl
from lightning_fabric.plugins.io.checkpoint_io import CheckpointIO
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.callbacks import ProgressBar
from pytorch_lightning.cli import ArgsType, LightningArgumentParser, LightningCLI
from pytorch_lightning.utilities import rank_zero_only

from mixnash.core.errors import InvalidInputError, MixnashError, require
from mixnash.data.base import AbstractDataModule
from mixnash.lit.base import AbstractGAN
from mixnash.lit.callbacks.profiler import StepProfiler
from mixnash.lit.callbacks.run_record import RunRecord
from mixnash.lit.checkpoint_files import discard_unfinished
from mixnash.lit.checkpoint_plugin import CheckpointFiles
from mixnash.lit.checkpoints import read_checkpoint
from mixnash.lit.jsonl_logger import JsonLinesLogger
from mixnash.lit.parallel import strategy as _strategies  # noqa: F401  registers data_parallel and particle_parallel
from mixnash.lit.resume_option import CHECKPOINT, expand_resume
from mixnash.lit.run_folder import CLAIMED, claim_run_folder, discard_unused, shared_run_folder
from mixnash.lit.run_lock import held
from mixnash.lit.tensorboard import StepTensorBoardLogger
from mixnash.parse_errors import parse_sentence

BASE = Path(__file__).with_name("base.yaml")
"""The defaults that every run starts from."""


def _seed(value: bool | int) -> int:
    require(
        not isinstance(value, bool),
        f"seed_everything must be an integer, found {str(value).lower()}: every draw of a run comes from it.",
    )
    return value


@final
class TrainingCLI(LightningCLI):
    """Adds run folders, and links what would otherwise be written twice."""

    run_folder: Path | None = None
    """Where this run writes; None if it leaves no trace."""

    def __init__(self, locks: ExitStack, **kwargs: Any) -> None:
        self._locks = locks
        super().__init__(**kwargs)

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """Training alone: `evaluate.py` evaluates."""
        return {"fit": {"model", "train_dataloaders", "val_dataloaders", "datamodule"}}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Declare our own arguments and links."""
        parser.add_argument("--experiment", type=str, default="unnamed", help="Folder of the run under runs_dir.")
        parser.add_argument("--version", type=str | None, default=None, help="Name of the run; version_N if not given.")
        parser.add_argument("--runs_dir", type=str, default="runs", help="Where all runs are written.")
        parser.add_argument("--resume", type=str | None, default=None, help="Continue this run's folder, or auto.")
        parser.add_argument("--profile", type=bool, default=False, help="Record where the time of a few steps goes.")
        parser.link_arguments("seed_everything", "model.init_args.seed", compute_fn=_seed)
        parser.link_arguments("seed_everything", "data.init_args.seed", compute_fn=_seed)
        parser.link_arguments("data.event_shape", "model.init_args.event_shape", apply_on="instantiate")

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Parse, and look at the checkpoint before Lightning opens it."""
        with warnings.catch_warnings():
            # We always pass the words on, after expanding --resume.
            warnings.filterwarnings("ignore", message="LightningCLI's args parameter")
            super().parse_arguments(parser, args)
        path = self.config[self.config.subcommand].ckpt_path
        if path is not None and path not in {"last", "best", "hpc", "registry"}:
            self._look_at(Path(path))
        interval = self.config[self.config.subcommand].trainer.val_check_interval
        require(
            interval is None or interval > 0,
            f"trainer.val_check_interval must be positive, found {interval}: a number of steps between evaluations.",
        )

    def _look_at(self, path: Path) -> None:
        """Refuse what is no whole checkpoint; a run to be resumed that has made all its steps is done."""
        steps, config = int(read_checkpoint(path).get("global_step", 0)), self.config[self.config.subcommand]
        if config.resume and 0 <= config.trainer.max_steps <= steps:
            if rank_zero_only.rank == 0:  # type: ignore[attr-defined]
                print(f"The run '{config.resume}' has made its {steps} steps. To go on, raise --trainer.max_steps.")
            raise SystemExit(0)

    def instantiate_trainer(self, **kwargs: Any) -> pl.Trainer:
        """Claim the run folder, now that model and data could be built, and attach the loggers."""
        config = self.config[self.subcommand]
        if not config.trainer.fast_dev_run:
            # Absolute, so that a run resumed from elsewhere knows its own checkpoints again.
            folder = self.run_folder = self._claim().resolve()
            kwargs["default_root_dir"] = str(folder)
            if config.trainer.logger is None:
                kwargs["logger"] = [StepTensorBoardLogger(folder), JsonLinesLogger(folder)]
            kwargs["plugins"] = self._plugins()
            if config.resume:
                config.resume = config.ckpt_path = None  # config.yaml is to start the run anew
        if config.trainer.enable_progress_bar is False:  # our own bar is one of the callbacks of every run
            callbacks = self.config_init[self.subcommand].trainer.callbacks or []
            kwargs["callbacks"] = [one for one in callbacks if not isinstance(one, ProgressBar)]
        if config.profile:
            callbacks = self.config_init[self.subcommand].trainer.callbacks or []
            kwargs["callbacks"] = [*kwargs.get("callbacks", callbacks), StepProfiler()]
            config.profile = False  # once is enough, when the run is resumed or started anew
        return super().instantiate_trainer(**kwargs)

    def _plugins(self) -> list[Any]:
        """Those given, and our checkpoint files unless there are others."""
        given = self.config_init[self.subcommand].trainer.plugins or []
        plugins = list(given) if isinstance(given, list) else [given]
        return plugins if any(isinstance(one, CheckpointIO) for one in plugins) else [*plugins, CheckpointFiles()]

    def _claim(self) -> Path:
        config = self.config[self.subcommand]
        folder = shared_run_folder()
        # Started by torchrun or SLURM, processes share no environment; only the first one writes.
        if folder is None and rank_zero_only.rank != 0:  # type: ignore[attr-defined]
            return Path(str(config.runs_dir), str(config.experiment))
        if folder is None:
            resume = config.resume
            folder = Path(resume) if resume else claim_run_folder(config.runs_dir, config.experiment, config.version)
            self._locks.enter_context(held(folder))
            discard_unfinished(folder / "checkpoints")
            os.environ[CLAIMED] = str(folder)
        return folder


def train(args: ArgsType = None) -> TrainingCLI:
    """Run one subcommand; errors are raised.

    Ends the process with 0 if the run to be resumed has made all its steps already.

    Args:
        args: command-line words; those of the process if None.
    """
    words = sys.argv[1:] if args is None else args
    inherited = shared_run_folder()
    locks = ExitStack()
    try:
        return TrainingCLI(
            locks,
            model_class=AbstractGAN,
            datamodule_class=AbstractDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            save_config_callback=RunRecord,
            save_config_kwargs={"overwrite": True},  # the folder is ours: it was claimed
            seed_everything_default=0,
            parser_kwargs={
                "exit_on_error": False,
                "fit": {"default_config_files": [str(BASE)], "exit_on_error": False},
            },
            trainer_defaults={"use_distributed_sampler": False},  # loaders cut their batches themselves
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
            args=expand_resume(list(words)) if isinstance(words, list) else words,
        )
    except (ArgumentError, MisconfigurationException, ValueError) as error:
        claimed = shared_run_folder()
        if claimed is not None and inherited is None:
            discard_unused(claimed)
        _raise_plainly(error)
    finally:
        locks.close()
        for name in (CLAIMED, CHECKPOINT):
            os.environ.pop(name, None)


def _raise_plainly(error: Exception) -> NoReturn:
    """Raise an error of ours that others wrapped, or what they say of the user's input as one sentence."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MixnashError):
            raise cause from None
        if isinstance(cause, MisconfigurationException):
            raise InvalidInputError(" ".join(str(cause).split())) from error
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, ArgumentError):
        raise InvalidInputError(parse_sentence(str(error))) from error
    raise error


def _quieten() -> None:
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


def main(args: ArgsType = None) -> None:
    """The command: one sentence and exit code 2 for bad input, 3 for a run that stopped being finite."""
    _quieten()
    try:
        cli = train(args)
        if cli.run_folder is not None and cli.trainer.is_global_zero:
            print(f"run folder: {cli.run_folder}\nnext: python evaluate.py --run {cli.run_folder}")
    except MixnashError as error:
        if rank_zero_only.rank == 0:  # type: ignore[attr-defined]
            print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2 if isinstance(error, InvalidInputError) else 3) from None
