"""Every continuous game with a known mixed equilibrium: one method with its defaults, but for the discontinuous one."""

import math
from pathlib import Path
from typing import NamedTuple, final

import torch
from torch import Tensor

from mixnash.core.domains import AbstractDomain, Box
from mixnash.core.dynamics.adaptive_conic_mirror_prox import AdaptiveConicMirrorProx
from mixnash.core.dynamics.base import AbstractDynamics
from mixnash.core.dynamics.extragradient import Extragradient
from mixnash.core.games.known import KNOWN_GAMES, KnownGame
from mixnash.core.games.silent_duel import SilentDuel
from mixnash.core.games.vectors import VECTOR, AbstractVectorGame
from mixnash.core.population import make_population, weights
from mixnash.core.rules.base import PlayerRules
from mixnash.core.rules.entropic import EntropicMirrorDescent
from mixnash.core.rules.still import Still
from mixnash.core.types import AbstractOracle, Population, Profile
from mixnash.core.vector_oracle import FiniteOracle, VectorOracle
from mixnash.equilibrium.nikaido_isoda import nikaido_isoda
from mixnash.figures.strategies import Atoms, Density, MixedPanel, mixed_strategies
from mixnash.reproduction.base import AbstractReproduction, Advance, Check, Findings
from mixnash.solving.recording import RecordingOracle

STEPS = 1000
PARTICLES = {1: 20, 2: 25}
"""Per player, by the dimension of its strategies."""
SOLVED = 1e-3
DUEL_COARSE, DUEL_FINE, DUEL_STEPS = 200, 1600, 6000
"""For the one discontinuous game: points of the two grids, and steps on the second."""
SHOWN = (
    "forsaken_hsieh",
    "bell_gauss_2",
    "monkey_saddle_box",
    "random_fourier_o3_s0",
    "gross_rational",
    "exp_cosine_4",
)


class Solved(NamedTuple):
    """A mixture and how good it is."""

    profile: Profile
    gap: float
    error: float
    """Of the value, absolute."""


def even_points(domain: AbstractDomain, count: int) -> Tensor:
    """About `count` evenly spaced points: midpoints of the cells of a box, a grid of any other domain."""
    per_axis = round(count ** (1 / domain.dim)) if domain.dim > 1 else count
    if not isinstance(domain, Box):
        return domain.grid(per_axis)
    inset = (domain.high - domain.low) / (2 * per_axis)
    return Box((domain.low + inset).tolist(), (domain.high - inset).tolist()).grid(per_axis)


def starts(known: KnownGame, random: bool) -> Profile:
    """Evenly spaced particles, or as many uniform draws, of equal weight."""
    rng = torch.Generator().manual_seed(0)
    players = []
    for domain in (known.game.minimiser, known.game.maximiser):
        points = even_points(domain, PARTICLES[domain.dim])
        players.append(make_population({VECTOR: domain.sample(len(points), rng) if random else points}))
    return Profile(*players)


def solve(known: KnownGame, start: Profile, dynamics: AbstractDynamics, oracle: AbstractOracle, steps: int) -> Solved:
    """Play, and measure against the known value."""
    rng = torch.Generator().manual_seed(0)
    state = dynamics.init(start)
    for _ in range(steps):
        state, _ = dynamics.step(state, oracle, rng)
    profile = dynamics.profile(state)
    found = nikaido_isoda(known.game, profile)
    return Solved(profile, found.gap, abs(found.value - known.value))


