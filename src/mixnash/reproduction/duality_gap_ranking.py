"""Whether the duality gap, a lower bound by search, ranks mixtures as it should and is zero where it is known to be."""

import json
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, final

import numpy as np
import torch
from numpy.typing import NDArray

from mixnash.core.dynamics.double_oracle import FLOOR
from mixnash.core.errors import require
from mixnash.core.random import Purpose, stream
from mixnash.data.base import AbstractDataModule
from mixnash.equilibrium.duality_gap import Estimate
from mixnash.evaluation.files import make_folder, write_file
from mixnash.figures.ranking import Bounds, ranked_bounds
from mixnash.lit.base import AbstractGAN
from mixnash.lit.deviations import SearchPlan, measure_gap
from mixnash.lit.mixed_gan import MixedGAN
from mixnash.lit.scores import training_metrics
from mixnash.reproduction.base import AbstractReproduction, Advance, Check, Findings
from mixnash.reproduction.experiments import read_experiment
from mixnash.reproduction.noisy_matrices import Effort, SolvedGame, solved_game
from mixnash.reproduction.plan import Plan, Unit, steps
from mixnash.reproduction.training import fit, one_thread

EXPERIMENT = "gaussians25_langevin"
SEEDS = range(10, 20)
"""Nothing about the measure or the experiment was decided on these; seeds 0 to 9 were used for that."""
STEPS, HALF = 1_500, 150
"""Of the whole training, and of the half-trained mixture: a tenth."""
SEARCH = SearchPlan((0, 50, 200))
"""Deviations are searched for by k = 50 and by 4 k updates."""
KEPT = 2
"""Generators that carry the weight of the collapsed mixture."""
STAGES = ("trained", "half-trained", "collapsed")
"""In the expected order of the gap."""
GAMES = 40
"""Solved matrix games."""
COVERAGE = 0.95
"""Of an interval."""
_RULES = "--model.init_args.dynamics.init_args"
_SAMPLES = 10_000
_SHORT_SEARCH = SearchPlan(
    (0, 1, 2), starts=1, train_samples=16, generator_samples=8, samples=16, search_batches=1, score_batches=2
)
_SHORT_EFFORT = Effort(strategies=3, samples=8, search_batches=1, score_batches=2, marks=(0, 1, 2))


class Look(NamedTuple):
    """One mixture against its critics, and its samples."""

    early: Estimate
    """The lower bound of the gap after k updates."""
    gap: Estimate
    """After 4 k."""
    critics: Estimate
    """The critics' part of it."""
    generators: Estimate
    """The generators' part."""
    divergence: Estimate
    """What the best critic found gets from the mixture, whatever the mixture's own critics are."""
    restricted: float
    scores: Mapping[str, float]
    """Of 10,000 samples; among them the sliced Wasserstein-2 distance to held-out samples, which sets the order."""


