"""What each choice of the mixture does: one factor at a time around descent-ascent and around Mirror-GAN."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, final

import numpy as np

from mixnash.figures.ablation import Factor, Level, Score, factor_dots
from mixnash.reproduction.base import AbstractReproduction, Advance, Check, Findings
from mixnash.reproduction.plan import Plan, Trained, Unit, steps
from mixnash.reproduction.workers import WORKERS, train_all

SECONDS = 25.0
"""CPU time of every training, evaluation excluded; the base settings' schedules end in it."""
SEEDS = 2
GENERATED = 500, 500
"""Generated samples of all generators together, for their own update and for each of the critics'."""
MODES = 25
BASE, CHAINS = "gaussians25_wasserstein", "gaussians25_mirror_gan"
"""What is varied: particles without noise, and inner Langevin chains."""
SCORES = (
    Score("high-quality share", 0.989),
    Score("modes of 25", 25.0),
    Score("reverse KL", 0.0012, logarithmic=True),
)
_NAMES = ("high_quality", "modes", "reverse_kl")
_MODEL = "--model.init_args"
_RULES = f"{_MODEL}.dynamics.init_args"


class Setting(NamedTuple):
    """One level of a factor: an experiment with changes."""

    experiment: str
    overrides: tuple[str, ...]
    base: bool = False
    """Whether this is what the other factors of the same experiment are varied at."""


def _count(generators: int) -> Setting:
    """So many generators; the samples of all together stay about as many."""
    own, shown = (-(-total // generators) for total in GENERATED)
    words = (f"num_generators={generators}", f"generator_samples={own}", f"critic_samples={shown}")
    return Setting(BASE, tuple(f"{_MODEL}.{word}" for word in words), generators == 25)


def _critics(count: int) -> Setting:
    return Setting(BASE, (f"{_MODEL}.num_critics={count}",), count == 1)


def _weight_step(step: float) -> Setting:
    """Entropic steps of the generators' weights; none at 0."""
    rule = f"{_RULES}.generators.weights"
    if step == 0:
        return Setting(BASE, (), True)
    return Setting(
        BASE,
        (f"{rule}=mixnash.core.rules.entropic.EntropicMirrorDescent", f"{rule}.init_args.step_size={step}"),
    )


def _averaging(decay: float) -> Setting:
    return Setting(BASE, (f"{_MODEL}.ema_decay={decay}",), decay == 0.8)


def _temperature(value: float) -> Setting:
    """Of both players' chains."""
    return Setting(
        CHAINS,
        tuple(f"{_RULES}.{player}.position.init_args.temperature={value}" for player in ("generators", "critics")),
    )


def _damping(value: float) -> Setting:
    """Both of the inner and of the outer loop, as in the paper."""
    return Setting(CHAINS, tuple(f"{_RULES}.{loop}_damping={value}" for loop in ("inner", "outer")))


def _opponent(co_evolving: bool) -> Setting:
    return Setting(CHAINS, (f"{_RULES}.co_evolving={str(co_evolving).lower()}",))


FACTORS: Mapping[str, Mapping[str, Setting]] = MappingProxyType(
    {
        "generators K": {str(count): _count(count) for count in (8, 16, 25, 40, 64)},
        "critics L": {str(count): _critics(count) for count in (1, 2, 4)},
        "weight step": {f"{step:g}": _weight_step(step) for step in (0.0, 0.001, 0.01, 0.1)},
        "averaging": {str(decay): _averaging(decay) for decay in (0.0, 0.8, 0.99)},
        "temperature": {f"{value:.0e}" if value else "0": _temperature(value) for value in (0.0, 1e-9, 1e-7, 1e-5)},
        "damping": {str(value): _damping(value) for value in (0.5, 0.9, 1.0)},
        "opponent": {"frozen": _opponent(False), "co-evolving": _opponent(True)},
    }
)
"""Factor to level; the last three are of the Mirror-GAN."""
SHORT = ("generators K", "averaging")
"""Factors of a short run, two levels each."""


def plans(factor: str, short: bool) -> dict[str, list[Plan]]:
    """The trainings of one factor by level; none in a short run that leaves it out."""
    if short and factor not in SHORT:
        return {}
    levels = list(FACTORS[factor].items())[:2] if short else FACTORS[factor].items()
    unit, marks, seeds = (Unit.STEPS, steps([2]), 1) if short else (Unit.SECONDS, (SECONDS / 2, SECONDS), SEEDS)
    name = factor.replace(" ", "-")
    return {
        level: [
            Plan(f"{name}-{level}-{seed}", setting.experiment, setting.overrides, seed, unit, marks)
            for seed in range(seeds)
        ]
        for level, setting in levels
    }


@final
class Ablation(AbstractReproduction):
    """High quality, modes and reverse KL at equal CPU time, as one factor at a time leaves its base setting.

    The number of generators changes the number of parameters, as every generator keeps its width; the samples of all
    generators together stay the same.
    """

    summary = "K, L, weight step, averaging, temperature, damping and opponent: what each does on 25 Gaussians"
    parts = len(FACTORS)

    def run(self, advance: Advance, short: bool, folder: Path) -> Findings:
        """Train everything, or read back what is there."""
        levels = {factor: plans(factor, short) for factor in FACTORS}
        groups = {factor: [plan for found in own.values() for plan in found] for factor, own in levels.items()}
        trained = train_all(groups, folder / ("short" if short else "trainings"), advance, 0 if short else WORKERS)
        done = {}
        for factor, own in levels.items():
            results = iter(trained[factor])
            done[factor] = {level: [next(results) for _ in found] for level, found in own.items()}
        kept = {factor: own for factor, own in done.items() if own}
        figure = factor_dots(
            [_factor(name, own) for name, own in kept.items()],
            SCORES,
            f"25 Gaussians: one factor at a time, after {SECONDS:.0f} s of one core",
        )
        numbers = {factor: {level: _numbers(found) for level, found in own.items()} for factor, own in kept.items()}
        return Findings({"factors": figure}, numbers, [_check(kept["generators K"])])


def _factor(name: str, levels: Mapping[str, Sequence[Trained]]) -> Factor:
    return Factor(
        name,
        [
            Level(level, np.array([[one.last(score) for score in _NAMES] for one in found]), _is_base(name, level))
            for level, found in levels.items()
        ],
    )


def _is_base(factor: str, level: str) -> bool:
    return FACTORS[factor][level].base


def _numbers(found: Sequence[Trained]) -> dict[str, Any]:
    """Every seed of a level; a failed one has no scores."""
    good = [one for one in found if one.failure is None]
    return {
        "parameters": dict(found[0].parameters),
        "failures": [one.failure for one in found if one.failure],
        **{name: [one.last(name) for one in good] for name in _NAMES},
        "gradient_evaluations": [one.marks[-1].gradient_evaluations for one in good],
        "seconds": [one.marks[-1].seconds for one in good],
    }


def _check(levels: Mapping[str, Sequence[Trained]]) -> Check:
    """With as many generators as modes or more, every mode is covered; what fewer do is a finding, not a check."""
    worst = {
        level: min(0.0 if one.failure else one.last("modes") for one in found)
        for level, found in levels.items()
        if int(level) >= MODES
    }
    return Check(
        f"modes covered with {MODES} generators or more",
        "25 of 25 on every seed",
        ", ".join(f"{modes:.0f} with {level}" for level, modes in worst.items()),
        all(modes == MODES for modes in worst.values()),
    )