def duel(known: KnownGame, steps: int) -> Solved:
    """Averages of mirror prox on weights alone: positions have no useful gradient where the payoff jumps.

    A coarse grid finds where the mass is. The second one has spacing proportional to t there: the payoff jumps by
    2 t^2 times the mass at t, so a density of the order t^-3 then makes all jumps alike.
    """
    coarse = even_points(known.game.minimiser, DUEL_COARSE)
    first = _averaged_weights(known.game, coarse, max(steps // 3, 1))
    support = coarse[torch.maximum(*first) > first[0].max() * 1e-3]
    low, high = float(support.min()), float(support.max())
    spacing = 1 / DUEL_COARSE
    fine = torch.logspace(
        math.log10(max(low - spacing, spacing)), math.log10(min(high + spacing, 1.0)), DUEL_FINE
    ).double()
    profile = Profile(
        *(make_population({VECTOR: fine.unsqueeze(1)}, one.log()) for one in _averaged_weights(known.game, fine, steps))
    )
    found = nikaido_isoda(known.game, profile)
    return Solved(profile, found.gap, abs(found.value - known.value))


def _averaged_weights(game: AbstractVectorGame, points: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """Time-averages of the weights that mirror prox plays on given points."""
    population = make_population({VECTOR: points.reshape(-1, 1)})
    start = Profile(population, population)
    rules = PlayerRules(Still(), EntropicMirrorDescent(1.0, floor=-700.0))
    dynamics, rng = Extragradient(rules, rules), torch.Generator()
    oracle = RecordingOracle(FiniteOracle.on(game, start))
    state = dynamics.init(start)
    sums = [torch.zeros(len(points), dtype=torch.float64) for _ in start]
    for _ in range(steps):
        state, _ = dynamics.step(state, oracle, rng)
        played = oracle.played()
        assert played is not None
        for total, one in zip(sums, played, strict=True):
            total += weights(one)
    return sums[0] / steps, sums[1] / steps


@final
class MixedEquilibria(AbstractReproduction):
    """Adaptive conic mirror prox with births on every continuous game: 1,000 steps, one set of defaults.

    Starts are evenly spaced; where such a start already is the equilibrium (uniform laws on the circle) that proves
    nothing, so a random start is reported beside it. Silent duel is discontinuous: there weights move on two grids.
    """

    summary = "every continuous game with a known answer; one method with its defaults on all smooth ones"
    parts = len(KNOWN_GAMES)

    def run(self, advance: Advance, short: bool, folder: Path) -> Findings:
        """Nikaido-Isoda gaps and value errors."""
        del folder
        found, numbers, checks = {}, {}, []
        for known in KNOWN_GAMES:
            advance(known.name)
            even, random = self._both(known, 3 if short else STEPS, 3 if short else DUEL_STEPS)
            found[known.name] = even
            numbers[known.name] = {
                "value": known.value,
                "gap": even.gap,
                "value_error": even.error,
                "gap_from_random_start": random.gap,
                "value_error_from_random_start": random.error,
            }
            checks.append(
                Check(
                    known.name,
                    f"gap and error of the value {known.value:.4f} at most {SOLVED:g}",
                    f"gap {even.gap:.1e}, error {even.error:.1e}; from a random start {random.gap:.1e}",
                    max(even.gap, even.error) <= SOLVED,
                )
            )
        shown = [_panel(known, found[known.name]) for known in KNOWN_GAMES if known.name in SHOWN]
        figure = mixed_strategies(shown, "Mixed equilibria found by adaptive conic mirror prox")
        return Findings({"mixtures": figure}, numbers, checks)

    @staticmethod
    def _both(known: KnownGame, steps: int, duel_steps: int) -> tuple[Solved, Solved]:
        if isinstance(known.game, SilentDuel):
            only = duel(known, duel_steps)
            return only, only
        oracle = VectorOracle(known.game)
        even, random = (
            solve(known, starts(known, at_random), AdaptiveConicMirrorProx(), oracle, steps)
            for at_random in (False, True)
        )
        return even, random


def _panel(known: KnownGame, solved: Solved) -> MixedPanel:
    own, other = (_atoms(one) for one in solved.profile)
    low, high = known.game.minimiser.grid(2001)[[0, -1]].flatten().tolist()
    truth = [_truth(known, one) for one in (known.minimiser, known.maximiser)]
    return MixedPanel(
        known.name.replace("_", " "), own, other, truth[0], truth[1], (low, high), f"gap {solved.gap:.0e}"
    )


def _atoms(population: Population) -> Atoms:
    return Atoms(population.params[VECTOR].squeeze(1), weights(population))


def _truth(known: KnownGame, population: Population | None) -> Atoms | Density | None:
    if population is not None:
        return _atoms(population)
    assert known.quantile is not None
    levels = torch.linspace(0.001, 0.999, 400, dtype=torch.float64)
    points = known.quantile(levels)
    middle = (points[1:] + points[:-1]) / 2
    return Density(middle, levels.diff() / points.diff())
