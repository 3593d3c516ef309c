"""`train.py`: LightningCLI over our models and data, with run folders that cannot collide."""

import os
import signal
import sys
import warnings
from argparse import ArgumentError
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NoReturn, final

import pytorch_lightning as pl
import torch.distributed as dist
from lightning_fabric.plugins.io.checkpoint_io import CheckpointIO
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.callbacks import ProgressBar
from pytorch_lightning.cli import ArgsType, LightningArgumentParser, LightningCLI
from pytorch_lightning.utilities import rank_zero_only
from pytorch_lightning.utilities.exceptions import SIGTERMException

from mixnash.core.errors import (
    InvalidInputError,
    MixnashError,
    NonFiniteError,
    ProcessLostError,
    RunFailedError,
    require,
)
from mixnash.data.base import AbstractDataModule
from mixnash.lit.base import AbstractGAN
from mixnash.lit.callbacks.profiler import StepProfiler
from mixnash.lit.callbacks.run_record import RunRecord
from mixnash.lit.callbacks.stop_signals import StopSignals
from mixnash.lit.checkpoint_files import discard_unfinished
from mixnash.lit.checkpoint_plugin import CheckpointFiles
from mixnash.lit.checkpoints import read_checkpoint
from mixnash.lit.faults import FAULTS, causes_of, failure_of
from mixnash.lit.jsonl_logger import JsonLinesLogger
from mixnash.lit.parallel import strategy as _strategies  # noqa: F401  registers data_parallel and particle_parallel
from mixnash.lit.parallel.watch import FAILED, FIRST, is_orphan, watch_parent
from mixnash.lit.quiet import quieten_command
from mixnash.lit.resume_option import CHECKPOINT, expand_resume
from mixnash.lit.rollback import SpoiltRunError, go_back, launch_of
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
    signals: StopSignals
    """Ends training when it is told to."""
    is_started_by_first = False
    """Whether the first process of the run started this one."""

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
        parser.add_argument(
            "--rollbacks",
            type=int,
            default=0,
            help="How often a run that stops being finite goes back to its newest checkpoint with halved step sizes.",
        )
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
        rollbacks = self.config[self.config.subcommand].rollbacks
        require(rollbacks >= 0, f"rollbacks must be at least 0, found {rollbacks}.")
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
        callbacks = list(self.config_init[self.subcommand].trainer.callbacks or [])
        if config.trainer.enable_progress_bar is False:  # our own bar is one of the callbacks of every run
            callbacks = [one for one in callbacks if not isinstance(one, ProgressBar)]
        if config.profile:
            callbacks.append(StepProfiler())
            config.profile = False  # once is enough, when the run is resumed or started anew
        self.signals = StopSignals()
        callbacks.append(self.signals)  # behind all that may still refuse to begin
        return super().instantiate_trainer(**kwargs, callbacks=callbacks)

    def fit(self, **arguments: Any) -> None:
        """Train; what the machine does to a run ends in one sentence.

        Raises:
            SpoiltRunError: when losses or parameters stopped being finite.
            RunFailedError: when a run that had begun could not go on.
            ProcessLostError: when another process of the run is gone.
            KeyboardInterrupt: as it came; Lightning makes an exit code of it.
        """
        try:
            self.trainer.fit(**arguments)
        except NonFiniteError as error:
            left = self.config[self.subcommand].rollbacks
            launch = launch_of(self.trainer, self.is_started_by_first)
            raise SpoiltRunError(str(error), self.run_folder, left, launch) from error
        except FAULTS as error:
            failure = failure_of(error, self.run_folder, self.signals.has_begun)
            if failure is None:
                raise
            raise failure from error
        except SIGTERMException:  # before training began, when nobody but Lightning listened
            raise SystemExit(128 + signal.SIGTERM) from None
        except SystemExit as error:
            if isinstance(error.__context__, KeyboardInterrupt):
                raise KeyboardInterrupt from None
            raise

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
            os.environ[CLAIMED], os.environ[FIRST] = str(folder), str(os.getpid())
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
    TrainingCLI.is_started_by_first = inherited is not None
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
    except FAULTS as error:
        failure = failure_of(error, shared_run_folder(), has_begun=False)
        if failure is None:
            raise
        raise failure from error
    finally:
        locks.close()
        for name in (CLAIMED, CHECKPOINT) + ((FIRST,) if inherited is None else ()):
            os.environ.pop(name, None)


def _raise_plainly(error: Exception) -> NoReturn:
    """Raise an error of ours that others wrapped, or what they say of the user's input as one sentence."""
    for cause in causes_of(error):
        if isinstance(cause, MixnashError):
            raise cause from None
        if isinstance(cause, MisconfigurationException):
            raise InvalidInputError(" ".join(str(cause).split())) from error
    if isinstance(error, ArgumentError):
        raise InvalidInputError(parse_sentence(str(error))) from error
    raise error


def main(args: ArgsType = None) -> None:
    """The command.

    Exit codes: 2 for bad input and 3 for a run that failed, each with one sentence; 128 and the signal's number for a
    run that a signal stopped.
    """
    quieten_command()
    words, environment = sys.argv[1:] if args is None else args, dict(os.environ)
    is_started_by_first = shared_run_folder() is not None
    if is_started_by_first:
        watch_parent()
    try:
        cli = _train_and_go_back(words, environment)
    except MixnashError as error:
        if _is_to_speak(error):
            print(f"error: {error}", file=sys.stderr)
        if isinstance(error, ProcessLostError) and dist.is_initialized():
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(FAILED)  # taking the exchange down may wait for whom it lost
        raise SystemExit(2 if isinstance(error, InvalidInputError) else FAILED) from None
    except KeyboardInterrupt:
        raise SystemExit(128 + signal.SIGINT) from None
    _say_goodbye(cli, is_started_by_first)


def _train_and_go_back(words: ArgsType, environment: Mapping[str, str]) -> TrainingCLI:
    while True:
        try:
            return train(words)
        except SpoiltRunError as error:
            given = words if isinstance(words, list) else []
            words = go_back(error, given, environment, rank_zero_only.rank == 0)  # type: ignore[attr-defined]


def _is_to_speak(error: MixnashError) -> bool:
    """Processes meet most errors together, and the first one tells; what one meets alone, it has to tell itself."""
    if isinstance(error, RunFailedError):
        return True
    rank: int = rank_zero_only.rank  # type: ignore[attr-defined]
    return rank == 0 or (isinstance(error, ProcessLostError) and rank == 1 and is_orphan())


def _say_goodbye(cli: TrainingCLI, is_started_by_first: bool) -> None:
    """Where the run is; if a signal stopped it, how to go on, and the signal's exit code."""
    stopped_by, folder = cli.signals.stopped_by, cli.run_folder
    if folder is not None and cli.trainer.is_global_zero:
        print(f"run folder: {folder}\nnext: python evaluate.py --run {folder}")
    if stopped_by is not None:
        if cli.trainer.is_global_zero:
            advice = "" if folder is None else f": continue with --resume {folder}"
            print(f"Stopped by {stopped_by.name} after step {cli.trainer.global_step}{advice}.", file=sys.stderr)
        # The process that started this one gives the code; another one than 0 would make it end at once.
        raise SystemExit(0 if is_started_by_first else 128 + stopped_by)
