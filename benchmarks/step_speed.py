"""Speed of one WGAN-GP training step: stacked against vmap, a loop over modules, the machine's peak, and Lightning.

    python benchmarks/step_speed.py --threads 1 2

Every row is measured in one run, the alternatives taking turns, and reported as the median of the rounds. FLOP are
those of the matrix products that the stacked step executes, counted by torch; the peak is that of large products.
"""

import argparse
import functools
import json
import logging
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pytorch_lightning as pl
import torch
from torch.utils.flop_counter import FlopCounterMode

from mixnash.core.dynamics.alternating import Alternating
from mixnash.core.feedback import GameOracle
from mixnash.core.games.constraints import GradientPenalty
from mixnash.core.games.wasserstein import Wasserstein
from mixnash.core.population import make_population, stack
from mixnash.core.random import Purpose, stream
from mixnash.core.rules.adam import Adam
from mixnash.core.rules.base import PlayerRules
from mixnash.core.rules.frozen import Frozen
from mixnash.core.types import NetworkFunctions, Networks, Profile
from mixnash.data.mixtures import PresetMixture
from mixnash.lit.draws import StepDraws
from mixnash.lit.mixed_gan import MixedGAN
from mixnash.lit.particles import AveragedParams
from mixnash.networks.base import functions_of, parameters_of, vmapped
from mixnash.networks.mlp import MLPCritic, MLPGenerator

WIDTH, DEPTH, LATENT, PENALTY, EMA = 128, 3, 2, 0.1, 0.99

SHAPES = {1: 256, 4: 256, 16: 256, 25: 32}
"""Samples per particle for each number of particles K."""


def generator(shape=(2,)):
    return MLPGenerator(shape, LATENT, WIDTH, DEPTH)


def critic(shape=(2,)):
    return MLPCritic(shape, WIDTH, DEPTH)


def rules():
    return PlayerRules(Adam(1e-3), Frozen())


class Bare:
    """The core alone: what Lightning has to carry."""

    def __init__(self, particles: int, batch: int, use_vmap: bool = False):
        self.particles, self.batch = particles, batch
        generators = [generator() for _ in range(particles)]
        critics = [critic()]
        self.networks = Networks(functions_of(generators[0]), functions_of(critics[0]))
        if use_vmap:
            self.networks = Networks(
                *(
                    NetworkFunctions(one.single, lambda p, x, module=module: vmapped(module, p, x))
                    for one, module in zip(self.networks, (generators[0], critics[0]), strict=True)
                )
            )
        profile = Profile(
            make_population(stack([parameters_of(one) for one in generators])),
            make_population(stack([parameters_of(one) for one in critics])),
        )
        self.game = Wasserstein(GradientPenalty(PENALTY))
        self.dynamics = Alternating(rules(), rules(), 1)
        self.state = self.dynamics.init(profile)
        self.averaged = AveragedParams(profile.generators.params, EMA)
        self.data = PresetMixture(batch_size=particles * batch)
        self.data.draws_per_step = 2
        self.step = 0

    def __call__(self):
        draws = StepDraws(
            self.data.training_batch(self.step), 0, self.step, LATENT, self.particles, self.batch, self.batch
        )
        oracle = GameOracle(self.game, self.networks, draws)
        rng = stream(torch.device("cpu"), 0, Purpose.POSITION_NOISE, self.step)
        self.state, _ = self.dynamics.step(self.state, oracle, rng)
        self.step += 1
        self.averaged.update(self.state.generators.population.params, self.step)


class Modules:
    """The plain way: one nn.Module and one torch optimiser per particle, a Python loop over them."""

    def __init__(self, particles: int, batch: int):
        self.batch = batch
        self.generators, self.critic = [generator() for _ in range(particles)], critic()
        self.optimizers = [torch.optim.Adam(one.parameters(), 1e-3, betas=(0.0, 0.9)) for one in self.generators]
        self.critic_optimizer = torch.optim.Adam(self.critic.parameters(), 1e-3, betas=(0.0, 0.9))
        self.data = PresetMixture(batch_size=particles * batch)
        self.data.draws_per_step = 2
        self.step = 0

    def __call__(self):
        real = self.data.training_batch(self.step)[0].chunk(len(self.generators))
        self.step += 1
        self.critic_optimizer.zero_grad()
        for one, own in zip(self.generators, real, strict=True):
            with torch.no_grad():
                fake = one(torch.randn(self.batch, LATENT))
            between = torch.lerp(own, fake, torch.rand(self.batch, 1)).requires_grad_()
            (slope,) = torch.autograd.grad(self.critic(between).sum(), between, create_graph=True)
            penalty = PENALTY * (slope.norm(dim=1) - 1).square().mean()
            loss = self.critic(fake).mean() - self.critic(own).mean() + penalty
            (loss / len(self.generators)).backward()
        self.critic_optimizer.step()
        for one, optimizer in zip(self.generators, self.optimizers, strict=True):
            optimizer.zero_grad()
            (-self.critic(one(torch.randn(self.batch, LATENT))).mean()).backward()
            optimizer.step()


