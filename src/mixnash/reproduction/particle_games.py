"""Particle methods on twenty random Fourier games of order 3 on the torus, at equal gradient evaluations."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, final

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from mixnash.core.domains import Torus
from mixnash.core.dynamics.adaptive_conic_mirror_prox import AdaptiveConicMirrorProx
from mixnash.core.dynamics.base import AbstractDynamics
from mixnash.core.dynamics.conic_mirror_prox import ConicMirrorProx
from mixnash.core.dynamics.extragradient import Extragradient
from mixnash.core.dynamics.simultaneous import Simultaneous
from mixnash.core.games.fourier import FourierGame
from mixnash.core.games.vectors import VECTOR
from mixnash.core.population import make_population, weights
from mixnash.core.rules.base import AbstractPositionRule, AbstractWeightRule, PlayerRules
from mixnash.core.rules.entropic import EntropicMirrorDescent
from mixnash.core.rules.frozen import Frozen
from mixnash.core.rules.langevin import Langevin
from mixnash.core.rules.sgd import SGD
from mixnash.core.rules.still import Still
from mixnash.core.types import Population, Profile
from mixnash.core.vector_oracle import VectorOracle
from mixnash.equilibrium.nikaido_isoda import nikaido_isoda
from mixnash.figures.outcomes import gap_strips
from mixnash.figures.rates import RateCurve, RatePanel, rates
from mixnash.figures.strategies import Atoms, MixedPanel, mixed_strategies
from mixnash.reproduction.base import AbstractReproduction, Advance, Check, Findings
from mixnash.solving.recording import RecordingOracle

ORDER, GAMES = 3, 20
EVALUATIONS = 1000
"""Of all payoffs and gradients at a profile, per game and method."""
SOLVED = 1e-2
FRESH_SEED, FRESH_GAMES, FRESH_STEPS = 1000, 100, 500
"""Games beside the twenty: for the method whose defaults were chosen while looking at seeds 0 to 59."""
WEIGHT_STEP, POSITION_STEP = 0.04, 1e-3
"""Of the published experiment."""
_GRID = 501
"""Deviations tried before the best ones are refined; payoffs of order 3 have no finer structure."""
_FLOOR = 1e-10
"""Of the pictures."""


class Entry(NamedTuple):
    """A method with its particles and what a step costs."""

    make: Callable[[], AbstractDynamics]
    particles: tuple[int, int]


def _rules(position: AbstractPositionRule, weight: AbstractWeightRule) -> tuple[PlayerRules, PlayerRules]:
    return PlayerRules(position, weight), PlayerRules(position, weight)


def _conic(sweeps: int) -> AbstractDynamics:
    return ConicMirrorProx(*_rules(SGD(POSITION_STEP), EntropicMirrorDescent(WEIGHT_STEP, floor=-700.0)), sweeps=sweeps)


def _langevin(temperature: float) -> AbstractDynamics:
    return Simultaneous(*_rules(Langevin(POSITION_STEP, temperature), Frozen()))


ENTRIES: Mapping[str, Entry] = {
    "CP-MP adaptive, births": Entry(AdaptiveConicMirrorProx, (20, 20)),
    "CP-MP adaptive": Entry(lambda: AdaptiveConicMirrorProx(birth_interval=0), (20, 20)),
    "CP-MP, 20 + 20": Entry(lambda: _conic(2), (20, 20)),
    "CP-MP, 5 + 6": Entry(lambda: _conic(2), (5, 6)),
    "WFR descent-ascent": Entry(lambda: _conic(1), (20, 20)),
    "mirror prox on a grid": Entry(
        lambda: Extragradient(*_rules(Still(), EntropicMirrorDescent(WEIGHT_STEP, floor=-700.0))), (20, 20)
    ),
    "Wasserstein": Entry(lambda: Simultaneous(*_rules(SGD(POSITION_STEP), Frozen())), (20, 20)),
    "Langevin, T = 0.3": Entry(lambda: _langevin(0.3), (200, 200)),
}
"""All from evenly spaced particles of equal weight."""


def coefficients(seed: int) -> Tensor:
    """Real and imaginary parts N(0, 1/2) [2, N, N], from numpy's generators."""
    size = 2 * ORDER + 1
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((2, size, size)) / math.sqrt(2))


def random_game(seed: int) -> FourierGame:
    """The game of a seed."""
    return FourierGame(*coefficients(seed))


def fresh_gaps(count: int, steps: int) -> list[float]:
    """Gaps of the adaptive method on other games, which nothing was ever tuned on, played as one batch."""
    seeds = range(FRESH_SEED, FRESH_SEED + count)
    games = [random_game(seed) for seed in seeds]
    batch = FourierGame(*torch.stack([coefficients(seed) for seed in seeds], dim=1))
    start = even_start(ENTRIES["CP-MP adaptive, births"].particles)
    together = Profile(
        *(
            Population({VECTOR: one.params[VECTOR].expand(count, -1, -1)}, one.log_weights.expand(count, -1))
            for one in start
        )
    )
    dynamics, oracle, rng = AdaptiveConicMirrorProx(), VectorOracle(batch), torch.Generator().manual_seed(7)
    state = dynamics.init(together)
    for _ in range(steps):
        state, _ = dynamics.step(state, oracle, rng)
    end = dynamics.profile(state)
    return [
        gap(game, Profile(*(Population({VECTOR: one.params[VECTOR][i]}, one.log_weights[i]) for one in end)))
        for i, game in enumerate(games)
    ]


