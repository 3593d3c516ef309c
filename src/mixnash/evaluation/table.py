"""The terminal's table of metrics."""

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mixnash.evaluation.evaluate import Result
from mixnash.evaluation.readings import equilibrium_rows, metric_rows


def print_table(result: Result) -> None:
    """Print every metric under its name in metrics.json, with its perfect value."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("metric")
    table.add_column("value", justify="right")
    table.add_column("perfect sampler ± sd", justify="right", style="dim")
    for row in metric_rows(result):
        table.add_row(Text(row.name), row.value, row.perfect)
    Console().print(table)
    gaps = equilibrium_rows(result)
    if gaps:
        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        table.add_column("distance from equilibrium")
        table.add_column("value", justify="right")
        table.add_column("95 % interval", justify="right", style="dim")
        for row in gaps:
            table.add_row(Text(row.name), row.value, row.perfect)
        Console().print(table)


def print_notes(result: Result) -> None:
    """Print how modes were counted, how many images were compared, and what was left out."""
    if result.about["protocol"] is not None:
        print(f"protocol: {result.about['protocol']}")
    if result.images is not None:
        print(
            f"images: {result.about['num_samples']:,} generated against {result.images.references:,} different "
            f"held-out ones; {len(result.images.training):,} training images searched for copies"
        )
        for sentence in result.images.left_out:
            print(f"note: {sentence}")
