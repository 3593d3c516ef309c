r"""Cycles that attract: the almost bilinear, the forsaken and the polar game, and the law of effective damping."""

import math
import operator
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple, final

import numpy as np
from matplotlib.figure import Figure

from mixnash.core.dynamics.consensus import Consensus
from mixnash.core.dynamics.extragradient_plus import ExtragradientPlus
from mixnash.core.dynamics.lookahead import Lookahead
from mixnash.core.games.almost_bilinear import AlmostBilinear
from mixnash.core.games.forsaken import Forsaken
from mixnash.core.games.polar import PolarGame
from mixnash.core.types import Player
from mixnash.figures.fields import FieldPanel, field_trajectories
from mixnash.figures.rates import RateCurve, RatePanel, rates
from mixnash.reproduction.base import AbstractReproduction, Advance, Check, Findings
from mixnash.reproduction.methods import METHODS, Method
from mixnash.reproduction.outcome_matrix import CONVERGES, CYCLES, KINDS, observe
from mixnash.reproduction.pictures import panel
from mixnash.reproduction.simulate import ORIGIN, follow

EPSILON = 0.1
DAMPING = {
    "GDA": -0.5,
    "altGDA": 0.0,
    "PPM": 0.5,
    "EG": 0.5,
    "OGDA": 0.5,
    "RFBS": 0.5,
    "CGD": 0.5,
    "EG+ ½": 0.75,
    "LA-GDA": 0.75,
    "LA-EG": 1.75,
}
"""c: a method with step h adds the radial damping c h per unit of its time to a rotation (EG+: 1 - a/2 with a = 1/2;
Lookahead with k = 5, a = 1/2 over GDA and EG: ((1 - a) k -+ 1) / 2)."""
CONSENSUS = 0.03
"""gamma of consensus optimisation, which adds gamma - h/2 per step."""
LAW: Mapping[str, tuple[Method, Callable[[float], float]]] = {
    **{name: (METHODS[name], partial(operator.mul, c)) for name, c in DAMPING.items()},
    "EG+ ¼": (lambda step: ExtragradientPlus(step, 0.25), partial(operator.mul, 0.875)),
    "LA-GDA, k = 3": (lambda step: Lookahead(METHODS["GDA"](step), 3, 0.5), partial(operator.mul, 0.25)),
    "CO, gamma 0.03": (lambda step: Consensus(step, CONSENSUS), lambda step: CONSENSUS - step / 2),
}
"""Methods with the damping c h that a step of theirs adds."""
LAW_STEPS = (0.02, 0.05)
THRESHOLD = (7 / 32) ** 2
"""On the polar game the cycle dies when c h > a (7/32)^2."""
_FORSAKEN = (0.0780266687, 0.4119338514)


class _Radius(NamedTuple):
    damping: float
    """c h."""
    measured: float
    predicted: float


def predicted_radius(damping: float) -> float:
    """Of the cycle on the almost bilinear game: sqrt(4/3 (1 - 2 c h / epsilon)); 0 once it is dead."""
    return math.sqrt(max(4 / 3 * (1 - 2 * damping / EPSILON), 0.0))


