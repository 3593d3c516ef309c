"""Who converges, cycles or diverges: twelve methods on the classical games, cell by cell against a reference."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, final

import numpy as np
import torch
from torch import Tensor

from mixnash.core.games.almost_bilinear import AlmostBilinear
from mixnash.core.games.bilinear import Bilinear
from mixnash.core.games.forsaken import Forsaken
from mixnash.core.games.global_forsaken import GlobalForsaken
from mixnash.core.games.letcher import Letcher
from mixnash.core.games.monkey_saddle import MonkeySaddle
from mixnash.core.games.polar import PolarGame
from mixnash.core.games.vectors import AbstractVectorGame
from mixnash.core.games.weak_minty_quadratic import WeakMintyQuadratic
from mixnash.core.games.weird_saddle import WeirdSaddle
from mixnash.core.types import Player
from mixnash.figures.outcomes import outcome_matrix
from mixnash.reproduction.base import AbstractReproduction, Advance, Check, Findings
from mixnash.reproduction.methods import METHODS
from mixnash.reproduction.simulate import Run, follow

COLUMNS = ("GDA", "altGDA", "PPM", "EG", "EG+ ½", "OGDA", "RFBS", "CO", "CGD", "LA-GDA", "LA-EG", "CurvatureEG+")
STEPS = 20_000
TAIL = 2_000
"""Steps at the end over which radii are averaged."""
NEAR = 1e-2
"""A run that ends this near a stationary point has converged: the slowest here fall like 1/k."""

ROUNDING = 1e-9
"""Nearer than this nothing more is to be learnt from distances."""


class Setting(NamedTuple):
    """One row: a game, a start, a step size, and the reference's twelve outcomes.

    C: converges to the stationary point; D: diverges; H: stops on the hyperbola xy = 1/2; a number: bounded, with that
    mean distance from the origin at the end; ~: bounded, not converging; -: not run.

    Two radii are not those of the first reference, which has 1.35 for GDA on GlobalForsaken and .75 for CurvatureEG+ on
    Letcher's game: an independent implementation of both gives 1.3437 and 0.7781.
    """

    name: str
    game: AbstractVectorGame
    start: tuple[float, float]
    step: float
    expected: str
    point: tuple[float, float] = (0.0, 0.0)


_FORSAKEN = (0.0780266687, 0.4119338514)
SETTINGS: tuple[Setting, ...] = (
    Setting("xy", Bilinear([[1.0]]), (1, 1), 0.05, "D 1.4 C C C C C C C C C C"),
    Setting("xy", Bilinear([[1.0]]), (1, 1), 0.2, "D 1.4 C C C C C C C C C C"),
    Setting("monkey saddle", MonkeySaddle(), (-0.3, 0.05), 0.05, "C C C C C C C C C C C C"),
    Setting("monkey saddle", MonkeySaddle(), (-0.3, 0.05), 0.2, "D D C D C D D C C D D -"),
    Setting("weird saddle, inside", WeirdSaddle(), (0.3, 0.3), 0.05, "H .42 C C C C C C C C C C"),
    Setting("weird saddle, outside", WeirdSaddle(), (1.5, 1), 0.05, "H H H H H H H H H H H H"),
    Setting(
        "almost bilinear in y",
        AlmostBilinear(0.1, Player.CRITIC),
        (0.1, 0.1),
        0.05,
        "1.41 1.15 .82 .82 .58 .82 .82 C .82 .58 C C",
    ),
    Setting(
        "almost bilinear in y", AlmostBilinear(0.1, Player.CRITIC), (0.1, 0.1), 0.2, "2.0 1.15 C C C C C C C C C -"
    ),
    Setting("almost bilinear in x", AlmostBilinear(0.1, Player.GENERATOR), (1.3, 0), 0.05, "D D C C C C C C C C C C"),
    Setting("Forsaken, inside", Forsaken(), (0.1, 0.45), 0.05, "C C C C C C C C C C C C", _FORSAKEN),
    Setting("Forsaken, inside", Forsaken(), (0.1, 0.45), 0.2, "~ C C C C C C C C C C -", _FORSAKEN),
    Setting("Forsaken, outside", Forsaken(), (1, -0.8), 0.05, "~ ~ ~ ~ ~ ~ ~ C ~ ~ ~ C", _FORSAKEN),
    Setting("Forsaken, outside", Forsaken(), (1, -0.8), 0.2, "~ ~ ~ ~ ~ ~ ~ D ~ ~ C -", _FORSAKEN),
    Setting("GlobalForsaken", GlobalForsaken(), (1.2, 1.2), 0.05, "1.34 1.31 1.25 1.25 C 1.25 1.25 C 1.25 C C C"),
    Setting("GlobalForsaken", GlobalForsaken(), (1.2, 1.2), 0.2, "~ ~ C C C C C C C C C -"),
    Setting("polar, a = 1", PolarGame(1.0), (1, 0.5), 0.05, "1.03 1.00 .97 .96 .94 .97 .96 C .97 .94 C C"),
    Setting("polar, a = 1/3", PolarGame(1 / 3), (1, 0.5), 0.05, "1.06 1.00 C C C C C C C C C C"),
    Setting("quadratic L=3, c=1/3", WeakMintyQuadratic(3.0, 1 / 3), (1, 1), 0.05, "D D D D D D D C D D D C"),
    Setting("quadratic L=3, c=1/3", WeakMintyQuadratic(3.0, 1 / 3), (1, 1), 0.2, "D D D D D D D C D D C C"),
    Setting("Letcher", Letcher(), (0.1, 0.1), 0.05, "~ ~ ~ ~ ~ ~ ~ .87 ~ ~ ~ .78"),
)

KINDS = ("converges", "cycles", "diverges", "not run", "stops elsewhere")
CONVERGES, CYCLES, DIVERGES, NOT_RUN, STOPS = range(len(KINDS))


class Observed(NamedTuple):
    """What became of a run."""

    kind: int
    """Index into `KINDS`."""
    radius: float
    """Mean distance from the origin at the end."""
    steps: int

    @property
    def text(self) -> str:
        """For a cell of the table."""
        return {
            CONVERGES: "C",
            CYCLES: f"{self.radius:.2f}",
            DIVERGES: "D",
            NOT_RUN: "-",
            STOPS: "stops",
        }[self.kind]


def observe(run: Run, point: Sequence[float]) -> Observed:
    """Classify the end of a run."""
    tail = run.points[-min(TAIL, len(run.points)) :]
    radius = float(tail.norm(dim=1).mean())
    if run.diverged:
        return Observed(DIVERGES, math.inf, len(run.points) - 1)
    distance = (tail - torch.tensor(point, dtype=torch.float64)).norm(dim=1)
    if float(distance[-1]) < min(NEAR, max(float(distance[0]), ROUNDING)):
        return Observed(CONVERGES, radius, len(run.points) - 1)
    if run.still or _on_hyperbola(tail):
        return Observed(STOPS, radius, len(run.points) - 1)
    return Observed(CYCLES, radius, len(run.points) - 1)


def _on_hyperbola(tail: Tensor) -> bool:
    return float((tail.prod(dim=1) - 0.5).abs().max()) < 1e-3


_AGREES: dict[str, Callable[[Observed], bool]] = {
    "C": lambda seen: seen.kind == CONVERGES,
    "D": lambda seen: seen.kind == DIVERGES,
    "H": lambda seen: seen.kind == STOPS,
    "~": lambda seen: seen.kind == CYCLES,
}


def agrees(seen: Observed, expected: str) -> bool:
    """Whether an outcome is the reference's, radii to the digits that are given."""
    if expected in _AGREES:
        return _AGREES[expected](seen)
    digits = len(expected.partition(".")[2])
    return seen.kind == CYCLES and abs(seen.radius - float(expected)) <= 0.6 * 10**-digits