def plan(seed: int, count: int, search: SearchPlan) -> Plan:
    """The training of a seed, cut off after `count` steps; step sizes fall over the second two thirds of `STEPS`."""
    words = tuple(
        f"{_RULES}.{player}.position.init_args.step_size.init_args.{name}={value}"
        for player in ("generators", "critics")
        for name, value in (("hold", STEPS // 3), ("steps", STEPS - STEPS // 3))
    )
    return Plan(f"seed-{seed}", EXPERIMENT, words, seed, Unit.STEPS, steps([count]), gap=search)


def collapse(module: MixedGAN, kept: int) -> None:
    """Give all weight to the heaviest `kept` generators, in equal shares; positions and critics stay as they are."""
    population = module.generators.population()
    heaviest = population.log_weights.topk(kept).indices
    log_weights = torch.full_like(population.log_weights, FLOOR).index_fill(0, heaviest, 0.0)
    module.generators.assign(population._replace(log_weights=torch.log_softmax(log_weights, 0)))


@final
class DualityGapRanking(AbstractReproduction):
    """The gap of a trained mixture, of the same after a tenth of its training, and of the same with all weight on two
    of its 25 generators, each with the critics of its time, on ten seeds by one search; and of solved matrix games.

    The right order is that of the sliced Wasserstein-2 distance between 10,000 samples and held-out ones, in which
    neither critics nor search have a part: what the Wasserstein payoff measures is what it costs to move the samples to
    the data. Two of 25 modes leave 92 % of the mass far from where it belongs, an early mixture's samples are nearer.
    """

    summary = "the duality gap of collapsed, half-trained and trained mixtures on 10 seeds, and of solved matrix games"
    parts = len(SEEDS) + 1

    def run(self, advance: Advance, short: bool, folder: Path) -> Findings:
        """Train and search, or read back what is there."""
        place = folder / ("short" if short else "cases")
        make_folder(place)
        cases = []
        for seed in SEEDS:
            advance(f"seed {seed}")
            if seed == SEEDS[0] or not short:
                cases.append(_case(seed, short, place))
        advance("solved matrix games")
        with one_thread():
            games = [solved_game(seed, _SHORT_EFFORT if short else Effort()) for seed in range(2 if short else GAMES)]
        figure = ranked_bounds(
            {name: _bounds([case[name] for case in cases]) for name in STAGES},
            np.array([game.found.gap for game in games]),
            "What a search for deviations finds: mixtures on 25 Gaussians, and solved matrix games",
        )
        numbers = {
            "seeds": [{name: _plain(look) for name, look in case.items()} for case in cases],
            "search": SEARCH._asdict(),
            "matrix_games": [
                {"gap": list(one.found.gap), "restricted": one.found.restricted, "uniform_gap": one.uniform_gap}
                for one in games
            ],
        }
        return Findings({"ranking": figure}, numbers, checks(cases, games))


def checks(cases: Sequence[Mapping[str, Look]], games: Sequence[SolvedGame]) -> list[Check]:
    """What the ranking and the games must show."""
    looks = [look for case in cases for look in case.values()]
    looks_good = sum(right_order(case) for case in cases)
    expected = sum(list(case) == ranked(case) for case in cases)
    apart = sum(a.gap.high < b.gap.low for case in cases for a, b in pairwise(sorted(case.values(), key=_value)))
    alone = sum(_increasing([look.divergence.value for look in by_distance(case)]) for case in cases)
    above = sum(look.gap.high >= look.restricted for look in looks)
    zero = sum(one.found.gap.low <= 0 <= one.found.gap.high for one in games)
    least = least_covered(len(games))
    # No check: the true restricted gap is 0 too; that of a noisy table is a maximum over atoms that are equally good.
    noisy = sum(one.found.restricted > one.found.gap.high for one in games)
    return [
        Check(
            "the gap ranks the mixtures as their distance from the data does",
            "every seed",
            f"{looks_good} of {len(cases)}; trained < half-trained < collapsed in {expected}; intervals of neighbours "
            f"apart {apart} of {2 * len(cases)} times; the best critic's payoff alone ranks them so in {alone}",
            looks_good == len(cases),
        ),
        Check(
            "the gap of a mixture is not below the restricted gap beyond its interval",
            "always",
            f"{above} of {len(looks)}",
            above == len(looks),
        ),
        Check(
            "zero lies in the 95 % interval of the gap of solved matrix games",
            f"at least {least} of {len(games)} (the binomial law's 0.5 % quantile)",
            f"{zero} of {len(games)}; half-widths up to {max(_radius(one.found.gap) for one in games):.3f}; uniform "
            f"mixtures' gaps from {min(one.uniform_gap for one in games):.2f}; the restricted gap of the noisy table "
            f"lies above the interval {noisy} times",
            zero >= least,
        ),
    ]


def least_covered(count: int) -> int:
    """How many of `count` independent 95 % intervals cover the truth at least, but for one time in 200."""
    total = 0.0
    for covered in range(count + 1):
        total += math.comb(count, covered) * COVERAGE**covered * (1 - COVERAGE) ** (count - covered)
        if total >= 0.005:
            return covered
    return count


def ranked(case: Mapping[str, Look]) -> list[str]:
    """Stages from the smallest gap to the largest."""
    return sorted(case, key=lambda name: case[name].gap.value)


def right_order(case: Mapping[str, Look]) -> bool:
    """Whether the gap and the distance from the data rank the stages alike."""
    return ranked(case) == sorted(case, key=lambda name: case[name].scores["sliced_wasserstein2"])


def by_distance(case: Mapping[str, Look]) -> list[Look]:
    """From the mixture nearest to the data to the farthest."""
    return sorted(case.values(), key=lambda look: look.scores["sliced_wasserstein2"])


def _increasing(values: Sequence[float]) -> bool:
    return all(left < right for left, right in pairwise(values))


def _radius(bound: Estimate) -> float:
    return (bound.high - bound.low) / 2


def _value(look: Look) -> float:
    return look.gap.value


def _case(seed: int, short: bool, folder: Path) -> dict[str, Look]:
    """All stages of one seed, from their file if it is there and was made by the same plans and versions."""
    search = _SHORT_SEARCH if short else SEARCH
    full, half = (plan(seed, count, search) for count in ((2, 1) if short else (STEPS, HALF)))
    resolved = read_experiment(full.experiment, seed, full.overrides).resolved
    fingerprints = [full.fingerprint(resolved), half.fingerprint(resolved), str(KEPT)]
    path = folder / f"{full.key}.json"
    known = _read(path, fingerprints)
    if known is not None:
        return known
    module, data = _fitted(half)
    early = _look(module, data, half)
    module, data = _fitted(full)
    late = _look(module, data, full)
    collapse(module, KEPT)
    case = dict(zip(STAGES, (late, early, _look(module, data, full)), strict=True))
    content = {"fingerprints": fingerprints, "stages": {name: _plain(look) for name, look in case.items()}}
    write_file(path, (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())
    return case


def _fitted(plan: Plan) -> tuple[MixedGAN, AbstractDataModule]:
    module, data, _, failure = fit(plan, read_experiment(plan.experiment, plan.seed, plan.overrides))
    require(failure is None, f"The training {plan.key!r} has no duality gap, because it failed: {failure}")
    assert isinstance(module, MixedGAN)
    return module, data


def _look(module: AbstractGAN, data: AbstractDataModule, plan: Plan) -> Look:
    assert plan.gap is not None
    with one_thread():
        found = measure_gap(module, data, plan.gap, plan.seed, int(plan.marks[-1]), averaged=True)
        metrics = training_metrics(data)
        samples = module.sample(_SAMPLES, stream(module.device, plan.seed, Purpose.EVALUATION)).values
        metrics.update(samples=samples.flatten(1), reference=data.held_out(_SAMPLES).flatten(1))
        scores = {name: float(score) for name, score in metrics.compute().items()}
    course = found.course
    return Look(course.gap[1], found.gap, found.critics, found.generators, course.critics[-1], found.restricted, scores)


def _plain(look: Look) -> dict[str, Any]:
    """For JSON, which has no word for what is not finite."""
    scores = {name: value if math.isfinite(value) else None for name, value in look.scores.items()}
    parts = {name: list(part) for name, part in look._asdict().items() if isinstance(part, Estimate)}
    return parts | {"restricted": look.restricted, "scores": scores}


def _read(path: Path, fingerprints: list[str]) -> dict[str, Look] | None:
    try:
        content = json.loads(path.read_text())
        if content["fingerprints"] != fingerprints:
            return None
        return {name: _restored(content["stages"][name]) for name in STAGES}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _restored(plain: Mapping[str, Any]) -> Look:
    scores = {name: math.nan if value is None else value for name, value in plain["scores"].items()}
    parts = {name: Estimate(*part) for name, part in plain.items() if isinstance(part, list)}
    return Look(**parts, restricted=plain["restricted"], scores=scores)


def _bounds(looks: Sequence[Look]) -> Bounds:
    intervals: NDArray[np.float64] = np.array([look.gap for look in looks])
    early, restricted = (
        np.array(column) for column in zip(*((x.early.value, x.restricted) for x in looks), strict=True)
    )
    return Bounds(intervals, early, restricted)
