r"""Max-min of :math:`f(w, x) = wx - w^2 x^2`: traps all around the equilibrium, and who gets out of them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import final

import numpy as np
import torch
from scipy.stats import binomtest
from torch import Tensor

from mixnash.core.domains import Box
from mixnash.core.dynamics.base import AbstractDynamics
from mixnash.core.dynamics.mirror_langevin import MirrorLangevin
from mixnash.core.dynamics.mirror_prox_langevin import MirrorProxLangevin
from mixnash.core.dynamics.simultaneous import Simultaneous
from mixnash.core.games.vectors import VECTOR
from mixnash.core.games.weird_saddle import WeirdSaddle
from mixnash.core.rules.base import PlayerRules
from mixnash.core.rules.frozen import Frozen
from mixnash.core.rules.langevin import Langevin
from mixnash.core.schedules import AbstractSchedule, Cosine
from mixnash.core.types import Population, Profile
from mixnash.core.vector_oracle import VectorOracle
from mixnash.figures.outcomes import success_bars
from mixnash.reproduction.base import AbstractReproduction, Advance, Check, Findings
from mixnash.reproduction.methods import METHODS
from mixnash.solving.recording import RecordingOracle

OUTER, INNER = 1200, 100
CALLS = OUTER * INNER
"""Gradient calls of every method; the chains against a frozen opponent make two half calls per update."""
SEEDS = 50
SOLVED = 0.05
"""|f| below this is a success: the traps have f = 1/4, the equilibrium (0, 0) has f = 0."""
_LOOK = 500
"""Gradient calls between two looks at whether anything still moves."""
CHAIN_STEP, NOISE = 0.1, 0.01
"""Step and noise psi of the published experiment; the temperature is psi^2."""
ANNEALED = 0.1
"""Noise psi at which annealing begins; it ends at 0."""
STARTS: Mapping[str, tuple[float, float] | None] = {
    "(-0.2, -0.6)": (-0.2, -0.6),
    "(0.926, 0.941)": (0.926, 0.941),
    "uniform in [-2, 2]²": None,
}
"""(w, x): w maximises, x minimises; None: a start per seed."""


def _rules(temperature: float | AbstractSchedule) -> tuple[PlayerRules, PlayerRules]:
    rule = PlayerRules(Langevin(CHAIN_STEP, temperature), Frozen())
    return rule, rule


def _chain(temperature: float | AbstractSchedule, damping: float = 0.5, co_evolving: bool = True) -> AbstractDynamics:
    return MirrorLangevin(*_rules(temperature), INNER, damping, damping, co_evolving)


def _cosine(updates: int) -> AbstractSchedule:
    return Cosine(ANNEALED**2, 0.0, updates)


ENTRIES: Mapping[str, Callable[[], AbstractDynamics]] = {
    "GDA": lambda: METHODS["GDA"](0.05),
    "EG": lambda: METHODS["EG"](0.05),
    "OGDA": lambda: METHODS["OGDA"](0.05),
    "PPM": lambda: METHODS["PPM"](0.05),
    "Lookahead GDA": lambda: METHODS["LA-GDA"](0.05),
    "noisy GDA": lambda: Simultaneous(*_rules(NOISE**2)),
    "noisy GDA, annealed": lambda: Simultaneous(*_rules(_cosine(CALLS))),
    "MixedNE-LD": lambda: _chain(NOISE**2),
    "MixedNE-LD, no noise": lambda: _chain(0.0),
    "MixedNE-LD, frozen opponent": lambda: _chain(NOISE**2, co_evolving=False),
    "MixedNE-LD, beta 0.9": lambda: _chain(NOISE**2, 0.9),
    "mirror prox LD": lambda: MirrorProxLangevin(*_rules(NOISE**2), INNER),
    "MixedNE-LD, annealed": lambda: _chain(_cosine(CALLS)),
}
"""Every method at equal gradient calls."""


def play_seeds(
    make: Callable[[], AbstractDynamics], start: tuple[float, float] | None, seeds: int, calls: int
) -> Tensor:
    """Final values f [seeds]; all seeds are played as one batch of games."""
    rng = torch.Generator().manual_seed(20260 + seeds)
    box = Box([-2.0], [2.0])
    if start is None:
        y, x = (box.sample(seeds, rng).unsqueeze(1) for _ in range(2))
    else:
        y, x = (torch.full((seeds, 1, 1), one, dtype=torch.float64) for one in start)
    dynamics, game = make(), WeirdSaddle(box, box)
    weights = torch.zeros(seeds, 1, dtype=torch.float64)
    state = dynamics.init(Profile(Population({VECTOR: x}, weights), Population({VECTOR: y}, weights)))
    oracle, before, looked = RecordingOracle(VectorOracle(game)), dynamics.profile(state), 0.0
    while oracle.gradient_calls < calls:
        state, _ = dynamics.step(state, oracle, rng)
        if oracle.gradient_calls - looked >= _LOOK:
            looked = oracle.gradient_calls
            now = dynamics.profile(state)
            if _same(before, now):
                break  # nothing has moved by one bit: there is no noise, and nothing ever will
            before = now
    end = dynamics.profile(state)
    return game.payoff(end.generators.params[VECTOR], end.critics.params[VECTOR]).squeeze(-1)


def _same(one: Profile, other: Profile) -> bool:
    return all(torch.equal(a.params[VECTOR], b.params[VECTOR]) for a, b in zip(one, other, strict=True))


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson, 1927); rounding must not put the share itself outside."""
    interval, share = binomtest(successes, trials).proportion_ci(method="wilson"), successes / trials
    return min(float(interval.low), share), max(float(interval.high), share)


