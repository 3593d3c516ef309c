"""How fast every process trains, what it waits for and how much memory it takes."""

import math
import time
from pathlib import Path
from typing import Any, NamedTuple, final

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from torch import Tensor

from mixnash.core.shares import share_of
from mixnash.lit.base import AbstractGAN
from mixnash.lit.parallel.collectives import answered
from mixnash.lit.parallel.strategy import mesh_of

GIB = float(1 << 30)
STATISTICS = Path("/proc/self/status")
"""Where Linux tells a process how much memory it occupies."""


class Reading(NamedTuple):
    """Of one process, since the last log step."""

    steps_per_second: float
    samples_per_second: float
    """Real samples that this process was given."""
    communication_share: float
    """Of the time, in [0, 1]."""
    bytes_per_step: float
    """What it sent to others."""
    memory_gib: float
    """The most that was allocated on its GPU so far, or what it occupies of the main memory now; NaN if not known."""


class Sums(NamedTuple):
    """What runs on; differences count."""

    seconds: float
    waited: float
    """Seconds inside of exchanges."""
    sent: int
    """Bytes."""


@final
class Performance(pl.Callback):
    """Logs a `Reading` of every process R at log steps, as `performance/rank_R/steps_per_second` and so on.

    The time is that of training steps and of what callbacks do between them, such as searches for deviations or the
    writing of a profile. Evaluation and what comes with it, such as checkpoints, is left out, and so is what processes
    exchange for it. The first numbers after a start include the time to warm up. Processes exchange five numbers each
    at log steps, and a wait for the others in there counts as communication; GPUs are waited for then and at no other
    time.
    """

    def __init__(self) -> None:
        self._since: Sums | None = None
        self._restart()

    def _restart(self) -> None:
        self._sums = Sums(0.0, 0.0, 0)
        self._steps = self._samples = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start from nothing."""
        del trainer, pl_module
        self._since = None
        self._restart()

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Let the clock run if it stands, as it does after an evaluation."""
        del trainer, batch, batch_idx
        assert isinstance(pl_module, AbstractGAN)
        if self._since is None:
            self._since = _sums_now(pl_module)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop the clock."""
        del trainer
        assert isinstance(pl_module, AbstractGAN)
        if self._since is not None:
            self._add(_sums_now(pl_module), self._since)
            self._since = None

    def _add(self, end: Sums, start: Sums) -> None:
        seconds, waited, sent = (
            total + after - before for total, after, before in zip(self._sums, end, start, strict=True)
        )
        self._sums = Sums(seconds, waited, int(sent))

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count, and log where it is due."""
        del outputs, batch_idx
        assert isinstance(pl_module, AbstractGAN)
        self._steps += 1
        self._samples += _own_samples(batch, pl_module, trainer)
        if pl_module.is_log_step(trainer.global_step):
            self._log(trainer, pl_module)

    def _log(self, trainer: pl.Trainer, module: AbstractGAN) -> None:
        if module.device.type == "cuda":
            torch.cuda.synchronize(module.device)
        assert self._since is not None  # since the beginning of this step
        # The next numbers begin before the exchange: a process that waits in it for the others is no faster than they.
        before, self._since = self._since, _sums_now(module)
        self._add(self._since, before)
        seconds = max(self._sums.seconds, 1e-9)
        own = Reading(
            self._steps / seconds,
            self._samples / seconds,
            self._sums.waited / seconds,
            self._sums.sent / self._steps,
            _memory(module.device),
        )
        self._restart()
        module.log_dict(
            {
                f"performance/rank_{rank}/{name}": value
                for rank, reading in enumerate(_everyones(own, trainer, module))
                for name, value in reading._asdict().items()
                if not math.isnan(value)
            }
        )


def _sums_now(module: AbstractGAN) -> Sums:
    return Sums(time.perf_counter(), module.traffic.seconds, module.traffic.bytes_sent)


def _everyones(own: Reading, trainer: pl.Trainer, module: AbstractGAN) -> list[Reading]:
    """The readings of all processes, by rank."""
    if trainer.world_size == 1:
        return [own]
    mine = torch.tensor(own, dtype=torch.float32, device=module.device)
    everyone = mine.new_empty(trainer.world_size, len(own))
    # Not by Lightning's strategies, which prepare for gradients and warn of it. Its bytes are not the training's.
    with answered(), module.traffic.exchange(0):
        dist.all_gather(list(everyone.unbind()), mine)
    return [Reading(*values) for values in everyone.tolist()]


def _own_samples(batch: Tensor, module: AbstractGAN, trainer: pl.Trainer) -> int:
    """How many of a step's real samples [draws, B, *event] are for this process."""
    draws, held = batch.shape[:2]
    if not module.datamodule.whole_batches:
        return draws * held
    mesh = mesh_of(trainer)
    return draws * share_of(held, mesh.data_ranks, mesh.data_index).size


def _memory(device: torch.device) -> float:
    """In GiB."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / GIB
    if not STATISTICS.exists():
        return math.nan
    resident = next(line for line in STATISTICS.read_text().splitlines() if line.startswith("VmRSS:"))
    return int(resident.split()[1]) * 1024 / GIB
