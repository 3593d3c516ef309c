"""How to read each number: names, sentences and formats that the terminal's table and the report share."""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from mixnash.evaluation.evaluate import Result


class Reading(NamedTuple):
    """What a metric is called and how to read it."""

    label: str
    sentence: str


class Row(NamedTuple):
    """One line of a table, as text."""

    name: str
    reading: Reading
    value: str
    perfect: str


READINGS: Mapping[str, Reading] = MappingProxyType(
    {
        "modes": Reading("Modes covered", "Modes with at least one sample of high quality. All of them is perfect."),
        "modes_min20": Reading(
            "Modes covered, 20 samples each", "Modes with at least 20 samples of high quality: the stricter count."
        ),
        "high_quality": Reading(
            "High quality",
            "Share of samples close to a mode. Less than a perfect sampler means strays between the modes; more means "
            "modes that are too narrow.",
        ),
        "reverse_kl": Reading(
            "Reverse KL",
            "How far the modes' shares are from the data's, in nats. A perfect sampler is above 0 too, by the luck of "
            "finitely many draws.",
        ),
        "forward_kl": Reading("Forward KL", "The same distance seen from the data, in nats; missing modes cost more."),
        "jsd": Reading("Jensen-Shannon", "The symmetric distance of the modes' shares, in nats, at most 0.693."),
        "variance_ratio": Reading(
            "Width of modes",
            "Mean squared distance to the centre by a perfect sampler's. 1 is perfect, less too tight.",
        ),
        "variance_ratio_min": Reading("Width of the tightest mode", "The same for the narrowest mode."),
        "variance_ratio_max": Reading("Width of the widest mode", "The same for the broadest mode."),
        "sliced_wasserstein2": Reading(
            "Sliced Wasserstein-2",
            "Distance to held-out samples along random directions, in the data's unit. Real samples are not at 0 "
            "either.",
        ),
        "wasserstein2": Reading(
            "Wasserstein-2",
            "Exact distance between at most 2,500 samples of each side, in the data's unit. Real samples are far from "
            "0 too, by the luck of finitely many draws.",
        ),
        "mmd_squared": Reading(
            "Squared MMD", "Discrepancy of two laws in a kernel's features, unbiased: about 0, even negative, if equal."
        ),
    }
)
"""Metrics in the order of the tables; others follow under their own names."""

HEADLINES = ("modes", "high_quality", "reverse_kl", "sliced_wasserstein2", "wasserstein2", "mmd_squared")
"""Candidates for the three figures at the top of a report."""

GAME: Mapping[str, Reading] = MappingProxyType(
    {
        "generators": Reading("Generators", "Particles of the minimising player."),
        "generator_effective_size": Reading(
            "Effective generators", "1 / sum of squared weights: how many really play."
        ),
        "generator_entropy": Reading("Entropy of the generators' weights", "In nats; log K if all weigh the same."),
        "critics": Reading("Critics", "Particles of the maximising player."),
        "critic_effective_size": Reading("Effective critics", "1 / sum of squared weights."),
        "critic_entropy": Reading("Entropy of the critics' weights", "In nats; log L if all weigh the same."),
        "payoff_value": Reading("Payoff of the mixtures", "What the critics win on average over both mixtures."),
        "payoff_min": Reading("Least payoff of a pair", "The pair that is best for the generators."),
        "payoff_max": Reading("Greatest payoff of a pair", "The pair that is best for the critics."),
        "payoff_gap": Reading(
            "Gap of the weights",
            "What both players would gain together by moving all weight to their best particle; 0 at an equilibrium of "
            "the weights.",
        ),
        "parameters_generators": Reading("Parameters of the generators", "All particles together."),
        "parameters_critics": Reading("Parameters of the critics", "All particles together."),
    }
)
"""Numbers about the two players, in the order of the report."""


def metric_rows(result: Result) -> list[Row]:
    """Every metric with its perfect value."""
    known = [name for name in READINGS if name in result.metrics]
    names = known + [name for name in result.metrics if name not in READINGS]
    return [metric_row(result, name) for name in names]


def metric_row(result: Result, name: str) -> Row:
    """One metric with its perfect value."""
    reading = READINGS.get(name, Reading(name.replace("_", " "), ""))
    perfect = ""
    if name in result.perfect:
        perfect = with_spread(result.perfect[name], result.perfect[f"{name}_std"])
    return Row(name, reading, number(result.metrics[name]), perfect)


def headlines(result: Result) -> list[Row]:
    """The three most telling metrics; counts of modes as 'found / all'."""
    rows = [metric_row(result, name) for name in HEADLINES if name in result.metrics][:3]
    total = result.about["num_modes"]
    return [row._replace(value=f"{row.value} / {total}") if row.name == "modes" else row for row in rows]


def game_rows(result: Result) -> list[Row]:
    """What is known of the two players."""
    return [Row(name, reading, number(result.game[name]), "") for name, reading in GAME.items()]


def number(value: int | float, digits: int = 4) -> str:
    """A number for people: whole ones with separators, others with `digits` significant digits."""
    if not math.isfinite(value):
        return str(float(value))
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:#.{digits}g}" if 1e-4 <= abs(value) < 1e5 else f"{value:.{digits - 1}e}"


def with_spread(mean: float, spread: float) -> str:
    """A mean and its standard deviation to the second significant digit of the latter."""
    if not (math.isfinite(mean) and math.isfinite(spread) and spread > 0):
        return f"{number(mean)} ± {number(spread)}"
    decimals = min(max(1 - math.floor(math.log10(spread)), 0), 9)
    return f"{mean:,.{decimals}f} ± {spread:,.{decimals}f}"
