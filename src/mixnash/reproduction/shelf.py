"""Finished trainings as files, so that a reproduction of an hour can be stopped and continued."""

import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixnash.evaluation.files import write_file
from mixnash.reproduction.plan import Mark, Points, Trained


def write_trained(folder: Path, key: str, fingerprint: str, trained: Trained) -> None:
    """Write KEY.npz, then KEY.json, which makes the training count as finished.

    Raises:
        InvalidInputError: when the folder cannot be written.
    """
    arrays: dict[str, NDArray[Any]] = {}
    for mark, points in trained.points.items():
        arrays[f"{mark}/values"], arrays[f"{mark}/particle"] = points
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]  # numpy's stub takes the names for options
    write_file(folder / f"{key}.npz", buffer.getvalue())
    content = {
        "fingerprint": fingerprint,
        "parameters": dict(trained.parameters),
        "failure": trained.failure,
        "gap": None if trained.gap is None else _writable(trained.gap),
        "marks": [{**mark._asdict(), "scores": _writable(mark.scores)} for mark in trained.marks],
    }
    write_file(folder / f"{key}.json", (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())


def read_trained(folder: Path, key: str, fingerprint: str) -> Trained | None:
    """A finished training; None if there is none, or it is another, or its files are torn."""
    try:
        content = json.loads((folder / f"{key}.json").read_text())
        if content["fingerprint"] != fingerprint:
            return None
        with np.load(folder / f"{key}.npz") as arrays:
            marks = {float(name.rpartition("/")[0]) for name in arrays.files}
            points = {mark: Points(arrays[f"{mark}/values"], arrays[f"{mark}/particle"]) for mark in sorted(marks)}
        return Trained(
            marks=tuple(Mark(**{**mark, "scores": _readable(mark["scores"])}) for mark in content["marks"]),
            parameters=content["parameters"],
            failure=content["failure"],
            gap=None if content["gap"] is None else _readable(content["gap"]),
            points=points,
        )
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        return None


def _writable(numbers: Any) -> dict[str, float | None]:
    """JSON has no word for what is not finite."""
    return {name: value if math.isfinite(value) else None for name, value in numbers.items()}


def _readable(numbers: dict[str, float | None]) -> dict[str, float]:
    return {name: math.nan if value is None else value for name, value in numbers.items()}
