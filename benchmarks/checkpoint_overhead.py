"""Which share of training goes into checkpoints at an experiment's interval of evaluations.

A checkpoint is all that `Trainer.save_checkpoint` does: gathering, looking for what is not finite, hashing, writing.
Each evaluation is taken to write two, the best and the last; here the run writes them every few steps and evaluates
nothing. Training time is that of steps alone. Both are CPU time of this process with one thread, so that neighbours do
not count; waiting for the disk is not in it, so the time by the clock is printed beside. The first checkpoint of a run
writes the configuration out as text: that is paid once and printed by itself.

    PYTHONPATH=benchmarks python benchmarks/checkpoint_overhead.py
    PYTHONPATH=benchmarks python benchmarks/checkpoint_overhead.py --experiments gaussians25 --steps 1000
"""

import argparse
import tempfile
import time
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytorch_lightning as pl
import torch

from mixnash.cli import train

CONFIGS = Path(__file__).parents[1] / "configs" / "experiment"
EXPERIMENTS = ("gaussians25", "digits_mixed")
CHECKPOINTS = 20


class Stopwatch(pl.Callback):
    """Saves every few steps, and adds up what steps and what checkpoints take."""

    def __init__(self, every: int) -> None:
        self.training, self._every, self._began = 0.0, every, 0.0
        self.saving: list[float] = []
        self.waiting: list[float] = []
        self.size = 0

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self._began = time.process_time()

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.training += time.process_time() - self._began
        if trainer.global_step % self._every == 0:
            path = Path(trainer.default_root_dir) / "checkpoints" / "last.ckpt"
            cpu, wall = time.process_time(), time.perf_counter()
            trainer.save_checkpoint(path)
            self.saving.append(time.process_time() - cpu)
            self.waiting.append(time.perf_counter() - wall)
            self.size = path.stat().st_size


def measure(name: str, steps: int, folder: Path) -> None:
    stopwatch = f"{{class_path: checkpoint_overhead.Stopwatch, init_args: {{every: {steps // CHECKPOINTS}}}}}"
    words = ["fit", "--config", str(CONFIGS / f"{name}.yaml"), "--runs_dir", str(folder), "--trainer.accelerator=cpu"]
    words += [f"--trainer.max_steps={steps}", "--trainer.limit_val_batches=0", "--trainer.enable_progress_bar=false"]
    with redirect_stdout(StringIO()):
        trainer = train([*words, f"--trainer.callbacks+={stopwatch}"]).trainer
    (watch,) = [one for one in trainer.callbacks if type(one).__name__ == "Stopwatch"]
    step, (first, *later), clock = watch.training / steps, watch.saving, watch.waiting[1:]
    save, interval = sum(later) / len(later), trainer.val_check_interval
    print(
        f"{name}: step {1e3 * step:.1f} ms; checkpoint of {watch.size / 1e6:.2f} MB {1e3 * save:.1f} ms, by the clock "
        f"{1e3 * sum(clock) / len(clock):.1f} ms, the first {1e3 * first:.0f} ms; two every {interval} steps: "
        f"{2 * save / (interval * step):.2%}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--experiments", nargs="+", default=EXPERIMENTS, choices=EXPERIMENTS)
    parser.add_argument("--steps", type=int, default=200, help="(default: 200)")
    given = parser.parse_args()
    torch.set_num_threads(1)
    for name in given.experiments:
        with tempfile.TemporaryDirectory() as folder:
            measure(name, given.steps, Path(folder))


if __name__ == "__main__":
    main()