@final
class SpuriousAttractors(AbstractReproduction):
    """Attracting cycles, and who escapes them.

    To first order a method with step h adds radial damping c h to a rotation. So on the almost bilinear game cycles
    have a known radius, and on the polar game they die at a known step.
    """

    summary = "almost bilinear, forsaken and polar games: who cycles, at which radius, who converges"
    parts = 2 + len(LAW) + 4

    def run(self, advance: Advance, short: bool, folder: Path) -> Findings:
        """Trajectories, cycle radii against the law, thresholds of the polar game."""
        del folder
        checks: list[Check] = []
        advance("almost bilinear")
        panels = [self._almost_bilinear(short)]
        advance("forsaken")
        panels.append(self._forsaken(checks, short))
        radii = self._law(advance, checks, short)
        self._thresholds(advance, checks, short)
        figures = {
            "trajectories": field_trajectories(panels, "Spurious attractors: attracting cycles around the equilibrium"),
            "effective_damping": _law_figure(radii),
        }
        numbers = {name: one._asdict() for name, one in radii.items()}
        return Findings(figures, {"cycle radii": numbers}, checks)

    @staticmethod
    def _almost_bilinear(short: bool) -> FieldPanel:
        game = AlmostBilinear(EPSILON, Player.CRITIC)
        runs = {
            name: follow(METHODS[name](0.05), game, ([0.1], [0.1]), 10 if short else 8000)
            for name in ("altGDA", "EG", "EG+ ½", "LA-EG", "CurvatureEG+")
        }
        return panel("almost bilinear, from (0.1, 0.1)", game, runs, (-1.6, 1.6, -1.6, 1.6), [ORIGIN])

    @staticmethod
    def _forsaken(checks: list[Check], short: bool) -> FieldPanel:
        expected = dict.fromkeys(("GDA", "altGDA", "EG", "EG+ ½", "LA-EG"), CYCLES) | {"CurvatureEG+": CONVERGES}
        game = Forsaken()
        runs = {name: follow(METHODS[name](0.05), game, ([1.0], [-0.8]), 10 if short else 8000) for name in expected}
        for name, kind in expected.items():
            seen = observe(runs[name], _FORSAKEN)
            checks.append(Check(f"{name} on forsaken, from outside", KINDS[kind], KINDS[seen.kind], seen.kind == kind))
        return panel("forsaken, from (1, -0.8)", game, runs, (-1.8, 1.8, -1.8, 1.8), [_FORSAKEN])

    @staticmethod
    def _law(advance: Advance, checks: list[Check], short: bool) -> dict[str, _Radius]:
        """Cycle radii on the almost bilinear game, from outside and inside the cycle."""
        radii = {}
        for name, (make, damping) in LAW.items():
            advance(f"effective damping of {name}")
            for step, tolerance in zip(LAW_STEPS, (3e-3, 1e-2), strict=True):
                predicted = predicted_radius(damping(step))
                start = max(predicted, 0.3)
                game = AlmostBilinear(EPSILON, Player.CRITIC)
                run = follow(make(step), game, ([start], [0.0]), 10 if short else int(400 / step))
                turns = run.points[-round(20 * 2 * math.pi / step) :]
                measured = float(turns.square().sum(1).mean().sqrt())
                radii[f"{name}, step {step}"] = _Radius(damping(step), measured, predicted)
                checks.append(
                    Check(
                        f"cycle radius of {name}, step {step}",
                        f"{predicted:.4f} +- {tolerance}",
                        f"{measured:.4f}",
                        abs(measured - predicted) <= tolerance,
                    )
                )
        return radii

    @staticmethod
    def _thresholds(advance: Advance, checks: list[Check], short: bool) -> None:
        """On the polar game, 0.9 and 1.1 of the step at which the cycle dies."""
        for name in ("EG", "OGDA", "EG+ ½", "LA-GDA"):
            advance(f"polar game, {name}")
            for strength in (1.0, 0.75, 1 / 3):
                critical = strength * THRESHOLD / DAMPING[name]
                for share in (0.9, 1.1):
                    run = follow(
                        METHODS[name](share * critical), PolarGame(strength), ([1.0], [0.5]), 10 if short else 20_000
                    )
                    seen = observe(run, ORIGIN)
                    kind = CONVERGES if share > 1 else CYCLES
                    label = f"{name} on the polar game a = {strength:.3g}, {share} of the critical step {critical:.4f}"
                    checks.append(Check(label, KINDS[kind], KINDS[seen.kind], seen.kind == kind))


def _law_figure(radii: dict[str, _Radius]) -> Figure:
    found = sorted(radii.values())
    fine = np.linspace(min(one.damping for one in found), max(one.damping for one in found), 400)
    curves = [RateCurve("law", fine, np.array([predicted_radius(one) for one in fine]), None)]
    for name, dead in (("measured", False), ("measured, no cycle", True)):
        kept = [one for one in found if (one.predicted == 0) == dead]
        dampings, measured = ([one.damping for one in kept], [one.measured for one in kept])
        curves.append(RateCurve(name, np.array(dampings), np.array(measured), None))
    return rates(
        [RatePanel("radius sqrt(4/3 (1 - 2ch/0.1))", curves, [], "radius of the cycle")],
        "Effective damping on the almost bilinear game",
        "damping c h",
        logx=False,
        logy=False,
    )
