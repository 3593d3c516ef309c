"""How much faster two processes train than one, with one thread each: figure 1 of docs/scaling.md.

    OMP_NUM_THREADS=1 python benchmarks/scaling.py --rounds 7

Everything takes turns within one run: one process alone, two in particle parallel, two in data parallel, and two that
train independently of each other. The last is the machine's own limit: cores share caches and memory, so that two
processes that exchange nothing may still not do twice the work of one.

Reported are medians over rounds of the speed-up within a round and its range; the same by processor time, which others
on the machine disturb less, and which leaves waiting out; bytes that one process contributes per step, and the share of
the time in exchanges, waiting for the other process included. A step is one of `MixedGAN`: data, draws, dynamics,
weights and moving average, without Lightning around it. `--widths` repeats particle parallel for other widths: what
travels does not depend on them.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from mixnash.core.dynamics.alternating import Alternating
from mixnash.core.feedback import GameOracle, feedback
from mixnash.core.games.constraints import GradientPenalty
from mixnash.core.games.wasserstein import Wasserstein
from mixnash.core.population import make_population, stack
from mixnash.core.random import Purpose, StepNoise
from mixnash.core.rules.adam import Adam
from mixnash.core.rules.base import PlayerRules
from mixnash.core.rules.entropic import EntropicMirrorDescent
from mixnash.core.types import Networks, Player, Population, Profile
from mixnash.data.mixtures import PresetMixture
from mixnash.lit.draws import StepDraws
from mixnash.lit.parallel.mesh import Mesh, make_mesh
from mixnash.lit.parallel.ownership import Ownership
from mixnash.lit.parallel.traffic import Traffic
from mixnash.lit.particles import AveragedParams
from mixnash.lit.reduce import combine
from mixnash.networks.base import functions_of, parameters_of
from mixnash.networks.dcgan import DCGANCritic, DCGANGenerator
from mixnash.networks.mlp import MLPCritic, MLPGenerator


def mlps(shape, width):
    return MLPGenerator(shape, 2, width, 3), MLPCritic(shape, width, 3)


def dcgans(shape, width):
    return DCGANGenerator(shape, width=width), DCGANCritic(shape, width=width)


class Problem(NamedTuple):
    """What is trained."""

    generators: int
    critics: int
    batch: int
    """B; B / K latents per generator."""
    event: tuple[int, ...]
    networks: Callable
    width: int
    steps: int
    """In one turn."""


PROBLEMS = {  # batches as in the experiments gaussians25 and cifar10_mixed
    "MLP K=16 L=16": Problem(16, 16, 512, (2,), mlps, 128, 5),
    "MLP K=16 L=2": Problem(16, 2, 512, (2,), mlps, 128, 20),
    "MLP K=16 L=1": Problem(16, 1, 512, (2,), mlps, 128, 40),
    "DCGAN K=4 L=4": Problem(4, 4, 128, (1, 28, 28), dcgans, 16, 2),
}


class Images:
    """Pictures in memory, as sets of images keep them, with the arguments of data modules."""

    batch_place, whole_batches, draws_per_step = (0, 1), False, 1

    def __init__(self, event, batch_size):
        self._images = torch.rand(2000, *event, generator=torch.Generator().manual_seed(0)) * 2 - 1
        self.batch_size = batch_size

    def training_batch(self, step):
        rank, processes = self.batch_place
        share = self.batch_size // processes
        count = self.draws_per_step * self.batch_size
        rows = torch.arange(step * count, (step + 1) * count) % len(self._images)
        return torch.stack([self._images[own[rank * share :][:share]] for own in rows.split(self.batch_size)])


class Training:
    """One run, or this process's part of it."""

    def __init__(self, problem: Problem, mesh: Mesh):
        torch.manual_seed(0)
        K, L = problem.generators, problem.critics
        pairs = [problem.networks(problem.event, problem.width) for _ in range(max(K, L))]
        generators, critics = [one for one, _ in pairs[:K]], [one for _, one in pairs[:L]]
        self.networks = Networks(functions_of(generators[0]), functions_of(critics[0]))
        self.traffic, self.mesh, self.problem = Traffic(), mesh, problem
        self.own = Ownership(mesh, K, L, self.traffic)
        profile = Profile(
            *(
                self._kept(player, make_population(stack([parameters_of(one) for one in all_])))
                for player, all_ in ((Player.GENERATOR, generators), (Player.CRITIC, critics))
            )
        )
        rules = PlayerRules(Adam(1e-4, 0.5, 0.9), EntropicMirrorDescent(0.1))
        self.dynamics = Alternating(rules, rules)
        self.state = self.dynamics.init(profile)
        self.average = AveragedParams(profile.generators.params, 0.99)
        self.game = Wasserstein(GradientPenalty(1.0))
        self.latent = generators[0].latent_dim
        images = len(problem.event) == 3
        self.data = (
            Images(problem.event, problem.batch)
            if images
            else PresetMixture("wgangp-grid", batch_size=problem.batch, seed=3)
        )
        self.data.draws_per_step = self.dynamics.draws_per_step
        self.data.batch_place = mesh.data_index, mesh.data_ranks
        self.made = 0

    def _kept(self, player, population):
        cut = self.own.shares[player].cut
        return Population({name: leaf[cut].clone() for name, leaf in population.params.items()}, population.log_weights)

    def step(self):
        samples = -(-self.problem.batch // self.problem.generators)
        draws = StepDraws(
            self.data.training_batch(self.made),
            0,
            self.made,
            self.latent,
            self.problem.generators,
            samples,
            samples,
            rank=self.mesh.data_index,
            world_size=self.mesh.data_ranks,
            training=True,
        )
        oracle = GameOracle(
            self.game,
            self.networks,
            draws,
            lambda seen: combine(seen, self.mesh, self.traffic),
            self.own.evaluated(feedback),
        )
        rng = StepNoise(torch.device("cpu"), (0, Purpose.POSITION_NOISE, self.made), self.own.shares)
        self.state, _ = self.dynamics.step(self.state, oracle, rng)
        self.made += 1
        self.average.update(self.dynamics.profile(self.state).generators.params, self.made)


class Turn(NamedTuple):
    """Of one step."""

    seconds: float
    processor_seconds: float
    bytes_sent: float
    waiting: float
    """Share of the time."""


def turn(training, steps):
    """One turn from a common start; times are of the slowest process."""
    dist.barrier()
    bytes_before, waited_before = training.traffic.bytes_sent, training.traffic.seconds
    start, busy = time.perf_counter(), time.process_time()
    for _ in range(steps):
        training.step()
    times = torch.tensor([time.perf_counter() - start, time.process_time() - busy])
    waiting = (training.traffic.seconds - waited_before) / float(times[0])
    sent = (training.traffic.bytes_sent - bytes_before) / steps
    dist.all_reduce(times, dist.ReduceOp.MAX)
    return Turn(*(times / steps).tolist(), sent, waiting)


def measure(problem, rounds):
    """All arms in turns; on the first process, what there is to report."""
    meshes = {"data": make_mesh("cpu", 1)}
    if min(problem.generators, problem.critics) >= 2:
        meshes["particle"] = make_mesh("cpu", 2)
    arms = {name: Training(problem, mesh) for name, mesh in meshes.items()}
    alone = Training(problem, Mesh())
    found = {name: [] for name in ("one", "independent", *arms)}
    for number in range(-1, rounds):  # the first round warms up
        order = list(found) if number % 2 else list(reversed(found))
        for name in order:
            if name == "one":  # the second process waits at the next barrier
                one = turn(alone, problem.steps) if dist.get_rank() == 0 else turn(_Idle(), problem.steps)
            else:
                one = turn(arms.get(name, alone), problem.steps)
            if number >= 0:
                found[name].append(one)
    report = {"one_ms": 1e3 * statistics.median(one.seconds for one in found["one"])}
    for name in found:
        if name == "one":
            continue
        work = 2 if name == "independent" else 1
        pairs = list(zip(found["one"], found[name], strict=True))
        ratios = [work * one.seconds / other.seconds for one, other in pairs]
        report[f"{name}_speedup"] = statistics.median(ratios)
        report[f"{name}_range"] = [min(ratios), max(ratios)]
        report[f"{name}_processor_speedup"] = statistics.median(
            work * one.processor_seconds / other.processor_seconds for one, other in pairs
        )
        if name in arms:
            report[f"{name}_bytes"] = found[name][-1].bytes_sent
            report[f"{name}_communication"] = statistics.median(one.waiting for one in found[name])
    return report


class _Idle:
    """Nothing to do."""

    traffic = Traffic()

    def step(self):
        pass


def worker(rank, options, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    results = {}
    for name, problem in PROBLEMS.items():
        if options.only in name:
            results[name] = measure(problem, options.rounds)
            show(rank, name, results[name])
    for width in options.widths:
        problem = PROBLEMS["MLP K=16 L=16"]._replace(width=width, steps=2)
        results[f"width {width}"] = measure(problem, 1)
        show(rank, f"width {width}", results[f"width {width}"])
    if rank == 0:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(results, indent=1))
        print(f"written: {options.output}")
    dist.destroy_process_group()


def show(rank, name, report):
    if rank == 0:
        print(name)
        for key, value in report.items():
            text = "  ".join(f"{one:.3g}" for one in value) if isinstance(value, list) else f"{value:,.4g}"
            print(f"  {key:<32}{text}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="", help="problems whose name holds this")
    parser.add_argument("--widths", type=int, nargs="*", default=[64, 128, 256])
    parser.add_argument("--output", type=Path, default=Path("runs/benchmarks/scaling.json"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        mp.spawn(worker, args=(options, folder), nprocs=2)


if __name__ == "__main__":
    main()
