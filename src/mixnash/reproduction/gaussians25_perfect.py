"""How close mixtures come to a perfect sampler: the 25 Gaussians with few and with many generators, and harder data."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from mixnash.figures.budget import Strip, method_strips
from mixnash.reproduction.base import AbstractReproduction, Advance, Check, Findings
from mixnash.reproduction.plan import Plan, Trained, Unit, steps
from mixnash.reproduction.workers import WORKERS, train_all

Scores: TypeAlias = NDArray[np.float64]
"""One number for each seed."""
GENERATED = 640
"""Generated samples of all generators together per update."""
SIGNIFICANCE = 0.05
"""Below it, samples count as told from the data's."""
LIMIT = 240.0
"""CPU seconds that a training may take; of one core, where the target allows two."""
_MODEL = "--model.init_args"
STRIPS: Mapping[str, tuple[str, str, float]] = MappingProxyType(
    {
        "high_quality": ("samples in no mode", "per cent", 1.11),
        "reverse_kl": ("masses of the modes", "reverse KL, thousandths", 1.2),
        "perfect_p_coverage": ("test of modes,\nquality and masses", "p-value", SIGNIFICANCE),
    }
)
"""Columns of the picture: score to title, label and dashed line, which is the perfect sampler's on the grid."""
SHOWN: Mapping[str, Callable[[Scores], Scores]] = MappingProxyType(
    {
        "high_quality": lambda share: 100 * (1 - share),
        "reverse_kl": lambda divergence: 1000 * divergence,
        "perfect_p_coverage": lambda p_value: p_value,
    }
)
"""Score to what is drawn, in the label's unit."""


class Case(NamedTuple):
    """A population on a data set."""

    experiment: str
    steps: int
    """The experiment's own."""
    seeds: int
    modes: int
    generators: int | None = None
    """In place of the experiment's own number; the samples of all together stay the same."""
    required: bool = True
    """Whether the target names it."""

    @property
    def overrides(self) -> tuple[str, ...]:
        """What makes the experiment this case."""
        if self.generators is None:
            return ()
        share = -(-GENERATED // self.generators)
        words = ("num_generators", self.generators), ("generator_samples", share), ("critic_samples", share)
        return tuple(f"{_MODEL}.{name}={value}" for name, value in words)


CASES: Mapping[str, Case] = MappingProxyType(
    {
        "grid, K = 8": Case("gaussians25_few", 12_000, 3, 25, 8),
        "grid, K = 32": Case("gaussians25_weighted", 6_000, 5, 25, 32),
        "grid, K = 64": Case("gaussians25_weighted", 6_000, 2, 25, 64),
        "ring, K = 8": Case("ring8_weighted", 3_000, 5, 8),
        "grid, K = 16": Case("gaussians25_few", 12_000, 1, 25, 16),
        "100 modes, K = 100": Case("gaussians100", 4_500, 1, 100, required=False),
        "50 modes in 10-D, K = 50": Case("gaussians50_10d", 4_500, 1, 50, required=False),
    }
)
"""In the order of training."""
SHORT = ("ring, K = 8",)
"""Cases of a short run."""


def plans(name: str, short: bool) -> list[Plan]:
    """The trainings of one case; none in a short run that leaves it out."""
    if short and name not in SHORT:
        return []
    case = CASES[name]
    marks = steps([1, 2]) if short else steps([case.steps // 4, case.steps // 2, case.steps])
    suffix = "" if case.generators is None else f"-{case.generators}"
    return [
        Plan(f"{case.experiment}{suffix}-{seed}", case.experiment, case.overrides, seed, Unit.STEPS, marks)
        for seed in range(1 if short else case.seeds)
    ]


@final
class Gaussians25Perfect(AbstractReproduction):
    """Modes, high quality, reverse KL and the test against a perfect sampler, on 10,000 samples of the moving average.

    The test is `PerfectSamplerTest`: its variant `coverage` looks at modes, high quality and the masses of the modes,
    `full` at the widths and centres of the modes as well.
    """

    summary = "mixtures of 8 to 64 generators against a perfect sampler, on 25 and 8 Gaussians and harder data"
    parts = len(CASES)

    def run(self, advance: Advance, short: bool, folder: Path) -> Findings:
        """Train everything, or read back what is there."""
        groups = {name: plans(name, short) for name in CASES}
        trained = train_all(groups, folder / ("short" if short else "trainings"), advance, 0 if short else WORKERS)
        done = {name: found for name, found in trained.items() if found}
        figure = method_strips(
            [(name, True) for name in done],
            [Strip(title, label, _values(done, score), True, line) for score, (title, label, line) in STRIPS.items()],
            "Mixtures against a perfect sampler (dashed), and significance 0.05; a dot for each seed",
        )
        numbers = {name: _numbers(found) for name, found in done.items()}
        checks = [_check(name, found) for name, found in done.items() if CASES[name].required]
        return Findings({"perfect": figure}, numbers, checks)


def _values(done: Mapping[str, Sequence[Trained]], score: str) -> list[Scores]:
    """What is drawn of a score, for every case."""
    return [
        SHOWN[score](np.array([one.last(score) for one in found if one.failure is None])) for found in done.values()
    ]


def _numbers(found: Sequence[Trained]) -> list[dict[str, Any]]:
    """Everything about the last look of every seed."""
    return [
        {"failure": one.failure, "parameters": dict(one.parameters)}
        | ({} if one.failure else {**one.marks[-1]._asdict(), "scores": dict(one.marks[-1].scores)})
        for one in found
    ]


def _check(name: str, found: Sequence[Trained]) -> Check:
    good = [
        one.failure is None
        and one.last("modes") == CASES[name].modes
        and one.last("perfect_p_coverage") >= SIGNIFICANCE
        and one.marks[-1].seconds <= LIMIT
        for one in found
    ]
    worst = max((one.marks[-1].seconds for one in found if one.marks), default=float("nan"))
    qualities = ", ".join(f"{one.last('high_quality'):.4f}" for one in found)
    return Check(
        f"{name}: all modes, and not told from a perfect sampler, within {LIMIT:.0f} s",
        "every seed",
        f"{sum(good)} of {len(good)} (high quality {qualities}; at most {worst:.0f} s)",
        all(good),
    )
