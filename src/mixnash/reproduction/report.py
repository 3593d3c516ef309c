"""Progress on the terminal, and the files of a reproduction."""

import json
import platform
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import final

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from mixnash.evaluation.files import make_folder, write_file
from mixnash.figures.encode import to_png
from mixnash.reproduction.base import Check, Findings


@final
class Work:
    """The clock and the progress bar of one reproduction.

    Args:
        progress: draws the bar.
        name: of the reproduction.
        parts: length of the bar.
    """

    def __init__(self, progress: Progress, name: str, parts: int) -> None:
        self._progress, self._name = progress, name
        self._task = progress.add_task(name, total=parts)
        self._begun = False
        self._start = time.perf_counter()

    def advance(self, what: str) -> None:
        """A part begins, so the one before it is done."""
        self._progress.update(self._task, advance=1 if self._begun else 0, description=f"{self._name}: {what}")
        self._begun = True

    def seconds(self) -> float:
        """Since the beginning."""
        return time.perf_counter() - self._start


@contextmanager
def working(name: str, parts: int) -> Iterator[Work]:
    """A progress bar on the terminal, gone when the work is done."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield Work(progress, name, parts)


def write_findings(folder: Path, name: str, findings: Findings, seconds: float, short: bool) -> Path:
    """Write every figure as PNG and the numbers as JSON; the folder.

    Raises:
        InvalidInputError: when the folder cannot be written.
    """
    make_folder(folder)
    for label, figure in findings.figures.items():
        write_file(folder / f"{label}.png", to_png(figure))
    about = {
        "reproduction": name,
        "command": f"mixnash reproduce {name}" + (" --short" if short else ""),
        "short": short,
        "seconds": round(seconds, 1),
        "threads": torch.get_num_threads(),
        "machine": f"{platform.machine()}, {platform.system()}",
        "versions": {package: version(package) for package in ("mixnash", "torch", "scipy")},
        "checks": [check._asdict() for check in findings.checks],
        "numbers": dict(findings.numbers),
    }
    write_file(folder / "result.json", (json.dumps(about, indent=1, allow_nan=False) + "\n").encode())
    return folder


def print_checks(name: str, checks: Sequence[Check], seconds: float, folder: Path, short: bool) -> None:
    """A table of what was expected and what was found."""
    console = Console()
    if short:
        console.print(f"{name}: ran in {seconds:.1f} s; results of a short run mean nothing: {folder}")
        return
    table = Table(title=f"{name} ({seconds:.0f} s)", title_justify="left")
    for column in ("figure", "expected", "measured", ""):
        table.add_column(column, overflow="fold")
    for check in checks:
        table.add_row(check.name, check.expected, check.measured, "agrees" if check.agrees else "[bold]DISAGREES[/]")
    console.print(table)
    console.print(f"{sum(check.agrees for check in checks)} of {len(checks)} checks agree; files: {folder}\n")
