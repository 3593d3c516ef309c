r"""Measured rates of first-order methods beside what is proven: bilinear, strongly and merely monotone games."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, final

import numpy as np
import torch
from numpy.typing import NDArray

from mixnash.core.games.bilinear import Bilinear
from mixnash.core.games.saddle_quadratic import SaddleQuadratic
from mixnash.core.games.vectors import AbstractVectorGame
from mixnash.figures.rates import RateCurve, RatePanel, rates
from mixnash.reproduction.base import AbstractReproduction, Advance, Check, Findings
from mixnash.reproduction.methods import METHODS
from mixnash.reproduction.simulate import follow

LINEAR_STEP, STRONG_STEP, MONOTONE_STEP = 0.3, 0.03, 0.4
INTERACTION = 10.0
"""c of the strongly convex-concave game x^2 - y^2 + c x y, whose field has the eigenvalues 2 +- i c."""
SPECTRUM = np.geomspace(1e-3, 1, 120)
"""Singular values of the merely monotone game, evenly spaced in the logarithm: some scale is always the worst."""


class _Law(NamedTuple):
    """What a step multiplies the distance by, asymptotically, for an eigenvalue lambda of the field."""

    factor: Callable[[complex, float], float]


def _largest(*coefficients: complex) -> float:
    return float(max(abs(np.roots(coefficients))))


LAWS: dict[str, _Law] = {
    "GDA": _Law(lambda e, h: abs(1 - h * e)),
    "PPM": _Law(lambda e, h: 1 / abs(1 + h * e)),
    "EG": _Law(lambda e, h: abs(1 - h * e + (h * e) ** 2)),
    "OGDA": _Law(lambda e, h: _largest(1.0 + 0j, -(1 - 2 * h * e), -h * e)),
    "RFBS": _Law(lambda e, h: _largest(1.0 + 0j, -(1 - 2 * h * e), -h * e)),
}


def _curve(name: str, values: NDArray[np.float64]) -> RateCurve:
    kept = np.unique(np.geomspace(1, len(values) - 1, 120).round().astype(int))
    return RateCurve(name, kept, values[kept], None)


def _linear_rates(
    game: AbstractVectorGame, eigenvalue: complex, step: float, steps: int, label: str
) -> tuple[list[RateCurve], list[Check]]:
    """Distances on a linear field of two dimensions, and the factor they settle on."""
    curves, checks = [], []
    for name, law in LAWS.items():
        run = follow(METHODS[name](step), game, ([1.0], [0.5]), steps)
        distance = run.points.norm(dim=1).numpy()
        kept = distance[: int(np.argmax(distance < 1e-11)) or None]
        half = len(kept) // 2
        measured = float((kept[-1] / kept[half]) ** (1 / (len(kept) - 1 - half)))
        expected = law.factor(eigenvalue, step)
        curves.append(_curve(name, kept))
        checks.append(
            Check(
                f"factor per step of {name}, {label}",
                f"{expected:.5f}",
                f"{measured:.5f}",
                abs(measured - expected) < 2e-3,
            )
        )
    return curves, checks


def _monotone_rates(steps: int) -> tuple[list[RateCurve], list[Check]]:
    """|V|^2 on a bilinear game with singular values of all sizes: the worst case O(1/k) of monotone fields is met."""
    game = Bilinear(np.diag(SPECTRUM).tolist())
    start = ([1.0] * len(SPECTRUM), [0.0] * len(SPECTRUM))
    spectrum = torch.from_numpy(SPECTRUM)
    curves, checks = [], []
    for name in ("PPM", "EG", "OGDA", "RFBS"):
        points = follow(METHODS[name](MONOTONE_STEP), game, start, steps).points
        x, y = points[:, : len(SPECTRUM)], points[:, len(SPECTRUM) :]
        residual = ((spectrum * y).square() + (spectrum * x).square()).sum(1).numpy()
        fitted = np.arange(steps // 100, steps + 1)
        slope = float(np.polyfit(np.log(fitted), np.log(residual[fitted]), 1)[0])
        curves.append(_curve(name, residual))
        checks.append(Check(f"slope of |V|^2 of {name}, monotone", "-1 +- 0.1", f"{slope:.3f}", abs(slope + 1) < 0.1))
    return curves, checks


@final
class ConvergenceRates(AbstractReproduction):
    r"""Three kinds of convex-concave games, each with the rate that is proven for it.

    Linear fields in two dimensions give exact factors: bilinear xy (eigenvalues :math:`\pm i`) and strongly monotone
    (:math:`2 \pm ci`). The monotone game has 120 singular values from 1e-3 to 1: there extragradient and its relatives
    have :math:`|V|^2 = O(1/k)` and no better.
    """

    summary = "measured slopes against proven rates: bilinear, strongly and merely convex-concave games"
    parts = 3

    def run(self, advance: Advance, short: bool, folder: Path) -> Findings:
        """Distances and residuals over the steps."""
        del folder
        advance("bilinear")
        bilinear, checks = _linear_rates(Bilinear([[1.0]]), 1j, LINEAR_STEP, 40 if short else 400, "bilinear")
        advance("strongly convex-concave")
        strong, more = _linear_rates(
            SaddleQuadratic(INTERACTION), 2 + 1j * INTERACTION, STRONG_STEP, 40 if short else 400, "strong"
        )
        checks += more
        advance("merely convex-concave")
        monotone, more = _monotone_rates(200 if short else 10_000)
        checks += more
        figures = {
            "linear": rates(
                [
                    RatePanel(f"xy, step {LINEAR_STEP}", bilinear, [], "distance"),
                    RatePanel(f"x² - y² + {INTERACTION:g}xy, step {STRONG_STEP}", strong, [], "distance"),
                ],
                "Linear convergence on bilinear and strongly convex-concave games",
                "steps",
                logx=False,
            ),
            "sublinear": rates(
                [RatePanel("xᵀMy, 120 singular values", monotone, [("-1", -1.0)], "|V|²")],
                "Convergence on a merely convex-concave game",
                "steps",
            ),
        }
        numbers = {check.name: {"expected": check.expected, "measured": check.measured} for check in checks}
        return Findings(figures, numbers, checks)
