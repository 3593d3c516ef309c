"""Where a step's time goes: from the ranges of a trace to a table whose shares add up."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

PARTS: Mapping[str, str] = {
    "data": "draws and data",
    "generators": "generators forward",
    "critics": "critics and losses",
    "gradients": "gradients",
    "communication": "communication",
    "dynamics": "rules and dynamics",
    "average": "moving average",
    "step": "step, besides",
    "logging": "logging",
    "callbacks": "callbacks",
}
"""What each section is called in the table, in its order; "step, besides" is the rest of the model's step."""
REST = "rest"
"""What no section covers, such as Lightning's loop."""
EVALUATION = "evaluation"
"""The section that does not count as part of a step."""


class Interval(NamedTuple):
    """From a trace."""

    name: str
    start: float
    end: float


def time_by_part(sections: Sequence[Interval], start: float, end: float) -> dict[str, float]:
    """How long each part took by itself, without the parts inside of it, between two moments.

    Args:
        sections: nested or apart; those that do not lie between the moments do not count.
        start: of the first step.
        end: of the last step.

    Returns:
        Of every part in `PARTS`, and of `REST`; their sum is the time between the moments without evaluations.
    """
    evaluations = [one for one in sections if one.name == EVALUATION and start <= one.start and one.end <= end]
    own = dict.fromkeys(PARTS, 0.0)
    rest = end - start - sum(one.end - one.start for one in evaluations)
    around: list[Interval] = []
    for one in sorted(sections, key=lambda one: (one.start, -one.end)):
        is_counted = one.name in own and start <= one.start and one.end <= end
        if not is_counted or any(other.start <= one.start < other.end for other in evaluations):
            continue
        while around and around[-1].end <= one.start:
            around.pop()
        duration = one.end - one.start
        own[one.name] += duration
        if around:
            own[around[-1].name] -= duration
        else:
            rest -= duration
        around.append(one)
    return {name: max(value, 0.0) for name, value in (own | {REST: rest}).items()}  # rounding may leave less than none


def rounded_shares(times: Mapping[str, float]) -> dict[str, float]:
    """Shares in per cent with one digit, whose sum is exactly 100: the largest remainders are rounded up.

    Args:
        times: positive in sum.
    """
    total = sum(times.values())
    exact = {name: 1000 * value / total for name, value in times.items()}
    tenths = {name: int(share // 1) for name, share in exact.items()}
    missing = 1000 - sum(tenths.values())
    for name in sorted(exact, key=lambda name: tenths[name] - exact[name])[:missing]:
        tenths[name] += 1
    return {name: count / 10 for name, count in tenths.items()}


def share_table(times: Mapping[str, float], steps: int) -> str:
    """Time per step and share of every part that took any.

    Args:
        times: by part, in microseconds, of all steps.
        steps: how many.
    """
    shares, total = rounded_shares(times), sum(times.values())
    rows = [(PARTS.get(name, name), value / steps / 1000, shares[name]) for name, value in times.items() if value > 0]
    rows.append(("one step", total / steps / 1000, 100.0))
    return "\n".join(f"  {name:<20}{milliseconds:>10.3f} ms{share:>8.1f} %" for name, milliseconds, share in rows)
