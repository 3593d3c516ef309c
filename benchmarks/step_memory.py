"""What a training step takes against what is printed before it, and how a limit brings it down.

    python benchmarks/step_memory.py

Each row is a run of three steps in a process of its own. "peak" is the most that the process occupied during them, less
what it occupied before the population was made (by /proc/self/status, so it needs Linux, and it holds what the C
library keeps for later as well); "printed" is the estimate; "difference" is the largest one of any parameter from the
run without a limit, relative to the largest entry of its tensor. Exits with 1 where peak is more than 1.2 x printed.
"""

import argparse
import ctypes
import gc
import json
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import pytorch_lightning as pl
import torch

from mixnash.core.dynamics.alternating import Alternating
from mixnash.core.games.constraints import GradientPenalty
from mixnash.core.games.wasserstein import Wasserstein
from mixnash.core.random import Purpose, stream
from mixnash.core.rules.adam import Adam
from mixnash.core.rules.base import PlayerRules
from mixnash.core.rules.entropic import EntropicMirrorDescent
from mixnash.core.rules.sgd import SGD
from mixnash.data.base import AbstractImageData
from mixnash.data.mixtures import PresetMixture
from mixnash.lit.mixed_gan import MixedGAN
from mixnash.lit.step_memory import GIBIBYTE
from mixnash.networks.dcgan import DCGANCritic, DCGANGenerator
from mixnash.networks.mlp import MLPCritic, MLPGenerator

FRACTIONS = (1.0, 0.5, 0.25)
"""Of what a step takes beyond what is held between steps; 1 is without a limit."""
ALLOWED = 1.2


class RandomImages(AbstractImageData):
    """Noise of the size of MNIST."""

    @property
    def event_shape(self):
        return 1, 28, 28

    def training_draws(self, step, count):
        return torch.rand(count, *self.event_shape, generator=stream(torch.device("cpu"), self.seed, step)) * 2 - 1

    def held_out(self, count):
        rng = stream(torch.device("cpu"), self.seed, Purpose.HELD_OUT)
        return torch.rand(count, *self.event_shape, generator=rng) * 2 - 1


PROBLEMS = {
    # name: generators, critics, batch, data, generator, critic, position rule
    "MLP, Adam": (16, 8, 4096, "points", partial(MLPGenerator, width=512), partial(MLPCritic, width=512), Adam(1e-4)),
    "MLP, SGD": (16, 8, 4096, "points", partial(MLPGenerator, width=512), partial(MLPCritic, width=512), SGD(1e-3)),
    "DCGAN, Adam": (4, 4, 128, "images", partial(DCGANGenerator, width=48), partial(DCGANCritic, width=48), Adam(1e-4)),
    "DCGAN, SGD": (4, 4, 128, "images", partial(DCGANGenerator, width=48), partial(DCGANCritic, width=48), SGD(1e-3)),
}


def data_of(kind, batch):
    if kind == "points":
        return PresetMixture("wgangp-grid", batch_size=batch, validation_size=8, seed=0)
    return RandomImages(batch, 8, 0)


def trained(name, limit, batch=None):
    """A population after three steps, and its estimate."""
    generators, critics, full_batch, kind, generator, critic, rule = PROBLEMS[name]
    data = data_of(kind, batch or full_batch)
    rules = PlayerRules(rule, EntropicMirrorDescent(0.1))
    torch.manual_seed(0)
    module = MixedGAN(
        data.event_shape,
        generator,
        critic,
        Wasserstein(GradientPenalty(1.0)),
        Alternating(rules, rules, 1),
        generators,
        critics,
        memory_limit=limit,
    )
    with tempfile.TemporaryDirectory() as folder:
        trainer = pl.Trainer(
            max_steps=3,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            limit_val_batches=0,
            use_distributed_sampler=False,
            default_root_dir=folder,
        )
        trainer.fit(module, datamodule=data)
    return module, module.step_memory()


def occupied(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(field)).split()[1])


def measure(name, limit, output):
    torch.set_num_threads(1)
    trained(name, None, batch=2 * PROBLEMS[name][0])  # what libraries load at first use
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before = occupied("VmRSS")
    module, printed = trained(name, limit)
    peak = occupied("VmHWM") - before
    torch.save(module.state_dict(), output)
    parts = [printed.micro_batches, printed.critic_chunks]
    print(json.dumps({"held": printed.held, "printed": printed.peak, "peak": peak, "parts": parts}))


def in_process_of_its_own(name, limit, output):
    words = [sys.executable, __file__, "--measure", name, "--output", str(output)]
    done = subprocess.run(
        words + ([] if limit is None else ["--limit", str(limit)]), capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", choices=PROBLEMS, help=argparse.SUPPRESS)
    parser.add_argument("--limit", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure, options.limit, options.output)
        return
    missed = False
    print(f"{'problem':<14}{'limit MiB':>10}{'parts':>9}{'printed':>9}{'peak':>8}{'ratio':>7}{'difference':>12}")
    with tempfile.TemporaryDirectory() as folder:
        for name in PROBLEMS:
            whole = None
            for fraction in FRACTIONS:
                limit = None
                if whole is not None:
                    limit = (whole["held"] + fraction * (whole["printed"] - whole["held"])) / GIBIBYTE
                output = Path(folder) / f"{fraction}.pt"
                found = in_process_of_its_own(name, limit, output)
                whole = whole or found
                ratio = found["peak"] / found["printed"]
                missed |= ratio > ALLOWED
                first, own = torch.load(Path(folder) / "1.0.pt"), torch.load(output)
                apart = max(float((own[k] - first[k]).abs().max() / first[k].abs().max().clamp_min(1e-12)) for k in own)
                print(
                    f"{name:<14}{'none' if limit is None else format(limit * 1024, '.0f'):>10}"
                    f"{'x'.join(map(str, found['parts'])):>9}{found['printed'] / 2**20:>9.0f}"
                    f"{found['peak'] / 2**20:>8.0f}{ratio:>7.2f}{apart:>12.1e}",
                    flush=True,
                )
    sys.exit(int(missed))


if __name__ == "__main__":
    main()
