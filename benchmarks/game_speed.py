"""Speed of one step of every dynamics against its gradient calls by hand, and of a batch of games against a loop.

    python benchmarks/game_speed.py --rounds 200

A step is traced once: every evaluation it asks for, with the profile, the players and the products with derivatives.
The same calls are then written by hand in torch, as a paper's script would: the payoff as a formula, the weighted sum
over particles, `torch.autograd.grad`, nothing else (`by_hand.py`). Both take turns, round after round, each from the
same state with the same draws; reported are medians over the rounds and the median of the rounds' ratios. Times are
those of the thread, without what other processes took from it; everything in double precision.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from by_hand import Fourier, Payoff, Trace, forsaken
from rich.console import Console
from rich.table import Table

from mixnash.core.dynamics.adaptive_conic_mirror_prox import AdaptiveConicMirrorProx
from mixnash.core.dynamics.adaptive_extragradient_plus import AdaptiveExtragradientPlus
from mixnash.core.dynamics.alternating import Alternating
from mixnash.core.dynamics.base import AbstractDynamics
from mixnash.core.dynamics.bias_corrected_extragradient_plus import BiasCorrectedExtragradientPlus
from mixnash.core.dynamics.competitive import Competitive
from mixnash.core.dynamics.conic_mirror_prox import ConicMirrorProx
from mixnash.core.dynamics.consensus import Consensus
from mixnash.core.dynamics.curvature_extragradient_plus import CurvatureExtragradientPlus
from mixnash.core.dynamics.double_oracle import DoubleOracle
from mixnash.core.dynamics.extragradient import Extragradient
from mixnash.core.dynamics.extragradient_plus import ExtragradientPlus
from mixnash.core.dynamics.lookahead import Lookahead
from mixnash.core.dynamics.mirror_langevin import MirrorLangevin
from mixnash.core.dynamics.mirror_prox_langevin import MirrorProxLangevin
from mixnash.core.dynamics.opponent_averaging import OpponentAveraging
from mixnash.core.dynamics.optimistic import Optimistic
from mixnash.core.dynamics.past_extragradient import PastExtragradient
from mixnash.core.dynamics.proximal_point import ProximalPoint
from mixnash.core.dynamics.reflected import Reflected
from mixnash.core.dynamics.simultaneous import Simultaneous
from mixnash.core.games.forsaken import Forsaken
from mixnash.core.games.fourier import FourierGame
from mixnash.core.games.vectors import VECTOR, AbstractVectorGame
from mixnash.core.random import stream
from mixnash.core.rules.adam import Adam
from mixnash.core.rules.base import AbstractPositionRule, PlayerRules
from mixnash.core.rules.entropic import EntropicMirrorDescent
from mixnash.core.rules.frozen import Frozen
from mixnash.core.rules.langevin import Langevin
from mixnash.core.rules.optimistic_adam import OptimisticAdam
from mixnash.core.rules.sgd import SGD
from mixnash.core.schedules import Polynomial
from mixnash.core.types import (
    AbstractOracle,
    Population,
    Profile,
    RuleState,
)
from mixnash.core.vector_oracle import VectorOracle
from mixnash.equilibrium.linear_program import LinearProgram
from mixnash.solving.recording import RecordingOracle

WARM, STEPS = 7, 10
"""Steps before the traced ones, and traced ones: whole periods of schemes that do something every fifth or tenth."""


def plain(rule: AbstractPositionRule) -> tuple[PlayerRules, PlayerRules]:
    return PlayerRules(rule, Frozen()), PlayerRules(rule, Frozen())


def weighted(rule: AbstractPositionRule) -> tuple[PlayerRules, PlayerRules]:
    return PlayerRules(rule, EntropicMirrorDescent(0.1)), PlayerRules(rule, EntropicMirrorDescent(0.1))


STEP = 0.01
POINTS: dict[str, Callable[[], AbstractDynamics]] = {
    "Simultaneous": lambda: Simultaneous(*plain(SGD(STEP))),
    "Simultaneous, Optimistic Adam": lambda: Simultaneous(*plain(OptimisticAdam(STEP))),
    "Alternating": lambda: Alternating(*plain(SGD(STEP))),
    "Extragradient": lambda: Extragradient(*plain(SGD(STEP))),
    "ExtraAdam": lambda: Extragradient(*plain(Adam(STEP)), carry_state=True),
    "Optimistic": lambda: Optimistic(*plain(SGD(STEP))),
    "PastExtragradient": lambda: PastExtragradient(*plain(SGD(STEP))),
    "Reflected": lambda: Reflected(*plain(SGD(STEP))),
    "Lookahead": lambda: Lookahead(Simultaneous(*plain(SGD(STEP)))),
    "ProximalPoint": lambda: ProximalPoint(*plain(SGD(STEP))),
    "ExtragradientPlus": lambda: ExtragradientPlus(STEP),
    "AdaptiveExtragradientPlus": lambda: AdaptiveExtragradientPlus(STEP),
    "CurvatureExtragradientPlus": lambda: CurvatureExtragradientPlus(),
    "BiasCorrectedExtragradientPlus": lambda: BiasCorrectedExtragradientPlus(STEP, 0.5),
    "Consensus": lambda: Consensus(STEP, 0.5),
    "Competitive": lambda: Competitive(STEP),
}
"""Schemes for points."""

MIXTURES: dict[str, Callable[[], AbstractDynamics]] = {
    "Simultaneous, Langevin": lambda: Simultaneous(*plain(Langevin(STEP, 0.1))),
    "Wasserstein-Fisher-Rao": lambda: ConicMirrorProx(*weighted(SGD(STEP)), sweeps=1),
    "Mirror prox (weights, positions)": lambda: Extragradient(*weighted(SGD(STEP))),
    "ConicMirrorProx": lambda: ConicMirrorProx(*weighted(SGD(STEP))),
    "AdaptiveConicMirrorProx": lambda: AdaptiveConicMirrorProx(),
    "OpponentAveraging": lambda: OpponentAveraging(*plain(Langevin(STEP, 0.1)), Polynomial(1.0, 1.0), 16),
    "MirrorLangevin": lambda: MirrorLangevin(*plain(Langevin(STEP, 0.1)), 5),
    "MirrorLangevin, frozen": lambda: MirrorLangevin(*plain(Langevin(STEP, 0.1)), 5, co_evolving=False),
    "MirrorProxLangevin": lambda: MirrorProxLangevin(*plain(Langevin(STEP, 0.1)), 5),
    "DoubleOracle": lambda: DoubleOracle(SGD(STEP), SGD(STEP), LinearProgram(), 100, 0.05),
}
"""Schemes for weighted particles."""


# ---------------------------------------------------------------------- measurements


def seconds(one: Callable[[], object]) -> float:
    start = time.thread_time()
    one()
    return time.thread_time() - start


def play(dynamics: AbstractDynamics, state: RuleState, oracle: AbstractOracle, steps: int) -> RuleState:
    rng = stream(torch.device("cpu"), 1)
    for _ in range(steps):
        state, _ = dynamics.step(state, oracle, rng)
    return state


def compare(dynamics: AbstractDynamics, setting: "Setting", rounds: int, budget: float) -> dict[str, float]:
    """Steps and calls in turns: microseconds per step, calls per step, and the ratio."""
    oracle = VectorOracle(setting.game)
    state = play(dynamics, dynamics.init(setting.profile()), oracle, WARM)
    counted = RecordingOracle(oracle)
    trace = Trace(counted, setting.payoff)
    play(dynamics, state, trace, STEPS)

    def by_hand() -> None:
        for call in trace.calls:
            call()

    ours, hand = [], []
    start = time.thread_time()
    while len(ours) < rounds and (len(ours) < 5 or time.thread_time() - start < budget):
        ours.append(seconds(lambda: play(dynamics, state, oracle, STEPS)))
        hand.append(seconds(by_hand))
    return {
        "rounds": len(ours),
        "gradient_calls": counted.gradient_calls / STEPS,
        "step_microseconds": 1e6 * statistics.median(ours) / STEPS,
        "by_hand_microseconds": 1e6 * statistics.median(hand) / STEPS,
        "ratio": statistics.median(a / b for a, b in zip(ours, hand, strict=True)),
    }


def batch(games: int, singles: int, steps: int, rounds: int) -> dict[str, float]:
    """Conic mirror prox on random Fourier games: all as one batch, and some of them one after the other."""
    many = FourierGame.random(3, 0, games=(games,))
    few = [FourierGame.random(3, seed) for seed in range(singles)]
    dynamics = ConicMirrorProx(*weighted(SGD(STEP)))
    start = dynamics.init(particles(5, 6, games))
    starts = [dynamics.init(particles(5, 6)) for _ in few]

    def together() -> None:
        play(dynamics, start, VectorOracle(many), steps)

    def one_by_one() -> None:
        for game, own in zip(few, starts, strict=True):
            play(dynamics, own, VectorOracle(game), steps)

    together()
    times = [(seconds(together), seconds(one_by_one) * games / singles) for _ in range(rounds)]
    return {
        "games": games,
        "measured_one_by_one": singles,
        "steps": steps,
        "rounds": rounds,
        "batch_seconds": statistics.median(a for a, _ in times),
        "one_by_one_seconds": statistics.median(b for _, b in times),
        "fraction": statistics.median(a / b for a, b in times),
    }


def particles(rows: int, columns: int, *games: int) -> Profile:
    """Uniform draws of unequal weight."""
    rng = stream(torch.device("cpu"), 2)

    def some(count: int) -> Population:
        positions = torch.rand(*games, count, 1, generator=rng, dtype=torch.float64)
        heights = torch.rand(*games, count, generator=rng, dtype=torch.float64)
        return Population({VECTOR: positions}, torch.log_softmax(heights, -1))

    return Profile(some(rows), some(columns))


def print_steps(rows: list[dict[str, float | str]], threads: int) -> None:
    table = Table(title=f"One step against its gradient calls by hand, {threads} thread(s)", title_justify="left")
    table.add_column("game")
    table.add_column("dynamics")
    for name in ("calls", "step, us", "by hand, us", "ratio", "rounds"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            str(row["game"]),
            str(row["dynamics"]),
            f"{row['gradient_calls']:g}",
            f"{row['step_microseconds']:.0f}",
            f"{row['by_hand_microseconds']:.0f}",
            f"{row['ratio']:.2f}",
            str(row["rounds"]),
        )
    Console(width=120).print(table)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--budget", type=float, default=5.0, help="seconds per row after which no round begins")
    parser.add_argument("--only", default="", help="measure the dynamics whose names contain this")
    parser.add_argument("--games", type=int, default=1000, help="in the batch; 0 to leave it out")
    parser.add_argument("--output", type=Path, default=Path("runs/benchmarks/game_speed.json"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows: list[dict[str, float | str]] = []
    for name, setting in SETTINGS.items():
        for dynamics, make in setting.methods.items():
            if options.only in dynamics:
                row = compare(make(), setting, options.rounds, options.budget)
                rows.append({"game": name, "dynamics": dynamics, **row})
    print_steps(rows, options.threads)
    report: dict[str, object] = {"threads": options.threads, "steps": rows}
    if options.games:
        found = batch(options.games, 30, 20, 5)
        report["batch"] = found
        print("  ".join(f"{name} {value:.3g}" for name, value in found.items()))
        print("one_by_one_seconds is extrapolated from the games that were measured")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(report, indent=1))
    print(f"written: {options.output}")


class Setting(NamedTuple):
    """A game, the same by hand, a start, and who plays."""

    game: AbstractVectorGame
    payoff: Payoff
    profile: Callable[[], Profile]
    methods: dict[str, Callable[[], AbstractDynamics]]


SETTINGS = {
    "Forsaken, 1 + 1": Setting(Forsaken(), forsaken, lambda: particles(1, 1), POINTS | MIXTURES),
    "Fourier, 1 + 1": Setting(FourierGame.random(3, 0), Fourier(3, 0), lambda: particles(1, 1), POINTS | MIXTURES),
    "Fourier, 5 + 6": Setting(FourierGame.random(3, 0), Fourier(3, 0), lambda: particles(5, 6), MIXTURES),
}


if __name__ == "__main__":
    main()
