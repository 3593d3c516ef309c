"""Lines of metrics.jsonl as people read them."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, final

SHOWN = ("loss/", "payoff/mean", "equilibrium/", "val/", "performance/rank_0/steps_per_second")
"""How the names of those metrics begin that are shown unless others are asked for."""


@final
class LineReader:
    """Tells what each line says, and where a resumed run begins.

    Args:
        shown: how the names of those metrics begin that are told; an empty string stands for all.
    """

    def __init__(self, shown: Sequence[str] = SHOWN) -> None:
        self._shown = tuple(shown)
        self._last = -1, 0.0

    def told(self, line: str) -> list[str]:
        """What is to be printed of a line: nothing if it holds none of the metrics that are shown.

        Args:
            line: without its end.
        """
        found = _parsed(line)
        if found is None:
            return [f"(a line that cannot be read: {line[:60]!r})"]
        step, seconds = found.pop("step"), found.pop("seconds")
        before, self._last = self._last, (step, seconds)
        # The clock of a line starts anew with every session; steps are made again from the last checkpoint on.
        is_resumed = step < before[0] or seconds < before[1]
        told = [f"(the run was resumed, before step {step:,})"] if is_resumed else []
        metrics = [f"{name} {value:.4g}" for name, value in found.items() if name.startswith(self._shown)]
        if metrics:
            told.append("  ".join([f"step {step:>9,}", f"{timedelta(seconds=int(seconds))!s:>8}", *metrics]))
        return told


def _parsed(line: str) -> dict[str, Any] | None:
    """A line that the logger wrote; None for any other."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    is_ours = isinstance(found, dict) and all(isinstance(value, int | float) for value in found.values())
    return found if is_ours and isinstance(found.get("step"), int) and "seconds" in found else None