def seconds(one: Callable[[], None]) -> float:
    start = time.perf_counter()
    one()
    return time.perf_counter() - start


def matmul_peak() -> float:
    """FLOP per second of the best large product."""
    best = 0.0
    for size in (1024, 2048):
        left, right = torch.randn(size, size), torch.randn(size, size)
        product = functools.partial(torch.mm, left, right)
        best = max(best, *(2 * size**3 / seconds(product) for _ in range(8)))
    return best


def compare(particles: int, batch: int, rounds: int) -> dict[str, float]:
    arms = {
        "stacked": Bare(particles, batch),
        "vmap": Bare(particles, batch, use_vmap=True),
        "modules": Modules(particles, batch),
    }
    for arm in arms.values():
        arm()
        arm()
    with FlopCounterMode(display=False) as counter:
        arms["stacked"]()
    times: dict[str, list[float]] = {name: [] for name in arms}
    peaks = []
    for _ in range(rounds):
        peaks.append(matmul_peak())
        for name, arm in arms.items():
            arm()  # the others have left their data in the caches
            times[name].append(seconds(arm))
    row = {f"{name}_ms": 1e3 * statistics.median(values) for name, values in times.items()}
    rate = counter.get_total_flops() / (row["stacked_ms"] / 1e3)
    peak = statistics.median(peaks)
    return {
        "particles": particles,
        "batch": batch,
        **row,
        "gflop": counter.get_total_flops() / 1e9,
        "peak_gflops": peak / 1e9,
        "share_of_peak": rate / peak,
        "speedup_over_modules": row["modules_ms"] / row["stacked_ms"],
        "speedup_over_vmap": row["vmap_ms"] / row["stacked_ms"],
    }


class Clock(pl.Callback):
    """Times whole steps of Lightning's loop, data loading and hooks included."""

    def __init__(self, bare: Bare):
        self.bare, self.times, self.bare_times = bare, [], []
        self.mark: float | None = None

    def on_train_batch_start(self, *_):
        # Everything between two starts is Lightning's; then the bare loop makes one step outside the measurement.
        if self.mark is not None:
            self.times.append(time.perf_counter() - self.mark)
            self.bare_times.append(seconds(self.bare))
        self.mark = time.perf_counter()


def lightning_overhead(particles: int, batch: int, rounds: int) -> dict[str, float]:
    clock = Clock(Bare(particles, batch))
    module = MixedGAN(
        (2,),
        generator,
        critic,
        Wasserstein(GradientPenalty(PENALTY)),
        Alternating(rules(), rules(), 1),
        num_generators=particles,
        ema_decay=EMA,
    )
    trainer = pl.Trainer(
        max_steps=rounds + 5,
        accelerator="cpu",
        devices=1,
        logger=False,
        callbacks=[clock],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
        num_sanity_val_steps=0,
    )
    trainer.fit(module, datamodule=PresetMixture(batch_size=particles * batch))
    inside, bare = statistics.median(clock.times[4:]), statistics.median(clock.bare_times[4:])
    return {
        "particles": particles,
        "batch": batch,
        "lightning_ms": 1e3 * inside,
        "bare_ms": 1e3 * bare,
        "overhead": inside / bare - 1,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--particles", type=int, nargs="+", default=sorted(SHAPES), help="which K to measure")
    parser.add_argument("--output", type=Path, default=Path("runs/benchmarks/step_speed.json"))
    options = parser.parse_args()
    torch.manual_seed(0)
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore")
    results = []
    for threads in options.threads:
        torch.set_num_threads(threads)
        for particles in options.particles:
            batch = SHAPES[particles]
            row = {"threads": threads, **compare(particles, batch, options.rounds)}
            row |= lightning_overhead(particles, batch, 2 * options.rounds)
            results.append(row)
            print("  ".join(f"{name} {value:.3g}" for name, value in row.items()), flush=True)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(results, indent=1))
    print(f"written: {options.output}")


if __name__ == "__main__":
    main()
