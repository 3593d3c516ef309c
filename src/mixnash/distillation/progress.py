"""A progress bar that shows the loss."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def loss_bar(steps: int) -> Iterator[Callable[[int, float], None]]:
    """A bar on stderr while the block runs; gives a function of (steps made, latest loss) that moves it."""
    columns = (BarColumn(None), MofNCompleteColumn(), TextColumn("loss {task.fields[loss]}"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), expand=True) as bar:
        task = bar.add_task("", total=steps, loss="")
        yield lambda done, loss: bar.update(task, completed=done, loss=f"{loss:.3g}")