@final
class EscapingTraps(AbstractReproduction):
    """Success over 50 seeds from three starts, every method at 120,000 gradient calls.

    All points of the hyperbola wx = 1/2 are stationary, none is an equilibrium. The published co-evolving chain escapes
    them from one start; annealing its noise from 0.1 to 0 escapes them from every start.
    """

    summary = "max-min of -w²x² + wx from three starts: success of all methods over 50 seeds"
    parts = len(ENTRIES) * len(STARTS)

    def run(self, advance: Advance, short: bool, folder: Path) -> Findings:
        """Shares of seeds that end at the equilibrium's value."""
        del folder
        seeds, calls = (3, INNER) if short else (SEEDS, CALLS)
        values: dict[str, dict[str, Tensor]] = {}
        for label, start in STARTS.items():
            values[label] = {}
            for name, make in ENTRIES.items():
                advance(f"{name} from {label}")
                again = short and label != next(iter(STARTS))
                values[label][name] = (
                    values[next(iter(STARTS))][name] if again else play_seeds(make, start, seeds, calls)
                )
        wins = {
            label: {name: int((one.abs() < SOLVED).sum()) for name, one in row.items()} for label, row in values.items()
        }
        figure = success_bars(
            list(wins),
            list(ENTRIES),
            np.array([[row[name] / seeds for name in ENTRIES] for row in wins.values()]),
            np.array([[wilson(row[name], seeds)[0] for name in ENTRIES] for row in wins.values()]),
            np.array([[wilson(row[name], seeds)[1] for name in ENTRIES] for row in wins.values()]),
            f"Escaping the traps of wx - w²x²: seeds with |f| < {SOLVED} after {calls:,} gradient calls",
        )
        numbers = {
            label: {
                name: {
                    "successes": wins[label][name],
                    "seeds": seeds,
                    "interval": wilson(wins[label][name], seeds),
                    "median_value": float(one.median()),
                }
                for name, one in row.items()
            }
            for label, row in values.items()
        }
        return Findings({"success": figure}, numbers, _checks(values, wins))


def _checks(values: dict[str, dict[str, Tensor]], wins: dict[str, dict[str, int]]) -> list[Check]:
    near, far, _ = STARTS
    trapped = float(values[near]["GDA"].median())
    easy, hard, tuned = wins[near]["MixedNE-LD"], wins[far]["MixedNE-LD"], wins[far]["MixedNE-LD, annealed"]
    everywhere = min(row["MixedNE-LD, annealed"] for row in wins.values())
    return [
        Check(f"value at which GDA ends from {near}", "0.25, trapped", f"{trapped:.4f}", abs(trapped - 0.25) < 1e-3),
        Check(f"co-evolving chain from {near}", "at least 48 of 50", f"{easy} of {SEEDS}", easy >= 48),
        Check(
            f"co-evolving chain from {far}",
            "54 % in an independent trial",
            f"{hard / SEEDS:.0%}",
            0.34 <= hard / SEEDS <= 0.74,
        ),
        Check(f"annealed chain from {far}", "above 54 %", f"{tuned / SEEDS:.0%}", tuned / SEEDS > 0.54),
        Check("annealed chain, worst start", "above 54 %", f"{everywhere / SEEDS:.0%}", everywhere / SEEDS > 0.54),
    ]
