"""What is to be trained and looked at, and what came of it."""

import enum
import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixnash.core.errors import require
from mixnash.lit.deviations import SearchPlan


class Unit(enum.Enum):
    """What a training is limited by."""

    STEPS = "steps"
    SECONDS = "CPU seconds"


class Plan(NamedTuple):
    """One training: an experiment, changes to it, a seed, and when to look."""

    key: str
    """Names the training's files: unique within a folder; letters, digits, dots, dashes and underscores."""
    experiment: str
    """File in `configs/experiment`, without ending."""
    overrides: tuple[str, ...]
    """Command-line words such as ``--model.init_args.num_generators=8``, applied in order."""
    seed: int
    unit: Unit
    """Of the marks."""
    marks: tuple[float, ...]
    """When to score the generators, increasing; the last one ends the training."""
    pictures: tuple[float, ...] = ()
    """Marks at which to keep some samples."""
    gap: SearchPlan | None = None
    """How hard to search for deviations at the end, to bound the duality gap from below; not at all if None."""
    samples: int = 10_000
    """Behind every score."""

    def fingerprint(self, resolved: str) -> str:
        """What makes two trainings the same, as a hash: the plan, the resolved configuration and the versions.

        The code itself is not part of it: after changing an algorithm, delete the folder of trainings.
        """
        versions = {package: version(package) for package in ("mixnash", "torch")}
        content = json.dumps([*self._replace(unit=self.unit.value), resolved, versions])  # type: ignore[arg-type]
        return hashlib.sha256(content.encode()).hexdigest()


class Mark(NamedTuple):
    """A look at the generators' moving averages."""

    planned: float
    """The largest planned mark that had been reached, in the plan's unit."""
    steps: int
    """Generator updates."""
    gradient_evaluations: int
    """As `gradient_count.GradientCount` defines them."""
    seconds: float
    """CPU seconds of training."""
    scores: Mapping[str, float]
    """Modes, high quality, reverse KL and p-values of a mixture of Gaussians; distances and coverage of features of
    images; otherwise sliced Wasserstein-2 and squared MMD."""


class Points(NamedTuple):
    """Some samples of the mixture."""

    values: NDArray[np.float32]
    """[n, *event]."""
    particle: NDArray[np.int64]
    """Which generator made each [n]."""


class Trained(NamedTuple):
    """What was seen of one training."""

    marks: tuple[Mark, ...]
    """At least one, unless the training failed before the first."""
    parameters: Mapping[str, int]
    """Of all generators and of all critics."""
    failure: str | None
    """Why it ended early, if it did: what stopped being finite."""
    gap: Mapping[str, float] | None
    """The lower bound of the duality gap at the end, if it was asked for and the training did not fail: ``lower_bound``
    with its 95 % interval ``low`` to ``high``, both players' parts ``generators`` and ``critics``, and the exact
    gap ``restricted`` to the atoms."""
    points: Mapping[float, Points]
    """Samples by planned mark."""

    def last(self, name: str) -> float:
        """A score at the end; NaN if the training failed."""
        return float("nan") if self.failure else float(self.marks[-1].scores[name])

    def reached(self, mark: float) -> Mark | None:
        """The last look before or at a planned mark; None before the first."""
        return next((one for one in reversed(self.marks) if one.planned <= mark), None)

    def within(self, gradient_evaluations: int | float) -> Mark | None:
        """The last look with at most so many gradient evaluations; None before the first."""
        return next((one for one in reversed(self.marks) if one.gradient_evaluations <= gradient_evaluations), None)

    def first(self, modes: int, high_quality: float) -> Mark | None:
        """The first look at which so many modes and that much high quality were seen; None without one."""
        good = (
            one for one in self.marks if one.scores["modes"] >= modes and one.scores["high_quality"] >= high_quality
        )
        return next(good, None)


def check_plan(plan: Plan) -> None:
    """Refuse marks that no training can keep.

    Raises:
        InvalidInputError: unless marks are positive and increasing, and pictures are among them.
    """
    require(
        len(plan.marks) > 0 and all(a < b for a, b in zip((0.0, *plan.marks), plan.marks, strict=False)),
        f"The training {plan.key!r} needs positive, increasing marks, found {list(plan.marks)}.",
    )
    require(
        set(plan.pictures) <= set(plan.marks),
        f"The training {plan.key!r} keeps samples at its marks only, found {list(plan.pictures)} to be kept.",
    )


def geometric(first: float, last: float, count: int) -> tuple[float, ...]:
    """`count` marks from `first` to `last` at equal ratios, rounded to hundredths."""
    return tuple(np.unique(np.geomspace(first, last, count).round(2)).tolist())


def steps(marks: Sequence[int]) -> tuple[float, ...]:
    """Whole numbers of steps as marks."""
    return tuple(float(mark) for mark in marks)
