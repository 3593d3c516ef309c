"""Metrics as JSON lines: for programs, beside TensorBoard for people."""

import json
import time
from pathlib import Path
from typing import Any, final

from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only


@final
class JsonLinesLogger(Logger):
    """Appends one line per logging event: the step, seconds since the start, and the metrics.

    Args:
        folder: where `metrics.jsonl` is written.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._path = folder / "metrics.jsonl"
        self._start = time.monotonic()

    @property
    def name(self) -> str:
        """Nothing: the folder is given."""
        return ""

    @property
    def version(self) -> str:
        """Nothing: the folder is given."""
        return ""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Append one line; `step` is the index of the last step, counted from 0: the line says how many were made."""
        line: dict[str, Any] = {
            "step": None if step is None else step + 1,
            "seconds": round(time.monotonic() - self._start, 3),
        }
        line |= {name: float(value) for name, value in metrics.items() if name != "epoch"}
        with self._path.open("ab") as file:
            file.write(self._start_of_line(file.tell()) + json.dumps(line).encode() + b"\n")

    def _start_of_line(self, size: int) -> bytes:
        """The end of a line that a run cut short, as on a full disk, so that only this one is lost."""
        if size == 0:
            return b""
        with self._path.open("rb") as file:
            file.seek(size - 1)
            return b"" if file.read(1) == b"\n" else b"\n"

    @rank_zero_only
    def log_hyperparams(self, params: object) -> None:
        """Nothing: config.yaml holds them."""
