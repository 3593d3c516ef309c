"""Mixtures of image generators beside single ones: what the comparisons on image data have in common."""

import abc
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mixnash.figures.curves import metric_curves
from mixnash.figures.images import image_grid
from mixnash.reproduction.base import AbstractReproduction, Advance, Check, Findings
from mixnash.reproduction.plan import Mark, Plan, Trained, Unit
from mixnash.reproduction.workers import WORKERS, train_all

COLUMNS = 10
"""Images in a row of the pictures."""


class Entrant(NamedTuple):
    """One side of a comparison."""

    experiment: str
    """File in `configs/experiment`, without ending."""
    overrides: tuple[str, ...]
    """Command-line words that change it, applied in order."""
    unit: Unit
    """Of the marks."""
    marks: tuple[float, ...]
    """When to look; the last one ends the training."""
    seeds: int
    """How many trainings, from seed 0 on."""
    samples: int = 10_000
    """Behind every score."""


class AbstractImageComparison(AbstractReproduction):
    """Trains every entrant by CPU time or by steps and draws their scores and some of their samples.

    The data are looked for in the folder ``data`` below the working directory, as the experiments say; nothing is
    downloaded. Scores of features need the data's classifier, see `mixnash train-classifier`.
    """

    entrants: Mapping[str, Entrant]
    """By the names that figures and tables use."""
    scored: Mapping[str, str]
    """What the scores that are drawn are called, by their names in the marks."""
    short_words: tuple[str, ...]
    """Command-line words that make every entrant small enough for a short run."""

    @property
    def parts(self) -> int:  # type: ignore[override]
        """One for each entrant."""
        return len(self.entrants)

    @abc.abstractmethod
    def checks(self, done: Mapping[str, Sequence[Trained]]) -> list[Check]:
        """What was found beside what was hoped for."""

    def run(self, advance: Advance, short: bool, folder: Path) -> Findings:
        """Train everything, or read back what is there."""
        groups = {name: self._plans(name, entrant, short) for name, entrant in self.entrants.items()}
        done = train_all(groups, folder / ("short" if short else "trainings"), advance, 0 if short else WORKERS)
        figures = {f"{score}-{axis}": self._curves(done, score, axis) for score in self.scored for axis in _AXES}
        for name, found in done.items():
            kept = next((one for one in found if one.points), None)  # one that failed early has none
            if kept is not None:
                figures[f"samples-{_file_name(name)}"] = _samples(name, kept)
        return Findings(figures, {name: self._numbers(found) for name, found in done.items()}, self.checks(done))

    def _plans(self, name: str, entrant: Entrant, short: bool) -> list[Plan]:
        key = _file_name(name)
        if short:
            words = (*entrant.overrides, *self.short_words)
            return [Plan(f"{key}-0", entrant.experiment, words, 0, Unit.STEPS, (1.0, 2.0), (2.0,), samples=60)]
        marks = entrant.marks
        return [
            Plan(
                f"{key}-{seed}",
                entrant.experiment,
                entrant.overrides,
                seed,
                entrant.unit,
                marks,
                marks[-1:],
                samples=entrant.samples,
            )
            for seed in range(entrant.seeds)
        ]

    def _numbers(self, found: Sequence[Trained]) -> dict[str, Any]:
        return {
            "parameters": dict(found[0].parameters),
            "failures": [one.failure for one in found if one.failure],
            "last": {
                name: _spread([one.marks[-1].scores[name] for one in found if one.marks])
                for name in (found[0].marks[-1].scores if found[0].marks else ())
            },
            "marks": [
                [{"steps": mark.steps, "seconds": round(mark.seconds, 2), **_finite(mark.scores)} for mark in one.marks]
                for one in found
            ],
        }

    def _curves(self, done: Mapping[str, Sequence[Trained]], score: str, axis: str) -> Figure:
        curves, bands = {}, {}
        for name, found in done.items():
            looks = min(len(one.marks) for one in found)
            x = _means([[_AXES[axis].value(mark) for mark in one.marks[:looks]] for one in found])
            rows = np.array([[mark.scores.get(score, np.nan) for mark in one.marks[:looks]] for one in found])
            curves[name] = (x, rows.mean(0))
            if len(found) > 1:
                bands[name] = (x, rows.min(0), rows.max(0))
        label = self.scored[score]
        return metric_curves(
            curves, _AXES[axis].label, label, f"{label[0].upper()}{label[1:]} over training", bands=bands
        )


def _seconds(mark: Mark) -> float:
    return mark.seconds


def _steps(mark: Mark) -> float:
    return float(mark.steps)


class _Axis(NamedTuple):
    label: str
    value: Callable[[Mark], float]


_AXES: Mapping[str, _Axis] = MappingProxyType(
    {
        "seconds": _Axis("CPU seconds of training, one thread", _seconds),
        "steps": _Axis("generator updates", _steps),
    }
)


def last(found: Sequence[Trained], score: str) -> float:
    """A score at the last mark, the mean over seeds; NaN if a training failed."""
    return float(np.mean([one.last(score) for one in found]))


def _file_name(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower())


def _samples(name: str, trained: Trained) -> Figure:
    """The images kept at the last mark, sorted by generator."""
    points = trained.points[max(trained.points)]
    order = np.argsort(points.particle, kind="stable")
    return image_grid(points.values[order].astype(np.float64), COLUMNS, f"Samples of {name}, sorted by generator")


def _means(rows: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    means: NDArray[np.float64] = np.asarray(rows, dtype=np.float64).mean(0)
    return means


def _spread(values: Sequence[float]) -> dict[str, Any]:
    """Mean, standard deviation over the seeds and every seed."""
    deviation = _plain(float(np.std(values, ddof=1))) if len(values) > 1 else None
    return {"mean": _plain(float(np.mean(values))), "sd": deviation, "seeds": [_plain(value) for value in values]}


def _finite(scores: Mapping[str, float]) -> dict[str, float | None]:
    return {name: _plain(value) for name, value in scores.items()}


def _plain(value: float) -> float | None:
    """JSON has no word for what is not finite."""
    return value if np.isfinite(value) else None
