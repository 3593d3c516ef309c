"""Three saddles of growing nastiness: x^2 - y^2, the monkey saddle, and the weird saddle xy - x^2 y^2."""

from pathlib import Path
from typing import NamedTuple, final

from mixnash.core.games.monkey_saddle import MonkeySaddle
from mixnash.core.games.saddle_quadratic import SaddleQuadratic
from mixnash.core.games.vectors import AbstractVectorGame
from mixnash.core.games.weird_saddle import WeirdSaddle
from mixnash.figures.fields import field_trajectories
from mixnash.reproduction.base import AbstractReproduction, Advance, Check, Findings
from mixnash.reproduction.methods import METHODS
from mixnash.reproduction.outcome_matrix import CONVERGES, CYCLES, DIVERGES, KINDS, STOPS, observe
from mixnash.reproduction.pictures import panel
from mixnash.reproduction.simulate import ORIGIN, follow

SHOWN = ("GDA", "altGDA", "PPM", "EG", "OGDA", "LA-GDA")
STEPS = 20_000


class _Case(NamedTuple):
    title: str
    game: AbstractVectorGame
    start: tuple[float, float]
    step: float
    limit: float
    expected: tuple[int, ...]
    """Index into `KINDS`, method by method."""


_CASES = (
    _Case("x² - y²", SaddleQuadratic(), (1.0, -0.8), 0.1, 1.2, (CONVERGES,) * 6),
    _Case("monkey saddle x³ - 3xy², step 0.05", MonkeySaddle(), (-0.3, 0.05), 0.05, 1.2, (CONVERGES,) * 6),
    _Case(
        "monkey saddle, step 0.2",
        MonkeySaddle(),
        (-0.3, 0.05),
        0.2,
        1.2,
        (DIVERGES, DIVERGES, CONVERGES, DIVERGES, DIVERGES, DIVERGES),
    ),
    _Case(
        "weird saddle xy - x²y², from inside",
        WeirdSaddle(),
        (0.3, 0.3),
        0.05,
        1.6,
        (STOPS, CYCLES, CONVERGES, CONVERGES, CONVERGES, CONVERGES),
    ),
    _Case("weird saddle, from outside", WeirdSaddle(), (1.5, 1.0), 0.05, 2.2, (STOPS,) * 6),
)


@final
class Saddles(AbstractReproduction):
    r"""Where a saddle is not enough.

    On x^2 - y^2 every method converges. On the monkey saddle the outcome depends on the step: GDA follows
    :math:`w \leftarrow w - w^2`. The weird saddle has a curve of stationary points, the hyperbola xy = 1/2, none of
    which is an equilibrium: from outside all methods stop there.
    """

    summary = "x^2 - y^2, the monkey saddle and the weird saddle: six methods over the fields"
    parts = len(_CASES)

    def run(self, advance: Advance, short: bool, folder: Path) -> Findings:
        """Trajectories and where they end."""
        del folder
        panels, checks, numbers = [], [], {}
        for case in _CASES:
            advance(case.title)
            x, y = case.start
            runs = {
                name: follow(METHODS[name](case.step), case.game, ([x], [y]), 10 if short else STEPS) for name in SHOWN
            }
            window = (-case.limit, case.limit, -case.limit, case.limit)
            panels.append(panel(case.title, case.game, runs, window, [ORIGIN]))
            for (name, run), expected in zip(runs.items(), case.expected, strict=True):
                seen = observe(run, ORIGIN)
                checks.append(Check(f"{name}, {case.title}", KINDS[expected], KINDS[seen.kind], seen.kind == expected))
                numbers[f"{name}, {case.title}"] = {"outcome": KINDS[seen.kind], "end": run.points[-1].tolist()}
        figure = field_trajectories(panels, "Saddles", columns=3)
        return Findings({"trajectories": figure}, numbers, checks)
