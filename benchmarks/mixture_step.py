"""Cost of a mixture's step against a single network's with the same total number of sample evaluations.

    python benchmarks/mixture_step.py --rounds 15

K generators with b samples each against one generator of the same width with K b samples; the same critic, game, data
and rules. Both take turns within one process, in alternating order. Times are CPU times of the process; reported are
medians over the rounds and the median of the rounds' ratios, with its quartiles. Besides the steps, their parts are
measured alone where a mixture differs: generating the samples with gradients, and the rule's update of K times as many
parameters.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from mixnash.core.dynamics.alternating import Alternating
from mixnash.core.dynamics.simultaneous import Simultaneous
from mixnash.core.feedback import GameOracle
from mixnash.core.games.constraints import GradientPenalty
from mixnash.core.games.wasserstein import Wasserstein
from mixnash.core.population import make_population, stack
from mixnash.core.random import Purpose, stream
from mixnash.core.rules.adam import Adam
from mixnash.core.rules.base import PlayerRules
from mixnash.core.rules.frozen import Frozen
from mixnash.core.types import Networks, Profile
from mixnash.data.mixtures import PresetMixture
from mixnash.lit.draws import StepDraws
from mixnash.networks.base import functions_of, parameters_of
from mixnash.networks.mlp import MLPCritic, MLPGenerator

LATENT, DEPTH, CRITIC_WIDTH, OCTAVES, PERIOD = 2, 3, 64, 6, 8.0
REAL = 512
TARGET = 1.15
DYNAMICS = {
    "Alternating, 3 critic steps": lambda: Alternating(rules(), rules(), 3),
    "Simultaneous": lambda: Simultaneous(rules(), rules()),
}


def rules():
    return PlayerRules(Adam(5e-4, 0.0, 0.99), Frozen())


class Training:
    """Steps of a mixture of K generators with `own` samples each, on data drawn beforehand."""

    def __init__(self, generators: int, own: int, width: int, dynamics: str):
        torch.manual_seed(0)
        makers = [MLPGenerator((2,), LATENT, width, DEPTH) for _ in range(generators)]
        critic = MLPCritic((2,), CRITIC_WIDTH, DEPTH, octaves=OCTAVES, period=PERIOD)
        self.networks = Networks(functions_of(makers[0]), functions_of(critic))
        self.params = stack([parameters_of(one) for one in makers])
        profile = Profile(make_population(self.params), make_population(stack([parameters_of(critic)])))
        self.game = Wasserstein(GradientPenalty(1.0, one_sided=True))
        self.dynamics = DYNAMICS[dynamics]()
        self.state = self.dynamics.init(profile)
        data = PresetMixture("pacgan-grid", batch_size=REAL)
        data.draws_per_step = self.dynamics.draws_per_step
        self.real = data.training_batch(0)
        self.generators, self.own, self.made = generators, own, 0
        self.latent = torch.randn(generators, own, LATENT)
        self.memory = None

    def step(self):
        draws = StepDraws(self.real, 0, self.made, LATENT, self.generators, self.own, self.own)
        rng = stream(torch.device("cpu"), 0, Purpose.POSITION_NOISE, self.made)
        oracle = GameOracle(self.game, self.networks, draws)
        self.state, _ = self.dynamics.step(self.state, oracle, rng)
        self.made += 1

    def generate(self):
        """All samples once, and their gradients."""
        leaves = {name: leaf.detach().requires_grad_() for name, leaf in self.params.items()}
        values = self.networks.generator.stacked(leaves, self.latent)
        self.gradients = dict(zip(leaves, torch.autograd.grad(values.sum(), list(leaves.values())), strict=True))

    def update(self):
        """One update by the rule alone."""
        rule = Adam(5e-4, 0.0, 0.99)
        if self.memory is None:
            self.generate()
            self.memory = rule.init(self.params)
        _, self.memory = rule.update(self.params, self.gradients, self.memory, stream(torch.device("cpu"), 0))


def seconds(one: Callable[[], object], repeats: int) -> float:
    start = time.process_time()
    for _ in range(repeats):
        one()
    return (time.process_time() - start) / repeats


def compare(generators: int, own: int, width: int, dynamics: str, rounds: int, repeats: int) -> dict[str, object]:
    arms = {
        "mixture": Training(generators, own, width, dynamics),
        "single": Training(1, generators * own, width, dynamics),
    }
    parts = ("step", "generate", "update")
    times: dict[tuple[str, str], list[float]] = {(name, part): [] for name in arms for part in parts}
    for arm in arms.values():
        for part in parts:
            getattr(arm, part)()
            getattr(arm, part)()
    for turn in range(rounds):
        order = list(arms) if turn % 2 == 0 else list(reversed(arms))
        for part in parts:
            for name in order:
                times[name, part].append(seconds(getattr(arms[name], part), repeats))
    row: dict[str, object] = {"dynamics": dynamics, "generators": generators, "own_samples": own, "width": width}
    for part in parts:
        for name in arms:
            row[f"{name}_{part}_ms"] = 1e3 * statistics.median(times[name, part])
    ratios = [a / b for a, b in zip(times["mixture", "step"], times["single", "step"], strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else (ratios[0],) * 3
    extra = {part: float(row[f"mixture_{part}_ms"]) - float(row[f"single_{part}_ms"]) for part in parts}
    return row | {"ratio": middle, "quartiles": [low, high], "extra_ms": extra, "within": middle <= TARGET}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--generators", type=int, nargs="+", default=[8, 16, 25, 64])
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 128])
    parser.add_argument("--samples", type=int, default=640, help="of all generators together; rounded up to K b")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--repeats", type=int, default=3, help="steps timed together")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("runs/benchmarks/mixture_step.json"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    about = {"cores": os.cpu_count(), "threads": options.threads, "torch": torch.__version__}
    print("  ".join(f"{name} {value}" for name, value in about.items()))
    rows = []
    for dynamics in DYNAMICS:
        for width in options.widths:
            for count in options.generators:
                own = -(-options.samples // count)
                row = compare(count, own, width, dynamics, options.rounds, options.repeats)
                rows.append(row)
                print(
                    f"{dynamics:28} width {width:4} K {count:3} b {own:3}  "
                    f"mixture {row['mixture_step_ms']:6.2f} ms  single {row['single_step_ms']:6.2f} ms  "
                    f"ratio {row['ratio']:.2f} [{row['quartiles'][0]:.2f}, {row['quartiles'][1]:.2f}]  extra: "
                    + ", ".join(f"{part} {value:+.2f}" for part, value in row["extra_ms"].items()),
                    flush=True,
                )
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps({**about, "rows": rows}, indent=1))
    print(f"written: {options.output}")


if __name__ == "__main__":
    main()
