"""How to read each number: names, sentences and formats that the terminal's table and the report share."""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from mixnash.evaluation.evaluate import Result
from mixnash.evaluation.image_readings import Reading, image_reading


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
        "perfect_p_coverage": Reading(
            "p-value against a perfect sampler: coverage",
            "Chance that a perfect sampler looks as bad in modes, high quality and masses of the modes. Below 0.05 the "
            "samples can be told from it.",
        ),
        "perfect_p_full": Reading(
            "p-value against a perfect sampler: all", "The same, with the widths and the centres of the modes."
        ),
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
        "modes_per_particle": Reading(
            "Modes per generator",
            "Modes that get at least a hundredth of a generator's samples, averaged by the generators' weights.",
        ),
        "particle_overlap": Reading(
            "Overlap of generators",
            "Share of samples that two generators, drawn by their weights, put onto the same modes; 0 if every mode is "
            "left to one of them.",
        ),
        "particles_alone": Reading(
            "Generators that own a mode", "Share of them that give a mode at least 95 % of its samples."
        ),
        "parameters_generators": Reading("Parameters of the generators", "All particles together."),
        "parameters_critics": Reading("Parameters of the critics", "All particles together."),
    }
)
"""Numbers about the two players, in the order of the report; not all are known for all data."""


EQUILIBRIUM: Mapping[str, Reading] = MappingProxyType(
    {
        "gap_lower_bound": Reading(
            "Duality gap, lower bound",
            "What both players would gain together by the best deviations found. The search is by gradients, so the "
            "true gap may be larger; noise may bring it below 0.",
        ),
        "gap_at_k": Reading(
            "The same after a quarter of the search", "If the whole search finds much more, so would a longer one."
        ),
        "gap_critics": Reading("Gain of the critics", "By moving all weight to the best critic found."),
        "gap_generators": Reading(
            "Gain of the generators",
            "By moving all weight to the best generator found. All samples are kept in the box of the data, a tenth "
            "wider on each side: beyond it little holds the critics, and running there would gain without bound.",
        ),
        "gap_restricted": Reading(
            "Restricted gap",
            "What both would gain by deviating to atoms of the mixtures only; exact. Near 0 with a large gap, the "
            "mixtures lack atoms rather than the right weights.",
        ),
        "gap_value": Reading("Payoff less penalty of the mixtures", "What the critics win, their penalty paid."),
        "gap_lp_value": Reading(
            "The same at the best weights", "The value of the game between these atoms, by linear programming."
        ),
    }
)
"""Numbers about the distance from equilibrium, in the order of the tables."""


def equilibrium_rows(result: Result) -> list[Row]:
    """The distance from equilibrium, with intervals in place of a perfect sampler's values; none if not asked for."""
    if result.equilibrium is None:
        return []
    record = result.equilibrium.record()
    sides = {name: (f"{name}_low", f"{name}_high") for name in EQUILIBRIUM} | {
        "gap_lower_bound": ("gap_low", "gap_high")
    }
    rows = []
    for name, reading in EQUILIBRIUM.items():
        low, high = sides[name]
        interval = f"{number(record[low])} to {number(record[high])}" if low in record else ""
        rows.append(Row(name, reading, number(record[name]), interval))
    return rows


def metric_rows(result: Result) -> list[Row]:
    """Every metric with its perfect value."""
    known = [name for name in READINGS if name in result.metrics]
    names = known + [name for name in result.metrics if name not in READINGS]
    return [metric_row(result, name) for name in names]


def metric_row(result: Result, name: str) -> Row:
    """One metric with its perfect value."""
    perfect, spread = result.perfect.get(name), result.perfect.get(f"{name}_std")
    shown = "" if perfect is None else number(perfect) if spread is None else with_spread(perfect, spread)
    return Row(name, READINGS.get(name) or image_reading(name), number(result.metrics[name]), shown)


def headlines(result: Result) -> list[Row]:
    """The three most telling metrics; counts of modes as 'found / all'."""
    rows = [metric_row(result, name) for name in (*_of_images(result), *HEADLINES) if name in result.metrics][:3]
    total = result.about["num_modes"]
    counts = ("modes", "stacked_modes")
    return [row._replace(value=f"{row.value} / {total:,}") if row.name in counts else row for row in rows]


def _of_images(result: Result) -> tuple[str, ...]:
    """What comes first for images: modes that can be counted, then what the extractor says that knows the data best."""
    if result.images is None:
        return ()
    extractor = result.images.seen.extractor
    own = (extractor.metric, f"coverage_{extractor.name}", f"density_{extractor.name}")
    return ("stacked_modes", "stacked_kl_uniform", *own)


def game_rows(result: Result) -> list[Row]:
    """What is known of the two players."""
    return [Row(name, reading, number(result.game[name]), "") for name, reading in GAME.items() if name in result.game]


def number(value: int | float, digits: int = 4) -> str:
    """A number for people: whole ones with separators, others with `digits` significant digits."""
    if not math.isfinite(value):
        return str(float(value))
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:#.{digits}g}".rstrip(".") if 1e-4 <= abs(value) < 1e5 else f"{value:.{digits - 1}e}"


def with_spread(mean: float, spread: float) -> str:
    """A mean and its standard deviation to the second significant digit of the latter."""
    if not (math.isfinite(mean) and math.isfinite(spread) and spread > 0):
        return f"{number(mean)} ± {number(spread)}"
    decimals = min(max(1 - math.floor(math.log10(spread)), 0), 9)
    return f"{mean:,.{decimals}f} ± {spread:,.{decimals}f}"
