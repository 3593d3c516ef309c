"""The terminal's table of what every dynamics reached."""

import math
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mixnash.solving.readings import Reading


def print_table(title: str, readings: Sequence[Reading], console: Console) -> None:
    """Print one line per dynamics and iterate; what cannot be measured is a dash."""
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("dynamics")
    table.add_column("iterate", style="dim")
    exact = all(one.gap_is_exact for one in readings if one.gap is not None)
    for name in ("distance", "value", "NI error" if exact else "NI error ≥", "|gradient|"):
        table.add_column(name, justify="right")
    table.add_column("outcome")
    for name in ("gradient calls", "seconds"):
        table.add_column(name, justify="right")
    for one in readings:
        table.add_row(
            Text(one.dynamics),
            one.iterate,
            _number(one.distance),
            _number(one.value),
            _number(one.gap),
            _number(one.gradient_norm),
            "" if one.outcome is None else str(one.outcome),
            f"{one.gradient_calls:,.0f}",
            f"{one.seconds:.2f}",
        )
    console.print(table)


def _number(value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return "-"
    return "0" if value == 0 else f"{value:.4f}" if 1e-3 <= abs(value) < 1e4 else f"{value:.1e}"