def even_start(particles: tuple[int, int]) -> Profile:
    """Evenly spaced particles on the circle, of equal weight."""
    return Profile(*(make_population({VECTOR: Torus(1).grid(n)}) for n in particles))


def gap(game: FourierGame, profile: Profile) -> float:
    """The Nikaido-Isoda gap; rounding may make an exact equilibrium's negative."""
    return max(nikaido_isoda(game, profile, per_axis=_GRID).gap, 0.0)


class Played(NamedTuple):
    """One method on one game."""

    calls: list[float]
    """Gradient evaluations at which `gaps` were taken."""
    gaps: list[float]
    end: Profile


def play(entry: Entry, game: FourierGame, budget: int) -> Played:
    """Play until the evaluations are used up."""
    oracle, rng = RecordingOracle(VectorOracle(game)), torch.Generator().manual_seed(5)
    dynamics = entry.make()
    state = dynamics.init(even_start(entry.particles))
    played = Played([1.0], [gap(game, dynamics.profile(state))], dynamics.profile(state))
    marks = np.unique(np.geomspace(4, budget, 16).round()).tolist()
    while oracle.gradient_calls < budget:
        state, _ = dynamics.step(state, oracle, rng)
        if marks and oracle.gradient_calls >= marks[0]:
            marks = [one for one in marks if one > oracle.gradient_calls]
            played.calls.append(oracle.gradient_calls)
            played.gaps.append(gap(game, dynamics.profile(state)))
    return played._replace(end=dynamics.profile(state))


@final
class ParticleGames(AbstractReproduction):
    """Eight particle methods, 1,000 gradient evaluations each, from evenly spaced particles; nothing is tuned per game.

    CP-MP with the published steps solves about 70 % of such games to 1e-2; with step control and births nearly all.
    """

    summary = "CP-MP against the others on 20 random Fourier games, at equal gradient evaluations"
    parts = len(ENTRIES) + 1

    def run(self, advance: Advance, short: bool, folder: Path) -> Findings:
        """Nikaido-Isoda gaps over the evaluations and at the end."""
        del folder
        games = [random_game(seed) for seed in range(2 if short else GAMES)]
        budget = 12 if short else EVALUATIONS
        plays: dict[str, list[Played]] = {}
        for name, entry in ENTRIES.items():
            advance(name)
            plays[name] = [play(entry, game, budget) for game in games]
        ends = {
            name: [gap(game, one.end) for game, one in zip(games, played, strict=True)]
            for name, played in plays.items()
        }
        advance("fresh games")
        fresh = fresh_gaps(2, 3) if short else fresh_gaps(FRESH_GAMES, FRESH_STEPS)
        solved = {name: sum(one < SOLVED for one in gaps) for name, gaps in ends.items()}
        figures = {
            "gaps": gap_strips(
                list(ends),
                np.maximum(np.array(list(ends.values())), _FLOOR),
                SOLVED,
                f"{len(games)} random Fourier games after {budget:,} evaluations",
            ),
            "medians": _medians(plays),
            "mixtures": _mixtures(plays["CP-MP adaptive, births"]),
        }
        numbers = {
            name: {
                "gaps": gaps,
                "solved": solved[name],
                "median": float(np.median(gaps)),
                "particles": ENTRIES[name].particles,
            }
            for name, gaps in ends.items()
        }
        good = sum(one < SOLVED for one in fresh)
        numbers["fresh games"] = {"gaps": fresh, "solved": good, "median": float(np.median(fresh))}
        checks = _checks(solved, len(games))
        checks.append(
            Check(
                f"CP-MP with step control and births, {FRESH_STEPS} steps on fresh games",
                "at least 95 %",
                f"{good} of {len(fresh)}",
                good >= 0.95 * len(fresh),
            )
        )
        return Findings(figures, numbers, checks)


def _checks(solved: dict[str, int], games: int) -> list[Check]:
    plain, best = solved["CP-MP, 20 + 20"], solved["CP-MP adaptive, births"]
    others = max(
        solved[name] for name in ("WFR descent-ascent", "mirror prox on a grid", "Wasserstein", "Langevin, T = 0.3")
    )
    return [
        Check(
            "CP-MP with the published steps", "at least 70 % of the games", f"{plain} of {games}", plain >= 0.7 * games
        ),
        Check("CP-MP with step control and births", "at least 95 %", f"{best} of {games}", best >= 0.95 * games),
        Check("best of the methods without look-ahead in positions", "fewer than CP-MP", f"{others}", others < plain),
    ]


def _medians(plays: dict[str, list[Played]]) -> Figure:
    curves = []
    for name, played in plays.items():
        calls = np.array(min((one.calls for one in played), key=len))
        gaps = np.stack([np.interp(calls, one.calls, one.gaps) for one in played])
        low, middle, high = np.quantile(np.maximum(gaps, _FLOOR), [0.25, 0.5, 0.75], axis=0)
        curves.append(RateCurve(name, calls, middle, (low, high)))
    return rates(
        [RatePanel("median and quartiles over the games", curves, [], "Nikaido-Isoda gap")],
        "Particle methods on random Fourier games",
        "gradient evaluations",
    )


def _mixtures(played: list[Played]) -> Figure:
    panels = []
    for seed, one in enumerate(played[:4]):
        own, other = (Atoms(part.params[VECTOR].squeeze(1), weights(part)) for part in one.end)
        panels.append(MixedPanel(f"seed {seed}", own, other, None, None, (0.0, 1.0)))
    return mixed_strategies(panels, "Mixed equilibria found on the first four games")
