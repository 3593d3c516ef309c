"""Metrics as JSON lines: for programs, beside TensorBoard for people."""

import json
import os
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
        self._is_whole = False

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
        if not self._is_whole:
            drop_torn_line(self._path)
            self._is_whole = True
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")

    @rank_zero_only
    def log_hyperparams(self, params: object) -> None:
        """Nothing: config.yaml holds them."""


def drop_torn_line(path: Path) -> None:
    """Cut off what a crash or a full disk left behind the last whole line of a file, if there is one."""
    content = path.read_bytes() if path.is_file() else b""
    if content and not content.endswith(b"\n"):
        os.truncate(path, content.rfind(b"\n") + 1)
