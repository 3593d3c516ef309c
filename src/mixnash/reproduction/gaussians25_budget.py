"""All algorithms on the 25 Gaussians of PacGAN, at equal parameters, equal gradient evaluations and equal CPU time."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, final

import numpy as np
from matplotlib.figure import Figure

from mixnash.figures.budget import MethodCurves, Strip, method_grid, method_strips
from mixnash.reproduction.base import AbstractReproduction, Advance, Check, Findings
from mixnash.reproduction.plan import Mark, Plan, Trained, Unit, geometric, steps
from mixnash.reproduction.workers import WORKERS, train_all

SECONDS = 50.0
"""CPU time of every training, evaluation excluded."""
SEEDS = 3
MARKS = geometric(0.5, SECONDS, 46)
"""About 10 % apart: as exactly as that, times are known."""
MODES, HIGH_QUALITY = 25, 0.90
"""What a method is timed to."""
PERFECT = 0.989
"""High quality of a perfect sampler."""
RATIO = 10.0
"""How much sooner the best mixture is to be there than the best single network."""
TOLERANCE = 0.1
"""How far total numbers of generator parameters may be apart."""
_POINTS = 40


class Method(NamedTuple):
    """One row of the comparison."""

    experiment: str
    """File in `configs/experiment`, without ending."""
    mixture: bool
    """Whether it trains several networks per player, or one that stands for them."""


METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "25 generators": Method("gaussians25", True),
        "WFR": Method("gaussians25_wfr", True),
        "CP-MP": Method("gaussians25_conic_mirror_prox", True),
        "Langevin": Method("gaussians25_langevin", True),
        "discounted Langevin": Method("gaussians25_discounted", True),
        "fictitious play": Method("gaussians25_fictitious_play", True),
        "double oracle": Method("gaussians25_double_oracle", True),
        "Mirror-GAN": Method("gaussians25_mirror_gan", True),
        "Mirror-Prox-GAN": Method("gaussians25_mirror_prox_gan", True),
        "MIX+GAN": Method("gaussians25_mix_gan", True),
        "MGAN": Method("gaussians25_mgan", True),
        "Bayesian GAN": Method("gaussians25_bayesian_gan", True),
        "mixture + PacGAN2": Method("gaussians25_mixed_pacgan2", True),
        "GAN": Method("gaussians25_single_gan", False),
        "WGAN-GP + EMA": Method("gaussians25_wgan_gp", False),
        "WGAN-GP, tuned": Method("gaussians25_wgan_tuned", False),
        "ExtraAdam": Method("gaussians25_extra_adam", False),
        "Optimistic Adam": Method("gaussians25_optimistic_adam", False),
        "Lookahead": Method("gaussians25_lookahead", False),
        "PacGAN2": Method("gaussians25_pacgan2", False),
        "PacGAN4": Method("gaussians25_pacgan4", False),
    }
)
"""Everything that is compared, each with the experiment that defines it."""
SHORT = ("25 generators", "WGAN-GP + EMA")
"""Methods of a short run."""


def plans(name: str, short: bool) -> list[Plan]:
    """The trainings of one method; none in a short run that leaves it out."""
    if short and name not in SHORT:
        return []
    experiment = METHODS[name].experiment
    unit, marks, seeds = (Unit.STEPS, steps([1, 2, 3]), 1) if short else (Unit.SECONDS, MARKS, SEEDS)
    return [Plan(f"{experiment}-{seed}", experiment, (), seed, unit, marks) for seed in range(seeds)]


def score(trained: Trained, mark: Mark | None, name: str) -> float:
    """A score as it was at a look; 0, nothing generated, before the first look and after a training failed."""
    broken = trained.failure is not None and (not trained.marks or mark is trained.marks[-1])
    return 0.0 if mark is None or broken else float(mark.scores[name])


def seconds_to_modes(trained: Trained) -> float:
    """CPU seconds until `MODES` modes with `HIGH_QUALITY` were first seen; infinite if they never were."""
    mark = trained.first(MODES, HIGH_QUALITY)
    return math.inf if mark is None else mark.seconds


def median_seconds(trained: Sequence[Trained]) -> float:
    """The median over the seeds; infinite if half of them or more never got there."""
    times = sorted(seconds_to_modes(one) for one in trained)
    lower, upper = times[(len(times) - 1) // 2], times[len(times) // 2]
    return upper if math.isinf(upper) else (lower + upper) / 2


@final
class Gaussians25Budget(AbstractReproduction):
    """Who covers how much, how fast: every method's curves of modes and high quality over what it spends.

    All generators of a method together have the same number of parameters. Every training has the same CPU time on one
    thread, evaluation excluded; gradient evaluations are counted as `GradientCount` defines them, and compared at the
    largest number that the slowest method reaches. Times are to the first look with all modes and 0.90 high quality.
    """

    summary = "21 methods on 25 Gaussians at equal parameters, gradient evaluations and CPU time"
    parts = len(METHODS)

    def run(self, advance: Advance, short: bool, folder: Path) -> Findings:
        """Train everything, or read back what is there."""
        groups = {name: plans(name, short) for name in METHODS}
        place = folder / "short" if short else folder / "trainings"
        trained = train_all(groups, place, advance, 0 if short else WORKERS)
        done = {name: found for name, found in trained.items() if found}
        budget = equal_evaluations(done)
        limit = next(iter(done.values()))[0].marks[-1].planned if short else SECONDS
        numbers = {name: _numbers(found, budget, limit) for name, found in done.items()}
        headline = headline_ratio(done)
        about = {
            "seeds": SEEDS,
            "cpu_seconds": SECONDS,
            "equal_gradient_evaluations": budget,
            "headline": headline._asdict() | {"single_seconds": _finite(headline.single_seconds)},
        }
        return Findings(_figures(done, budget, limit), about | {"methods": numbers}, _checks(done, headline))


def equal_evaluations(done: Mapping[str, Sequence[Trained]]) -> int:
    """The largest number of gradient evaluations that every training reaches which does not fail."""
    return min(
        (one.marks[-1].gradient_evaluations for found in done.values() for one in found if one.failure is None),
        default=0,
    )


class Headline(NamedTuple):
    """The best mixture against the best single network, by median time to all modes."""

    mixture: str
    mixture_seconds: float | None
    single: str
    single_seconds: float
    """Infinite if no single network got there."""
    ratio: float | None
    """Of the two times; None if no mixture got there."""
    lower_bound: bool
    """Whether no single network got there, so that the ratio is at least that of the whole budget."""


def headline_ratio(done: Mapping[str, Sequence[Trained]]) -> Headline:
    """How much sooner the best mixture covers all modes."""
    times = {name: median_seconds(found) for name, found in done.items()}
    sides = [[name for name in times if METHODS[name].mixture is mixture] for mixture in (True, False)]
    mixture, single = (min(names, key=times.__getitem__) for names in sides)
    own, other = times[mixture], times[single]
    longest = max((found.marks[-1].seconds for found in done[single] if found.marks), default=0.0)
    ratio = None if math.isinf(own) else min(other, longest) / own
    return Headline(mixture, _finite(own), single, other, ratio, math.isinf(other))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _numbers(found: Sequence[Trained], budget: int, limit: float) -> dict[str, Any]:
    """Everything about one method."""
    times = [seconds_to_modes(one) for one in found]
    return {
        "parameters": dict(found[0].parameters),
        "failures": [one.failure for one in found if one.failure],
        "seconds_to_modes": [_finite(time) for time in times],
        "seeds_that_got_there": sum(map(math.isfinite, times)),
        "median_seconds_to_modes": _finite(median_seconds(found)),
        "at_equal_cpu_time": _table([(one, one.reached(limit)) for one in found]),
        "at_equal_gradient_evaluations": _table([(one, one.within(budget)) for one in found]),
        "curves": [
            [
                [mark.seconds, mark.gradient_evaluations, mark.steps, *map(mark.scores.get, _SCORES)]
                for mark in one.marks
            ]
            for one in found
        ],
        "curves_columns": ["seconds", "gradient_evaluations", "steps", *_SCORES],
    }


_SCORES = ("modes", "high_quality", "reverse_kl")


def _table(looks: Sequence[tuple[Trained, Mark | None]]) -> dict[str, Any]:
    """Mean, standard deviation over the seeds and every seed of modes and high quality."""
    table = {}
    for name in ("modes", "high_quality"):
        values = [score(one, mark, name) for one, mark in looks]
        spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
        table[name] = {"mean": float(np.mean(values)), "sd": spread, "seeds": values}
    return table


def _figures(done: Mapping[str, Sequence[Trained]], budget: int, limit: float) -> dict[str, Figure]:
    figures = {}
    for name, label, perfect in (("modes", "modes of 25", 25.0), ("high_quality", "high-quality share", PERFECT)):
        for axis, xlabel in (("seconds", "CPU seconds of training"), ("evaluations", "gradient evaluations")):
            curves = [_curves(method, found, name, axis) for method, found in done.items()]
            title = f"25 Gaussians: {label} by what training costs"
            figures[f"{name}-{axis}"] = method_grid(curves, title, xlabel, label, perfect)
    ranked = sorted(done, key=lambda name: (median_seconds(done[name]), -_mean_quality(done[name], limit)))
    looks = {
        "seconds": [[(one, one.reached(limit)) for one in done[name]] for name in ranked],
        "evaluations": [[(one, one.within(budget)) for one in done[name]] for name in ranked],
    }
    strips = [
        Strip(f"{words}\n{label}", label, [_values(pairs, name) for pairs in looks[axis]], perfect=perfect)
        for axis, words in (("seconds", "equal CPU time:"), ("evaluations", "equal gradients:"))
        for name, label, perfect in (("modes", "modes of 25", 25.0), ("high_quality", "high quality", PERFECT))
    ]
    times = [np.array([seconds_to_modes(one) for one in done[name]]) for name in ranked]
    strips.append(Strip(f"time to {MODES} modes\nwith {HIGH_QUALITY:.2f} quality", "CPU seconds", times, True))
    rows = [(name, METHODS[name].mixture) for name in ranked]
    figures["equal-cost"] = method_strips(rows, strips, "25 Gaussians: what equal budgets buy, fastest method first")
    return figures


def _mean_quality(found: Sequence[Trained], limit: float) -> float:
    return float(np.mean([score(one, one.reached(limit), "high_quality") for one in found]))


def _values(looks: Sequence[tuple[Trained, Mark | None]], name: str) -> "np.ndarray[Any, np.dtype[np.float64]]":
    return np.array([score(one, mark, name) for one, mark in looks])


def _curves(method: str, found: Sequence[Trained], name: str, axis: str) -> MethodCurves:
    """Seeds on one grid: at every point stands the last look before it."""
    if axis == "seconds":
        grid = np.array(sorted({mark.planned for one in found for mark in one.marks}))
        looks = [[one.reached(point) for point in grid] for one in found]
    else:
        spent = [mark.gradient_evaluations for one in found for mark in one.marks]
        grid = np.geomspace(min(spent), max(spent), _POINTS) * (1 + 1e-9) if spent else np.empty(0)
        looks = [[one.within(point) for point in grid] for one in found]
    scores = [[score(one, mark, name) for mark in row] for one, row in zip(found, looks, strict=True)]
    return MethodCurves(method, METHODS[method].mixture, grid, np.array(scores))


def _checks(done: Mapping[str, Sequence[Trained]], headline: Headline) -> list[Check]:
    reference = done["25 generators"][0].parameters["generators"]
    sizes = {name: found[0].parameters["generators"] for name, found in done.items()}
    furthest = max(sizes, key=lambda name: abs(sizes[name] / reference - 1))
    seeds = done["25 generators"]
    there = sum(map(math.isfinite, map(seconds_to_modes, seeds)))
    sign = ">= " if headline.lower_bound else ""
    other = f"more than {SECONDS:.0f}" if headline.lower_bound else f"{headline.single_seconds:.1f}"
    measured = (
        "no mixture got there"
        if headline.ratio is None
        else f"{sign}{headline.ratio:.1f} x: {headline.mixture} {headline.mixture_seconds:.1f} s, "
        f"{headline.single} {other} s"
    )
    return [
        Check(
            "total generator parameters",
            f"within {TOLERANCE:.0%} of {reference:,}",
            f"furthest: {furthest} with {sizes[furthest]:,}",
            abs(sizes[furthest] / reference - 1) <= TOLERANCE,
        ),
        Check(
            f"25 generators: {MODES} modes with {HIGH_QUALITY:.2f} high quality",
            "on every seed",
            f"{there} of {len(seeds)}",
            there == len(seeds),
        ),
        Check(
            "best mixture sooner there than the best single network",
            f"at least {RATIO:.0f} x",
            measured,
            headline.ratio is not None and headline.ratio >= RATIO,
        ),
    ]
