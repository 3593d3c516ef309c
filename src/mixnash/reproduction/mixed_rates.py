r"""Rates of entropic mirror descent and mirror prox on finite games and on a grid."""

import math
from pathlib import Path
from typing import NamedTuple, final

import numpy as np
import torch
from torch import Tensor

from mixnash.core.dynamics.base import AbstractDynamics
from mixnash.core.dynamics.extragradient import Extragradient
from mixnash.core.dynamics.simultaneous import Simultaneous
from mixnash.core.population import make_population, weights
from mixnash.core.rules.base import PlayerRules
from mixnash.core.rules.entropic import EntropicMirrorDescent
from mixnash.core.rules.still import Still
from mixnash.core.types import Profile
from mixnash.core.vector_oracle import FiniteOracle
from mixnash.figures.rates import RateCurve, RatePanel, rates
from mixnash.reproduction.base import AbstractReproduction, Advance, Check, Findings

HORIZONS = [round(2**k) for k in range(4, 15)]
"""Lengths T of the runs."""
FITTED = 256
"""Slopes are fitted over horizons from here on."""


class _Game(NamedTuple):
    name: str
    payoff: Tensor


def _games() -> list[_Game]:
    rng = np.random.default_rng(0)
    grid = torch.linspace(-1, 1, 41, dtype=torch.float64)
    shift = torch.linspace(-0.9, 1, 37, dtype=torch.float64)
    return [
        _Game(
            "biased rock-paper-scissors",
            torch.tensor([[0.0, 25, -50], [-25, 0, 5], [50, -5, 0]], dtype=torch.float64) / 50,
        ),
        _Game("Gaussian 30 x 40", torch.from_numpy(rng.standard_normal((30, 40)))),
        _Game("(x - y)² on a grid", (grid.unsqueeze(1) - shift).square()),
    ]


class _Gap(NamedTuple):
    averaged: float
    last: float


def _run(dynamics: AbstractDynamics, payoff: Tensor, steps: int) -> _Gap:
    """Duality gaps after a run: of the average of the strategies that feedback was last asked for, and of the last.

    A game's losses are linear in the opponent's strategy, so averaged losses are the losses against the average.
    """
    start = Profile(*(make_population({"index": torch.arange(n).double().unsqueeze(1)}) for n in payoff.shape))
    oracle, rng = FiniteOracle(payoff), torch.Generator()
    state = dynamics.init(start)
    rows, columns = torch.zeros(payoff.shape[0]).double(), torch.zeros(payoff.shape[1]).double()
    for _ in range(steps):
        state, seen = dynamics.step(state, oracle, rng)
        rows += seen.generator_losses
        columns -= seen.critic_losses
    p, q = (weights(one) for one in dynamics.profile(state))
    return _Gap(float(columns.max() - rows.min()) / steps, float((p @ payoff).max() - (payoff @ q).min()))


def _rules(step_size: float) -> PlayerRules:
    return PlayerRules(Still(), EntropicMirrorDescent(step_size, floor=-700.0))


def _descent(payoff: Tensor, steps: int) -> AbstractDynamics:
    """Mirror descent with the step that the bound is optimised for, sqrt(D0 / T) / M."""
    step = math.sqrt(_diameter(payoff) / steps) / float(payoff.abs().max())
    return Simultaneous(_rules(step), _rules(step))


def _prox(payoff: Tensor, steps: int) -> AbstractDynamics:
    """Mirror prox with its largest step, 1 / M."""
    del steps
    step = 1 / float(payoff.abs().max())
    return Extragradient(_rules(step), _rules(step))


def _diameter(payoff: Tensor) -> float:
    """D0 <= log K + log L: divergence of an equilibrium from the uniform start."""
    return math.log(payoff.shape[0]) + math.log(payoff.shape[1])


def _bound_descent(payoff: Tensor, steps: int) -> float:
    return 2 * float(payoff.abs().max()) * math.sqrt(_diameter(payoff) / steps)


def _bound_prox(payoff: Tensor, steps: int) -> float:
    return float(payoff.abs().max()) * _diameter(payoff) / steps


_METHODS = {
    "mirror descent": (_descent, _bound_descent, -0.5),
    "mirror prox": (_prox, _bound_prox, -1.0),
}


@final
class MixedRates(AbstractReproduction):
    r"""Entropic mirror descent at :math:`O(T^{-1/2})` and mirror prox at :math:`O(1/T)`, averaged.

    Every horizon T is a run of its own, with the constant step that the bound prescribes for it:
    :math:`\sqrt{D_0/T}/M` and :math:`1/M`, payoffs in [-M, M]. Slopes are least squares in the logarithms.
    """

    summary = "slopes -1/2 and -1 of entropic mirror descent and mirror prox on finite games and a grid"
    parts = 6

    def run(self, advance: Advance, short: bool, folder: Path) -> Findings:
        """Gaps of averages for horizons up to 2^14, on three games."""
        del folder
        horizons = HORIZONS[:4] if short else HORIZONS
        panels, checks, numbers = [], [], {}
        for game in _games():
            curves = []
            for name, (make, bound, slope) in _METHODS.items():
                advance(f"{name} on {game.name}")
                gaps = [_run(make(game.payoff, steps), game.payoff, steps) for steps in horizons]
                curves.append(RateCurve(name, np.array(horizons), np.array([gap.averaged for gap in gaps]), None))
                found = _slope(horizons, [gap.averaged for gap in gaps])
                checks += _checks(f"{name}, {game.name}", found, slope, gaps, [bound(game.payoff, t) for t in horizons])
                numbers[f"{name}, {game.name}"] = {
                    "horizons": horizons,
                    "averaged_gap": [gap.averaged for gap in gaps],
                    "last_gap": [gap.last for gap in gaps],
                    "slope": found,
                }
            panels.append(RatePanel(game.name, curves, [("-1/2", -0.5), ("-1", -1.0)], "duality gap of the average"))
        figure = rates(panels, "Averages of entropic mirror descent and mirror prox", "steps T")
        return Findings({"rates": figure}, numbers, checks)


def _slope(horizons: list[int], gaps: list[float]) -> float:
    kept = np.array(horizons) >= min(FITTED, horizons[-2])
    return float(np.polyfit(np.log(np.array(horizons)[kept]), np.log(np.array(gaps)[kept]), deg=1)[0])


def _checks(name: str, found: float, slope: float, gaps: list[_Gap], bounds: list[float]) -> list[Check]:
    worst = max(gap.averaged / bound for gap, bound in zip(gaps, bounds, strict=True))
    return [
        Check(f"slope of {name}", f"{slope} +- 0.1", f"{found:.3f}", abs(found - slope) <= 0.1),
        Check(f"gap over proven bound, {name}", "at most 1", f"{worst:.3f}", worst <= 1),
    ]
