"""Where a step's time goes."""

import os
import warnings
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, final

import pytorch_lightning as pl
import torch
from pytorch_lightning.profilers import Profiler
from torch.autograd import DeviceType  # type: ignore[attr-defined]
from torch.profiler import ProfilerActivity, profile, schedule

from mixnash.core.errors import InvalidInputError, require
from mixnash.core.sections import PREFIX, section
from mixnash.lit.step_shares import EVALUATION, Interval, share_table, time_by_part

ROWS = 30
"""Operators in the file, those that take the most time."""


@final
class StepProfiler(pl.Callback):
    """Records a few steps early in a run with torch's profiler; `train.py fit --profile true` adds it to a run.

    Every process R writes RUN_DIR/profile/trace_rank_R.json, for chrome://tracing or https://ui.perfetto.dev, and
    table_rank_R.txt: each part's share of a step, which add up to 100 %, and the operators that take the most time. The
    first process shows its shares on the screen when training ends. Evaluations between the steps do not count.

    Recording slows the steps it records, those of many small operators by a few times, so shares tell more than
    times. Logging counts as much as log steps are among those recorded. On GPUs it waits for the device around each
    part. The other steps, and results, are what they are without it.

    Args:
        skip: steps before anything happens, at least 0.
        warm_up: steps during which the profiler runs and keeps nothing, at least 1.
        record: steps that are kept, at least 1.

    Raises:
        InvalidInputError: when an argument is out of range; when training starts, if the run makes too few steps or
            the folder cannot be made.
    """

    def __init__(self, skip: int = 5, warm_up: int = 2, record: int = 5) -> None:
        for name, value, least in (("skip", skip, 0), ("warm_up", warm_up, 1), ("record", record, 1)):
            require(value >= least, f"{name} of the step profiler must be at least {least}, found {value}.")
        self._skip, self._warm_up, self._record = skip, warm_up, record
        self._profile: profile | None = None
        self._between: AbstractContextManager[None] | None = None
        self._folder, self._rank, self._shares = Path(), 0, ""

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Refuse what cannot be profiled."""
        del pl_module
        # Started by torchrun or SLURM, only the first process knows the run's folder.
        self._folder = Path(trainer.strategy.broadcast(trainer.default_root_dir)) / "profile"
        self._rank = trainer.global_rank
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidInputError(f"The folder '{self._folder}' cannot be made ({error.strerror}).") from error

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start, now that it is known how many steps were made before."""
        del pl_module
        steps, left = self._skip + self._warm_up + self._record, trainer.max_steps - trainer.global_step
        require(
            trainer.max_steps < 0 or left >= steps,
            f"Profiling takes {steps} steps, and this run makes {max(left, 0)}: raise trainer.max_steps, or leave "
            "--profile out.",
        )
        os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # else it says on the screen that it starts and stops
        activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * torch.cuda.is_available()
        self._profile = profile(
            activities=activities,
            schedule=schedule(wait=0, warmup=self._warm_up, active=self._record, repeat=1, skip_first=self._skip),
            on_trace_ready=self._write,
        )
        trainer.profiler = _Actions(self)  # type: ignore[attr-defined]
        self._profile.start()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """A step ends here for the trace, so that loading the next one's data belongs to it."""
        del trainer, pl_module, outputs, batch, batch_idx
        if self._profile is not None:
            self._profile.step()
            self._open("logging")

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """What comes now does not count."""
        del trainer, pl_module
        self._open(EVALUATION)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop, if the steps were fewer than planned."""
        del trainer, pl_module
        self._stop()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Stop."""
        del trainer, pl_module, exception
        self._stop()

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the shares, below the progress bar."""
        del pl_module
        if trainer.is_global_zero and self._shares:
            print(f"{self._shares}\ntraces: {self._folder}")
        elif trainer.is_global_zero:
            warnings.warn("The run ended before all steps were recorded: there is no profile of it.", stacklevel=2)

    def close(self) -> None:
        """End what is open between two steps."""
        if self._between is not None:
            self._between.__exit__(None, None, None)
            self._between = None

    def _open(self, name: str) -> None:
        self.close()
        self._between = section(name)
        self._between.__enter__()

    def _stop(self) -> None:
        self.close()
        recorder, self._profile = self._profile, None
        if recorder is not None:
            recorder.stop()

    def _write(self, recorder: profile) -> None:
        """Write both files once the last step is recorded."""
        events = recorder.events() or ()  # type: ignore[no-untyped-call]
        on_cpu = [event for event in events if event.device_type == DeviceType.CPU]
        steps = [event.time_range for event in on_cpu if event.name.startswith("ProfilerStep")]
        if len(steps) < self._record:  # the run ended before
            return
        sections = [
            Interval(event.name.removeprefix(PREFIX), event.time_range.start, event.time_range.end)
            for event in on_cpu
            if event.name.startswith(PREFIX)
        ]
        times = time_by_part(sections, min(one.start for one in steps), max(one.end for one in steps))
        title = f"where a step's time goes ({len(steps)} recorded steps of process {self._rank})"
        self._shares = f"{title}\n{share_table(times, len(steps))}"
        by = "self_device_time_total" if torch.cuda.is_available() else "self_cpu_time_total"
        operators = recorder.key_averages().table(sort_by=by, row_limit=ROWS)
        try:
            (self._folder / f"table_rank_{self._rank}.txt").write_text(f"{self._shares}\n\n{operators}\n")
            recorder.export_chrome_trace(str(self._folder / f"trace_rank_{self._rank}.json"))
        except OSError as error:
            warnings.warn(f"The profile cannot be written, the run goes on ({error}).", stacklevel=2)


@final
class _Actions(Profiler):
    """Makes sections of what Lightning tells its profilers."""

    def __init__(self, owner: StepProfiler) -> None:
        super().__init__()
        self._owner = owner
        self._running: dict[str, AbstractContextManager[None]] = {}

    def start(self, action_name: str) -> None:
        """An action begins."""
        if action_name.endswith(".train_dataloader_next"):
            self._owner.close()
        name = _part(action_name)
        if name is not None:
            self._running[action_name] = section(name)
            self._running[action_name].__enter__()

    def stop(self, action_name: str) -> None:
        """An action ends."""
        running = self._running.pop(action_name, None)
        if running is not None:
            running.__exit__(None, None, None)


def _part(action: str) -> str | None:
    """The section that an action of Lightning belongs to; None if it only surrounds others or is our own."""
    if action.endswith((".train_dataloader_next", ".batch_to_device")):
        return "data"
    if action.startswith("[Strategy]") and action.endswith(".training_step"):
        return "step"
    if action.startswith("[Callback]") and not action.startswith(f"[Callback]{StepProfiler.__qualname__}."):
        return "callbacks"
    return None
