"""The lecture's four panels with figures: SGD, Adam, Mirror-GAN and Mirror-Prox-GAN on the toys of WGAN-GP."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, final

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mixnash.data.base import AbstractMixtureData, AbstractPlanarData
from mixnash.equilibrium.duality_gap import marks_of
from mixnash.figures.plane import sample_history
from mixnash.lit.deviations import SearchPlan
from mixnash.reproduction.base import AbstractReproduction, Advance, Check, Findings
from mixnash.reproduction.experiments import read_experiment
from mixnash.reproduction.plan import Plan, Trained, Unit, steps
from mixnash.reproduction.workers import WORKERS, train_all

MARKS = (20.0, 60.0, 150.0, 380.0)
"""CPU seconds at which samples of the grid are shown; the last ends the training."""
EASIER = (10.0, 30.0, 60.0)
"""The same for the other two."""
SEARCH = SearchPlan(marks_of(50), starts=2)
"""Deviations are searched for by 50 and by 200 updates, on the grid; these networks make every update slow."""
_SHORT_SEARCH = SearchPlan(
    (0, 1), starts=1, train_samples=8, generator_samples=4, samples=8, search_batches=1, score_batches=2
)
MODES, HIGH_QUALITY = 25, 0.85
"""What the tuned Mirror-GANs are to reach."""

ALGORITHMS: Mapping[str, str] = MappingProxyType(
    {
        "SGD": "panel_sgd",
        "Adam": "panel_adam",
        "Mirror-GAN": "panel_mirror_gan",
        "Mirror-Prox-GAN": "panel_mirror_prox_gan",
    }
)
"""Rows of the pictures, each with the experiment that defines it on the grid."""
TUNED = ("Mirror-GAN", "Mirror-Prox-GAN")


class Problem(NamedTuple):
    """Data that all algorithms are trained on."""

    overrides: tuple[str, ...]
    """What makes the experiments' data these."""
    seeds: int
    marks: tuple[float, ...]


PROBLEMS: Mapping[str, Problem] = MappingProxyType(
    {
        "25 Gaussians": Problem((), 1, MARKS),
        "8 Gaussians": Problem(("--data.init_args.preset=wgangp-ring",), 1, EASIER),
        "Swiss roll": Problem(("--data=mixnash.data.shapes.SwissRoll", "--data.init_args.batch_size=256"), 1, EASIER),
    }
)
"""The three toys of the papers, in the coordinates of WGAN-GP."""
GRID = "25 Gaussians"
SHORT = ("SGD", "Mirror-GAN")
"""Algorithms of a short run, on the grid."""


def plans(problem: str, algorithm: str, short: bool) -> list[Plan]:
    """The trainings of one algorithm on one problem; none in a short run that leaves them out."""
    if short and (problem != GRID or algorithm not in SHORT):
        return []
    experiment, (overrides, seeds, times) = ALGORITHMS[algorithm], PROBLEMS[problem]
    name = problem.lower().replace(" ", "-")
    if short:
        marks = steps([1, 2])
        return [
            Plan(
                f"{name}-{experiment}-0",
                experiment,
                overrides,
                0,
                Unit.STEPS,
                marks,
                marks,
                _SHORT_SEARCH,
            )
        ]
    return [
        Plan(
            f"{name}-{experiment}-{seed}",
            experiment,
            overrides,
            seed,
            Unit.SECONDS,
            times,
            times,
            SEARCH if problem == GRID else None,
        )
        for seed in range(seeds)
    ]


@final
class Gaussians25Panel(AbstractReproduction):
    """Samples over time on the papers' networks, Fourier features in every critic, with figures for what one sees.

    Every algorithm has the same CPU time on one thread, evaluation excluded. Mode counts, high quality and reverse KL
    are of 10,000 samples of the generator's moving average; the duality gap is the lower bound that a search for
    deviations finds, with its interval.
    """

    summary = "SGD, Adam, Mirror-GAN and Mirror-Prox-GAN on 25 and 8 Gaussians and the Swiss roll, with figures"
    parts = len(ALGORITHMS) * len(PROBLEMS)

    def run(self, advance: Advance, short: bool, folder: Path) -> Findings:
        """Train everything, or read back what is there."""
        places = [(problem, algorithm) for problem in PROBLEMS for algorithm in ALGORITHMS]
        groups = {_group(*place): plans(*place, short) for place in places}
        trained = train_all(groups, folder / ("short" if short else "trainings"), advance, 0 if short else WORKERS)
        found = {
            problem: {name: trained[_group(problem, name)] for name in ALGORITHMS if trained[_group(problem, name)]}
            for problem in PROBLEMS
        }
        kept = {problem: rows for problem, rows in found.items() if rows}
        figures = {problem.lower().replace(" ", "-"): picture(problem, rows, short) for problem, rows in kept.items()}
        numbers = {problem: {name: _table(seeds) for name, seeds in rows.items()} for problem, rows in kept.items()}
        return Findings(figures, numbers, [_check(name, kept[GRID][name]) for name in TUNED if name in kept[GRID]])


