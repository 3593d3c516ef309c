"""The list of runs, for people and for programs."""

import json
import sys
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mixnash.lit.run_status import now
from mixnash.runs.fate import Fate, duration, local
from mixnash.runs.found import Run

WIDTH = 160
"""Columns of the table where there is no terminal to fit it to."""
SHORT = {"val/high_quality": "quality", "val/sliced_wasserstein2": "SW2"}
STYLES = {Fate.RUNNING: "green", Fate.FAILED: "red", Fate.DEAD: "red", Fate.DAMAGED: "red", Fate.STOPPED: "yellow"}


def print_runs(runs: Sequence[Run]) -> None:
    """Print a row for each run, and below the table a sentence for each that did not go well."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("run", overflow="fold")
    table.add_column("state", no_wrap=True)
    table.add_column("step", justify="right", no_wrap=True)
    table.add_column("started", no_wrap=True)
    table.add_column("updated", justify="right", no_wrap=True)
    table.add_column("processes", justify="right", no_wrap=True)
    table.add_column("best figures", overflow="fold")
    for run in runs:
        table.add_row(
            Text(run.name),
            Text(_state(run), style=STYLES.get(run.outcome.fate, "")),
            _steps(run),
            local(run.started),
            f"{duration(now() - run.updated)} ago",
            "" if run.processes is None else str(run.processes),
            Text(figures(run.best)),
        )
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    console.print(table)
    for run in runs:
        if run.outcome.reason and run.outcome.fate is not Fate.STOPPED:
            print(f"{run.name} {run.outcome}")


def _state(run: Run) -> str:
    return str(run.outcome) if run.outcome.fate is Fate.STOPPED else run.outcome.fate.value


def _steps(run: Run) -> str:
    if run.step is None:
        return ""
    ended = run.max_steps is not None and run.max_steps >= 0
    return f"{run.step:,} of {run.max_steps:,}" if ended else f"{run.step:,}"


def figures(best: dict[str, float]) -> str:
    """All of them in one line, by the names that the progress bar gives them."""
    return "  ".join(f"{SHORT.get(name, name.removeprefix('val/'))} {value:.4g}" for name, value in best.items())


def print_json(runs: Sequence[Run]) -> None:
    """Print a list of objects with the same content; times are in ISO 8601."""
    rows = [
        {
            "run": run.name,
            "state": run.outcome.fate.value,
            "reason": run.outcome.reason,
            "step": run.step,
            "max_steps": run.max_steps,
            "processes": run.processes,
            "started": run.started.isoformat(),
            "updated": run.updated.isoformat(),
            "best": run.best,
        }
        for run in runs
    ]
    print(json.dumps(rows, indent=1))
