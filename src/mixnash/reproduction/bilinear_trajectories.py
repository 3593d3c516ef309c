"""Five classical methods on the game xy: who circles outwards, and how fast the others come in."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray

from mixnash.core.games.bilinear import Bilinear
from mixnash.figures.fields import field_trajectories
from mixnash.figures.rates import RateCurve, RatePanel, rates
from mixnash.reproduction.base import AbstractReproduction, Advance, Check, Findings
from mixnash.reproduction.methods import METHODS
from mixnash.reproduction.pictures import panel
from mixnash.reproduction.simulate import ORIGIN, Run, follow

STEP, STEPS = 0.1, 200
"""Of the golden run."""
SHOWN_STEP, SHOWN_STEPS = 0.3, 40
"""Of the pictures: large enough to tell the methods apart."""
START = ([1.0], [0.0])
GOLDEN = {
    "GDA": (-1.40884698292, -0.848506928758),
    "altGDA": (-0.864205033088, -0.548202119544),
    "PPM": (-0.52086652604, -0.313702525301),
    "EG": (-0.486970728106, -0.364153395218),
    "OGDA": (-0.486620854877, -0.36467448977),
    "RFBS": (-0.486620854877, -0.36467448977),
}
"""Points after 100 steps, recorded with an independent implementation."""
FACTORS = {"GDA": math.sqrt(1 + STEP**2), "PPM": 1 / math.sqrt(1 + STEP**2), "EG": math.sqrt(1 - STEP**2 + STEP**4)}
"""By which every step multiplies the distance, exactly."""


@final
class BilinearTrajectories(AbstractReproduction):
    """GDA, alternating GDA, PPM, EG, OGDA and RFBS on xy from (1, 0) with step 0.1."""

    summary = "GDA, PPM, EG, OGDA and RFBS on xy: trajectories over the field"
    parts = 1

    def run(self, advance: Advance, short: bool, folder: Path) -> Findings:
        """Trajectories, distances, and the points after 100 steps."""
        del folder
        advance("trajectories")
        game = Bilinear([[1.0]])
        runs = {name: follow(METHODS[name](STEP), game, START, 10 if short else STEPS) for name in GOLDEN}
        shown = {name: follow(METHODS[name](SHOWN_STEP), game, START, SHOWN_STEPS) for name in GOLDEN}
        distances = {name: run.points.norm(dim=1).numpy() for name, run in runs.items()}
        limits = (-2.0, 2.0, -2.0, 2.0)
        figures = {
            "trajectories": field_trajectories(
                [
                    panel(
                        "who leaves and who circles", game, {n: shown[n] for n in ("GDA", "altGDA")}, limits, [ORIGIN]
                    ),
                    panel(
                        "who converges", game, {n: shown[n] for n in ("PPM", "EG", "OGDA", "RFBS")}, limits, [ORIGIN]
                    ),
                ],
                f"The game xy: {SHOWN_STEPS} steps of size {SHOWN_STEP}",
            ),
            "distance": rates(
                [
                    RatePanel(
                        "distance from the equilibrium",
                        [RateCurve(name, np.arange(len(one)), one, None) for name, one in distances.items()],
                        [],
                        "|z|",
                    )
                ],
                f"The game xy with step {STEP}",
                "steps",
                logx=False,
            ),
        }
        numbers = {
            name: {"distance": distances[name].tolist(), "end": run.points[-1].tolist()} for name, run in runs.items()
        }
        return Findings(figures, numbers, _checks(runs, distances))


def _checks(runs: Mapping[str, Run], distances: Mapping[str, NDArray[np.float64]]) -> list[Check]:
    checks = []
    for name, golden in GOLDEN.items():
        at = runs[name].points[min(100, len(runs[name].points) - 1)].tolist()
        error = max(abs(a - b) for a, b in zip(at, golden, strict=True))
        checks.append(
            Check(
                f"{name} after 100 steps",
                f"({golden[0]:.10f}, {golden[1]:.10f})",
                f"({at[0]:.10f}, {at[1]:.10f})",
                error < 1e-10,
            )
        )
    for name, factor in FACTORS.items():
        found = float(distances[name][-1] / distances[name][-2])
        checks.append(Check(f"factor per step of {name}", f"{factor:.9f}", f"{found:.9f}", abs(found - factor) < 1e-9))
    return checks