@final
class OutcomeMatrix(AbstractReproduction):
    """Twelve methods on twenty settings of ten games, unconstrained, 20,000 steps."""

    summary = "who converges, cycles or diverges: 12 methods, 10 games, 20 settings"
    parts = len(SETTINGS)

    def run(self, advance: Advance, short: bool, folder: Path) -> Findings:
        """Every cell that the reference has run."""
        del folder
        table = [self._row(setting, advance, short) for setting in SETTINGS]
        judged = [
            [(seen, expected) for seen, expected in zip(row, setting.expected.split(), strict=True)]
            for row, setting in zip(table, SETTINGS, strict=True)
        ]
        cells = [cell for row in judged for cell in row if cell[1] != "-"]
        figure = outcome_matrix(
            [f"{one.name}, step {one.step}" for one in SETTINGS],
            list(COLUMNS),
            np.array([[seen.kind for seen, _ in row] for row in judged]),
            [[seen.text for seen, _ in row] for row in judged],
            dict(enumerate(KINDS)),
            np.array([[expected == "-" or agrees(seen, expected) for seen, expected in row] for row in judged]),
            "Where first-order methods end up after 20,000 steps",
        )
        numbers = {
            f"{setting.name}, step {setting.step}": {
                method: {
                    "outcome": KINDS[seen.kind],
                    "radius": _finite(seen.radius),
                    "steps": seen.steps,
                    "reference": expected,
                }
                for method, (seen, expected) in zip(COLUMNS, row, strict=True)
            }
            for setting, row in zip(SETTINGS, judged, strict=True)
        }
        wrong = [
            Check(f"{setting.name}, step {setting.step}, {method}", expected, seen.text, False)
            for setting, row in zip(SETTINGS, judged, strict=True)
            for method, (seen, expected) in zip(COLUMNS, row, strict=True)
            if expected != "-" and not agrees(seen, expected)
        ]
        total = Check("cells that agree", f"{len(cells)}", f"{len(cells) - len(wrong)}", not wrong)
        return Findings({"outcomes": figure}, numbers, [total, *wrong])

    @staticmethod
    def _row(setting: Setting, advance: Advance, short: bool) -> list[Observed]:
        advance(f"{setting.name}, step {setting.step}")
        row = []
        for method, expected in zip(COLUMNS, setting.expected.split(), strict=True):
            if expected == "-":
                row.append(Observed(NOT_RUN, math.inf, 0))
                continue
            x, y = map(float, setting.start)
            run = follow(METHODS[method](setting.step), setting.game, ([x], [y]), 10 if short else STEPS, setting.point)
            row.append(observe(run, setting.point))
        return row


def _finite(radius: float) -> float | None:
    return radius if math.isfinite(radius) else None
