"""What a training step costs with fused rules, compiled networks and bfloat16, side by side on one thread.

    python benchmarks/step_options.py

The alternatives take turns; reported are medians of the rounds, and times as fast as the plain step. "update" is the
rules of both players alone. What compiling takes at the first step is reported apart.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import torch

from mixnash.core.dynamics.alternating import Alternating
from mixnash.core.feedback import GameOracle, feedback
from mixnash.core.games.constraints import GradientPenalty
from mixnash.core.games.wasserstein import Wasserstein
from mixnash.core.population import make_population, stack
from mixnash.core.rules.adam import Adam
from mixnash.core.rules.base import AbstractPositionRule, PlayerRules
from mixnash.core.rules.frozen import Frozen
from mixnash.core.types import BOTH, Batch, Networks, Profile
from mixnash.lit.compiled import compiled
from mixnash.lit.mixed_precision import NetworkPrecision
from mixnash.networks.base import functions_of, parameters_of
from mixnash.networks.dcgan import DCGANCritic, DCGANGenerator
from mixnash.networks.mlp import MLPCritic, MLPGenerator

PROBLEMS = {
    "MLP K=16": (16, 64, (2,), lambda shape: MLPGenerator(shape, 2, 128, 3), lambda shape: MLPCritic(shape, 128, 3)),
    "DCGAN K=4": (4, 8, (1, 28, 28), lambda shape: DCGANGenerator(shape, width=16), lambda s: DCGANCritic(s, width=16)),
}


class PlainAdam(AbstractPositionRule):
    """Adam written out."""

    def __init__(self, rule: Adam):
        self.rule = rule

    def init(self, params):
        return self.rule.init(params)

    def update(self, params, grads, state, rng):
        return self.rule.plain_update(params, grads, state)

    def diagnostics(self, state):
        return self.rule.diagnostics(state)


class Problem:
    """One population and one batch of draws."""

    def __init__(self, particles, samples, shape, generator, critic):
        generators, critics = [generator(shape) for _ in range(particles)], [critic(shape)]
        self.networks = Networks(functions_of(generators[0]), functions_of(critics[0]))
        self.profile = Profile(
            *(make_population(stack([parameters_of(one) for one in all_])) for all_ in (generators, critics))
        )
        self.batch = Batch(
            torch.randn(1, particles * samples, *shape),
            torch.randn(particles, samples, generators[0].latent_dim),
            torch.randn(particles, samples, *shape),
            torch.rand(particles, samples),
        )
        self.game = Wasserstein(GradientPenalty(1.0))

    def step(self, rule, networks):
        rules = PlayerRules(rule, Frozen())
        dynamics = Alternating(rules, rules)
        oracle = GameOracle(self.game, networks, lambda _: self.batch)
        state, rng = [dynamics.init(self.profile)], torch.Generator()

        def one():
            state[0], _ = dynamics.step(state[0], oracle, rng)

        return one

    def update(self, rule):
        seen = feedback(self.game, self.networks, self.profile, self.batch, BOTH)
        state = [rule.init(one.params) for one in self.profile]
        rng = torch.Generator()

        def one():
            for index, (player, grads) in enumerate(zip(self.profile, seen[-2:], strict=True)):
                state[index] = rule.update(player.params, grads, state[index], rng)[1]

        return one


def seconds(one):
    start = time.perf_counter()
    one()
    return time.perf_counter() - start


def in_turns(arms, rounds):
    first = {name: seconds(arm) for name, arm in arms.items()}
    for arm in arms.values():
        arm()
    times = {name: [] for name in arms}
    for _ in range(rounds):
        for name, arm in arms.items():
            times[name].append(seconds(arm))
    return first, {name: statistics.median(one) for name, one in times.items()}


def row(problem, beta1, rounds):
    fused = Adam(1e-3, beta1, 0.9)
    plain = PlainAdam(fused)
    _, updates = in_turns({"plain": problem.update(plain), "fused": problem.update(fused)}, 3 * rounds)
    networks, bfloat16 = problem.networks, NetworkPrecision(torch.bfloat16)
    arms = {"plain": problem.step(plain, networks), "fused": problem.step(fused, networks)}
    if beta1 == 0:
        arms["compiled"] = problem.step(fused, compiled(networks))
        arms["bfloat16"] = problem.step(fused, bfloat16.around(networks))
    first, steps = in_turns(arms, rounds)
    found = {f"{name}_ms": 1e3 * one for name, one in steps.items()}
    found |= {f"{name}_speedup": steps["plain"] / one for name, one in steps.items() if name != "plain"}
    found |= {f"update_{name}_ms": 1e3 * one for name, one in updates.items()}
    found["update_speedup"] = updates["plain"] / updates["fused"]
    if "compiled" in first:
        found["compilation_s"] = first["compiled"]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--output", type=Path, default=Path("runs/benchmarks/step_options.json"))
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    results = []
    for name, sizes in PROBLEMS.items():
        problem = Problem(*sizes)
        for beta1 in (0.0, 0.5):
            results.append({"problem": name, "beta1": beta1, **row(problem, beta1, options.rounds)})
            texts = {key: f"{one:.3g}" if isinstance(one, float) else one for key, one in results[-1].items()}
            print("  ".join(f"{key} {one}" for key, one in texts.items()), flush=True)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(results, indent=1))
    print(f"written: {options.output}")


if __name__ == "__main__":
    main()
