"""All runs in a folder, with what their files tell."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from mixnash.core.errors import InvalidInputError, require
from mixnash.lit.run_status import FILE, RunStatus, better, now, read_status
from mixnash.runs.fate import Fate, Outcome, outcome_of

CONFIG, METRICS, CHECKPOINTS = "config.yaml", "metrics.jsonl", "checkpoints"
"""What makes a folder that of a run, besides its status."""


class Run(NamedTuple):
    """One row of the list."""

    name: str
    """EXPERIMENT/VERSION."""
    outcome: Outcome
    step: int | None
    """The last one known; None if no file tells, as for the two below."""
    max_steps: int | None
    """-1 for a run without end."""
    processes: int | None
    started: datetime
    """In UTC, as the next one; by the dates of files where the run says nothing of itself."""
    updated: datetime
    best: dict[str, float]
    """The best figures of all evaluations, by the names under which they are logged."""


def find_runs(runs_dir: Path, experiment: str | None) -> list[Run]:
    """All runs RUNS_DIR/EXPERIMENT/VERSION, the latest start first.

    Args:
        runs_dir: parent of all experiments.
        experiment: one of them; all if None.

    Raises:
        InvalidInputError: when there is no such folder, or it cannot be read.
    """
    require(
        runs_dir.is_dir(),
        f"There is no folder '{runs_dir}': train something first, or say where runs are with --runs_dir.",
    )
    try:
        experiments = sorted(one for one in runs_dir.iterdir() if one.is_dir())
        names = [one.name for one in experiments]
        require(
            experiment is None or experiment in names,
            f"There is no experiment {experiment!r} in '{runs_dir}', which holds {', '.join(names) or 'nothing'}.",
        )
        chosen = [one for one in experiments if experiment in {None, one.name}]
        folders = [one for parent in chosen for one in sorted(parent.iterdir()) if _is_run(one)]
    except OSError as error:
        raise InvalidInputError(f"'{error.filename}' cannot be read ({error.strerror}).") from error
    return sorted((read_run(one) for one in folders), key=lambda run: run.started, reverse=True)


def _is_run(folder: Path) -> bool:
    return any((folder / name).exists() for name in (FILE, CONFIG, METRICS, CHECKPOINTS))


def read_run(folder: Path) -> Run:
    """What the files in a run's folder tell of it; a damaged status is part of the answer."""
    name = f"{folder.parent.name}/{folder.name}"
    try:
        status = read_status(folder)
    except InvalidInputError as error:
        return _by_its_files(folder, name, Outcome(Fate.DAMAGED, str(error)))
    if status is None:
        return _by_its_files(folder, name, Outcome(Fate.UNKNOWN, ""))
    return _by_its_status(name, status)


def _by_its_status(name: str, status: RunStatus) -> Run:
    return Run(
        name,
        outcome_of(status),
        status.step,
        status.max_steps,
        status.world_size,
        status.started,
        status.updated,
        status.best,
    )


def _by_its_files(folder: Path, name: str, outcome: Outcome) -> Run:
    """Of a run that says nothing of itself that can be understood."""
    from mixnash.evaluation.history import read_history  # imports numpy, which only old runs need

    history = read_history(folder / METRICS)
    best: dict[str, float] = {}
    for metric, course in history.items():
        for value in course.values.tolist():
            best = better(best, {metric: value})
    steps = [int(course.steps[-1]) for course in history.values()]
    dates = [*_dates(folder, CONFIG), *_dates(folder, METRICS), *_dates(folder, CHECKPOINTS), *_dates(folder, "")]
    first, last = (dates[0], max(dates)) if dates else (now(), now())  # none if it was removed just now
    return Run(name, outcome, max(steps, default=None), None, None, min(first, last), last, best)


def _dates(folder: Path, name: str) -> Iterator[datetime]:
    """When a file was last changed, if it is there."""
    try:
        yield datetime.fromtimestamp((folder / name).stat().st_mtime, UTC).replace(microsecond=0)
    except OSError:
        return
