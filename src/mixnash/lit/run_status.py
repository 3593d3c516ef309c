"""status.json in a run's folder: what the run is doing, for others to read. Imports nothing slow."""

import enum
import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from mixnash.cache_folder import write_atomically
from mixnash.core.errors import InvalidInputError, require

FILE = "status.json"

HIGHER_IS_BETTER = frozenset({"val/modes", "val/high_quality"})
LOWER_IS_BETTER = frozenset({"val/sliced_wasserstein2", "val/fid"})
DISTANCES = "val/fd_"
"""What the names of other Frechet distances begin with: lower is better."""


class State(enum.StrEnum):
    """What a run says of itself."""

    RUNNING = "running"
    FINISHED = "finished"
    STOPPED = "stopped"
    """By a signal."""
    FAILED = "failed"


class RunStatus(NamedTuple):
    """The content of the file."""

    state: State
    reason: str
    """The signal that stopped the run, or the sentence with which it failed; else empty."""
    step: int
    max_steps: int
    """-1 for a run without end."""
    started: datetime
    """In UTC, as the next one; a resumed run keeps it."""
    updated: datetime
    pid: int
    """Of the first process, on `host`."""
    host: str
    world_size: int
    best: dict[str, float]
    """The best figures of all evaluations so far, by the names under which they are logged."""


def now() -> datetime:
    """In UTC, to the second."""
    return datetime.now(UTC).replace(microsecond=0)


def write_status(folder: Path, status: RunStatus) -> None:
    """Replace the file at once: readers see the old one or the new one.

    Raises:
        InvalidInputError: when it cannot be written, for example on a full disk.
    """
    content = status._asdict() | {"started": status.started.isoformat(), "updated": status.updated.isoformat()}
    write_atomically(folder / FILE, (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())


def read_status(folder: Path) -> RunStatus | None:
    """What a run says of itself; None if it says nothing.

    Raises:
        InvalidInputError: when the file is damaged or cannot be read.
    """
    path = folder / FILE
    try:
        found = json.loads(path.read_bytes())
        return _checked(found)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:  # what is no JSON, or no text at all, is a ValueError
        raise InvalidInputError(f"'{path}' cannot be read: it is damaged or not a run's status ({error}).") from error


def _checked(found: Any) -> RunStatus:
    require(isinstance(found, dict) and found.keys() == set(RunStatus._fields), "other entries than expected")
    least = {"step": 0, "max_steps": -1, "pid": 1, "world_size": 1}
    texts = ("state", "reason", "host", "started", "updated")
    require(all(type(found[name]) is int for name in least), "some numbers are none")
    require(all(found[name] >= bound for name, bound in least.items()), "some numbers are too small")
    require(all(type(found[name]) is str for name in texts), "some texts are none")
    best = found["best"]
    require(isinstance(best, dict) and all(type(one) in {int, float} for one in best.values()), "figures are none")
    times = {name: datetime.fromisoformat(found[name]) for name in ("started", "updated")}
    require(all(one.tzinfo is not None for one in times.values()), "times without a zone")
    return RunStatus(**(found | times | {"state": State(found["state"])}))


def is_figure(name: str) -> bool:
    """Whether a metric is one of those by which runs are compared."""
    return name in HIGHER_IS_BETTER or name in LOWER_IS_BETTER or name.startswith(DISTANCES)


def better(best: Mapping[str, float], found: Mapping[str, float]) -> dict[str, float]:
    """The better one of each figure; metrics that are no figures or not finite do not count.

    Args:
        best: so far.
        found: any metrics of one evaluation.
    """
    new = dict(best)
    for name, value in found.items():
        if is_figure(name) and math.isfinite(value):
            choose = max if name in HIGHER_IS_BETTER else min
            new[name] = choose(new.get(name, value), value)
    return new
