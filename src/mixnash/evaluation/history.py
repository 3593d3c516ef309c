"""The course of training, read back from a run's metrics.jsonl."""

import json
import math
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray


class Course(NamedTuple):
    """One metric over a run."""

    steps: NDArray[np.float64]
    """Steps made [n]."""
    seconds: NDArray[np.float64]
    """Seconds of training up to there [n], those of resumed sessions added up."""
    values: NDArray[np.float64]
    """The metric [n]."""


History: TypeAlias = dict[str, Course]
"""Courses by the name they were logged under."""


def read_history(path: Path) -> History:
    """Read metrics.jsonl; empty if there is none. A line that a crash cut short is left out.

    A resumed run logs the steps after its checkpoint again: only the later session's lines count there.
    """
    if not path.is_file():
        return {}
    kept = _without_repeats([line for text in path.read_text(errors="replace").splitlines() if (line := _parse(text))])
    names = dict.fromkeys(name for line in kept for name in line if name not in {"step", "seconds"})
    return {name: _course([line for line in kept if name in line], name) for name in names}


def _parse(text: str) -> dict[str, Any]:
    try:
        line = json.loads(text)
    except json.JSONDecodeError:
        return {}
    complete = isinstance(line, dict) and isinstance(line.get("step"), int) and "seconds" in line
    return dict(line) if complete else {}


def _without_repeats(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    kept: list[dict[str, Any]] = []
    before, latest = 0.0, (-1, -math.inf)  # seconds of earlier sessions; step and seconds of the line before
    for line in lines:
        if line["step"] < latest[0] or line["seconds"] < latest[1]:
            kept = [one for one in kept if one["step"] < line["step"]]
            before = kept[-1]["seconds"] if kept else 0.0
        latest = (line["step"], line["seconds"])
        kept.append(line | {"seconds": before + line["seconds"]})
    return kept


def _course(lines: list[dict[str, Any]], name: str) -> Course:
    steps = [line["step"] for line in lines]
    return Course(*(np.array(column, float) for column in (steps, _column(lines, "seconds"), _column(lines, name))))


def _column(lines: list[dict[str, Any]], name: str) -> list[float]:
    return [float(line[name]) for line in lines]
