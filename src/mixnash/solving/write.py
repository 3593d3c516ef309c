"""The files of a solution."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixnash.core.games.vectors import VECTOR
from mixnash.core.population import weights
from mixnash.figures.encode import to_png
from mixnash.solving.history import History
from mixnash.solving.pictures.choose import picture
from mixnash.solving.readings import Reading
from mixnash.solving.solve import Solution

FILES = ("trajectories.npz", "table.json", "picture.png", "config.yaml")
"""What a folder of results holds."""


def write_solution(solution: Solution, folder: Path, config: str) -> None:
    """Write every file.

    Args:
        solution: what to write.
        folder: exists and is empty.
        config: text that gives the same problem again.
    """
    arrays = {
        f"{name}/{key}": array
        for name, history in solution.histories.items()
        for key, array in _arrays(history).items()
    }
    np.savez_compressed(folder / "trajectories.npz", allow_pickle=False, **arrays)
    (folder / "table.json").write_text(json.dumps(_table(solution), indent=1, allow_nan=False) + "\n")
    (folder / "picture.png").write_bytes(to_png(picture(solution)))
    (folder / "config.yaml").write_text(config)


def _arrays(history: History) -> dict[str, NDArray[Any]]:
    """By name, with the records on the first axis: see `History`."""
    found = {"steps": history.steps, "values": history.values, "gradient_calls": history.gradient_calls}
    for kind, profiles in (("", history.profiles), ("played_", history.played)):
        for role, player in zip(("minimiser", "maximiser"), profiles, strict=True):
            found[f"{kind}{role}_positions"] = player.params[VECTOR]
            found[f"{kind}{role}_weights"] = weights(player)
    return {name: leaf.numpy() for name, leaf in found.items()}


def _table(solution: Solution) -> dict[str, object]:
    problem = solution.problem
    return {
        "name": problem.name,
        "game": type(problem.game).__name__,
        "steps": problem.steps,
        "seed": problem.seed,
        "noise": problem.noise,
        "value": problem.value,
        "warnings": solution.warnings,
        "rows": [_row(reading) for reading in solution.readings],
    }


def _row(reading: Reading) -> dict[str, object]:
    outcome = None if reading.outcome is None else reading.outcome._asdict()
    return {key: _plain(value) for key, value in reading._asdict().items()} | {"outcome": outcome}


def _plain(value: object) -> object:
    """JSON has no NaN and no infinity."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