def _group(problem: str, algorithm: str) -> str:
    return f"{algorithm} on {problem}"


def picture(problem: str, rows: Mapping[str, Sequence[Trained]], short: bool = False) -> Figure:
    """Samples of the first seed: a row for each algorithm, a column for each time."""
    data = read_experiment(next(iter(ALGORITHMS.values())), 0, PROBLEMS[problem].overrides).build().data
    assert isinstance(data, AbstractPlanarData)
    mixture = data.mixture if isinstance(data, AbstractMixtureData) else None
    columns = plans(problem, SHORT[0], short)[0].pictures
    unit = "steps" if short else "s"
    snapshots: list[tuple[str, NDArray[Any], NDArray[Any]]] = []
    for seeds in rows.values():
        for mark in columns:
            points, look = seeds[0].points.get(mark), seeds[0].reached(mark)
            label = f"{mark:,.0f} {unit}"
            if points is None or look is None:  # the training had failed, or no step had ended
                snapshots.append((f"{label}\nnothing", np.zeros((0, 2)), np.zeros(0, dtype=np.int64)))
            else:
                snapshots.append((f"{label}\n{_words(look.scores)}", points.values, points.particle))
    title = f"{problem}: samples after equal times of training on one core"
    return sample_history(snapshots, data.limits, title, mixture, 1, list(rows))


def _words(scores: Mapping[str, float]) -> str:
    """What fits above a small panel."""
    if "modes" in scores:
        return f"{scores['modes']:.0f} modes, {scores['high_quality']:.2f}"
    return f"sliced W2 {scores['sliced_wasserstein2']:.2f}"


def _table(seeds: Sequence[Trained]) -> dict[str, Any]:
    """Mean, standard deviation and every seed of all scores at the end, and the duality gap where it was measured."""
    good = [one for one in seeds if one.failure is None]
    gaps = [one.gap for one in good if one.gap is not None]
    scores = {name: [one.last(name) for one in good] for name in (good[0].marks[-1].scores if good else ())}
    return {
        "parameters": dict(seeds[0].parameters),
        "failures": [one.failure for one in seeds if one.failure],
        "scores": {name: _summary(values) for name, values in scores.items()},
        "duality_gap": None if not gaps else _summary([gap["lower_bound"] for gap in gaps]),
        "duality_gap_lower_bounds": [_plain(gap) for gap in gaps],
        "course": [[{**mark._asdict(), "scores": dict(_plain(mark.scores))} for mark in one.marks] for one in seeds],
    }


def _summary(values: Sequence[float]) -> dict[str, Any]:
    finite = [value for value in values if math.isfinite(value)]
    spread = float(np.std(finite, ddof=1)) if len(finite) > 1 else 0.0
    return {"mean": float(np.mean(finite)) if finite else None, "sd": spread, "seeds": finite}


def _plain(numbers: Mapping[str, float]) -> dict[str, float | None]:
    """As JSON can hold it."""
    return {name: value if math.isfinite(value) else None for name, value in numbers.items()}


def _check(name: str, seeds: Sequence[Trained]) -> Check:
    ends = [(0.0, 0.0) if one.failure else (one.last("modes"), one.last("high_quality")) for one in seeds]
    measured = "; ".join(f"{modes:.0f}, {quality:.3f}" for modes, quality in ends)
    agrees = all(modes >= MODES and quality >= HIGH_QUALITY for modes, quality in ends)
    return Check(
        f"{name} after {MARKS[-1]:.0f} s of one core, modes and high quality",
        f"{MODES}, at least {HIGH_QUALITY:.2f} on every seed",
        measured,
        agrees,
    )
