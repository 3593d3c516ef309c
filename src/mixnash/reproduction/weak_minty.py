r"""Below monotone: who converges as the weak Minty constant rho falls to -1/(8L) and -1/(2L)."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, final

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mixnash.core.domains import Box
from mixnash.core.dynamics.adaptive_extragradient_plus import AdaptiveExtragradientPlus
from mixnash.core.dynamics.base import AbstractDynamics
from mixnash.core.dynamics.curvature_extragradient_plus import CurvatureExtragradientPlus
from mixnash.core.dynamics.extragradient_plus import ExtragradientPlus
from mixnash.core.dynamics.field_dynamics import AbstractFieldDynamics
from mixnash.core.games.forsaken import Forsaken
from mixnash.core.games.polar import PolarGame
from mixnash.core.games.vectors import VECTOR, AbstractVectorGame
from mixnash.core.games.weak_minty_quadratic import WeakMintyQuadratic
from mixnash.core.types import Point, Population, Profile
from mixnash.core.vector_oracle import VectorOracle
from mixnash.figures.rates import RateCurve, RatePanel, rates
from mixnash.reproduction.base import AbstractReproduction, Advance, Check, Findings
from mixnash.reproduction.methods import METHODS
from mixnash.reproduction.simulate import follow

_GRID = np.linspace(0.005, 0.53, 36)
"""c = -rho L on the quadratic family; 1/8 and 1/2 are the borders of theory."""
LINEAR: Mapping[str, Callable[[], AbstractDynamics]] = {
    "GDA, step 0.2": lambda: METHODS["GDA"](0.2),
    "EG, step 0.5": lambda: METHODS["EG"](0.5),
    "OGDA, step 0.3": lambda: METHODS["OGDA"](0.3),
    "PPM, step 1": lambda: METHODS["PPM"](1.0),
    "EG+, alpha 3/4": lambda: ExtragradientPlus(1.0, 0.75),
    "EG+, alpha 1/2": lambda: ExtragradientPlus(1.0, 0.5),
    "EG+, alpha 1/4": lambda: ExtragradientPlus(1.0, 0.25),
    "AdaptiveEG+": lambda: AdaptiveExtragradientPlus(1.0),
    "CurvatureEG+": lambda: CurvatureExtragradientPlus(),
}
"""On the family with L = 1."""
CRITICAL = {"EG+, alpha 3/4": 0.125, "EG+, alpha 1/2": 0.25, "EG+, alpha 1/4": 0.375, "PPM, step 1": 0.5}
"""The c at which a method stops converging: (1 - alpha) / 2 for EG+ and half the step for PPM."""

_FLOOR = 1e-9
"""Distances below this are not looked at: implicit steps are solved to 1e-12."""
LIMIT = 20_000
DONE = 1e-14


class Case(NamedTuple):
    """A row of the protocol: a game in a box, played with step 1/L."""

    name: str
    game: AbstractVectorGame
    lipschitz: float
    starts: Sequence[tuple[float, float]]
    expected: tuple[str, str, str, str]
    """Of the four columns: iterations, 'cycle', or shares such as '0 of 16'. CurvatureEG+'s are those of a line search
    whose test has a relative tolerance, from an independent implementation. Without one, rounding makes the test fail
    at random wherever the field is linear and normal, and the counts are 1271, 1466, 1828 and about 19,000."""


def _box(radius: float) -> tuple[Box, Box]:
    return Box([-radius], [radius]), Box([-radius], [radius])


_AXIS = np.linspace(-1.2, 1.05, 4).tolist()
CASES = (
    Case("polar, a = 1", PolarGame(1.0, *_box(1.1)), 18.5479518688, [(1.0, 0.5)], ("cycle", "cycle", "cycle", "2045")),
    Case("polar, a = 3/4", PolarGame(0.75, *_box(1.1)), 13.9383898802, [(1.0, 0.5)], ("cycle", "2175", "2078", "2142")),
    Case("polar, a = 1/3", PolarGame(1 / 3, *_box(1.1)), 6.3060895795, [(1.0, 0.5)], ("751", "1302", "1286", "2507")),
    Case(
        "forsaken",
        Forsaken(0.45, *_box(1.5)),
        12.402569,
        [(x, y) for x in _AXIS for y in _AXIS],
        ("0 of 16", "0 of 16", "0 of 16", "16 of 16"),
    ),
    Case(
        "quadratic, L = 3, c = 1/3",
        WeakMintyQuadratic(3.0, 1 / 3, *_box(1.1)),
        3.0,
        [(1.0, 0.5)],
        ("cycle", "cycle", "14939", "8841"),
    ),
)
PROTOCOL: Mapping[str, Callable[[float], AbstractFieldDynamics]] = {
    "EG (Tseng)": lambda lipschitz: ExtragradientPlus(1 / lipschitz, 1.0),
    "CEG+ ½": lambda lipschitz: ExtragradientPlus(1 / lipschitz, 0.5),
    "AdaptiveEG+": lambda lipschitz: AdaptiveExtragradientPlus(1 / lipschitz),
    "CurvatureEG+": lambda lipschitz: CurvatureExtragradientPlus(),
}


def contraction(make: Callable[[], AbstractDynamics], ratio: float, steps: int) -> float:
    """What a step multiplies the distance by in the end, on the quadratic with L = 1 and rho = -`ratio`."""
    run = follow(make(), WeakMintyQuadratic(1.0, ratio), ([1.0], [0.4]), steps)
    distance = run.points.norm(dim=1)
    last = int((distance > _FLOOR).nonzero()[-1])
    half = last // 2
    return float((distance[last] / distance[half]) ** (1 / max(last - half, 1)))


def critical_ratio(make: Callable[[], AbstractDynamics], steps: int, halvings: int = 16) -> float:
    """The c at which the contraction passes 1, by bisection."""
    low, high = 0.0, 0.6
    for _ in range(halvings):
        middle = (low + high) / 2
        low, high = (middle, high) if contraction(make, middle, steps) < 1 else (low, middle)
    return (low + high) / 2


def iterations_to_rest(dynamics: AbstractFieldDynamics, case: Case, limit: int) -> list[int | None]:
    """For each start, the iterations until |d| < 1e-14 for z+ = z + alpha d; None if that never happens."""
    x, y = (torch.tensor(one, dtype=torch.float64).reshape(-1, 1, 1) for one in zip(*case.starts, strict=True))
    weights = torch.zeros(len(case.starts), 1, dtype=torch.float64)
    state = dynamics.init(Profile(Population({VECTOR: x}, weights), Population({VECTOR: y}, weights)))
    oracle, rng = VectorOracle(case.game), torch.Generator()
    found: list[int | None] = [None] * len(case.starts)
    for step in range(1, limit + 1):
        before = state.base
        state, _ = dynamics.step(state, oracle, rng)
        length = _length(before, state.base) / state.shown["relaxation"].abs()
        for game in (length < DONE).nonzero().flatten().tolist():
            found[game] = found[game] or step
        if None not in found:
            break
    return found


def _length(one: Point, other: Point) -> torch.Tensor:
    moved = [(b[VECTOR] - a[VECTOR]).flatten(1) for a, b in zip(one, other, strict=True)]
    length: torch.Tensor = torch.cat(moved, dim=1).norm(dim=1)
    return length


@final
class WeakMinty(AbstractReproduction):
    """Contraction factors on the quadratic family, where rho = -c/L exactly, and the published protocol.

    EG+ converges up to c = (1 - alpha) / 2, so alpha = 3/4, 1/2, 1/4 stop at 1/8, 1/4 and 3/8; AdaptiveEG+ and
    CurvatureEG+ reach up to 1/2. The protocol plays in boxes with step 1/L from the same starts and counts iterations.
    """

    summary = "who converges as the weak Minty constant falls to -1/(8L) and -1/(2L)"
    parts = len(LINEAR) + len(CASES)

    def run(self, advance: Advance, short: bool, folder: Path) -> Findings:
        """Factors over c, critical c, iterations of the protocol."""
        del folder
        checks: list[Check] = []
        factors = {}
        grid = _GRID[::12] if short else _GRID
        for name, make in LINEAR.items():
            advance(name)
            steps = 20 if short else 600
            factors[name] = [contraction(make, float(c), steps) for c in grid]
            if name in CRITICAL:
                critical = critical_ratio(make, steps, 2 if short else 16)
                checks.append(
                    Check(
                        f"critical c of {name}",
                        f"{CRITICAL[name]:.4f}",
                        f"{critical:.6f}",
                        abs(critical - CRITICAL[name]) < 1e-4,
                    )
                )
        numbers: dict[str, object] = {"c": grid.tolist(), "factors": factors}
        for case in CASES:
            advance(case.name)
            for (name, make_field), expected in zip(PROTOCOL.items(), case.expected, strict=True):
                found = iterations_to_rest(make_field(case.lipschitz), case, 10 if short else LIMIT)
                text, agrees = judge(found, expected)
                numbers[f"{name}, {case.name}"] = {"iterations": found, "reference": expected}
                checks.append(Check(f"{name} on {case.name}", expected, text, agrees))
        return Findings({"contraction": _figure(grid, factors)}, numbers, checks)


def judge(found: Sequence[int | None], expected: str) -> tuple[str, bool]:
    """What was found in the reference's words, and whether it agrees: iterations to 1 %."""
    if len(found) > 1:
        text = f"{sum(one is not None for one in found)} of {len(found)}"
        return text, text == expected
    (only,) = found
    if only is None or expected == "cycle":
        text = "cycle" if only is None else str(only)
        return text, text == expected
    return str(only), math.isclose(only, int(expected), rel_tol=0.01)


def _figure(grid: NDArray[np.float64], factors: dict[str, list[float]]) -> Figure:
    """Steps per decimal digit: curves end where a method stops converging."""
    curves = []
    for name, values in factors.items():
        found = np.array(values)
        kept = found < 1 - 1e-5
        if kept.any():
            curves.append(RateCurve(name, grid[kept], -1 / np.log10(found[kept]), None))
    return rates(
        [
            RatePanel(
                "L = 1; GDA never converges; borders of theory at c = 1/8 and c = 1/2", curves, [], "steps per digit"
            )
        ],
        "Speed on quadratic games as the weak Minty constant rho = -c/L falls",
        "c = -rho L",
        logx=False,
    )
