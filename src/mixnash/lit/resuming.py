"""Where a run goes on: the newest checkpoint of its folder that is whole, and the newest run of an experiment."""

from pathlib import Path
from typing import NamedTuple

import torch
from pytorch_lightning.utilities import rank_zero_warn

from mixnash.core.errors import InvalidInputError, require
from mixnash.lit.checkpoint_files import read_whole
from mixnash.lit.checkpoint_plugin import LAST, PREVIOUS

_FOR_EVALUATION = -1
_REASONS, _NONE = "damaged, or written by a newer version", "it has no checkpoint"


class Resumable(NamedTuple):
    """Where training goes on."""

    folder: Path
    """Of the run."""
    checkpoint: Path
    """Whole."""
    step: int
    """Steps made when it was written."""

    @property
    def config(self) -> Path:
        """The run's resolved configuration."""
        return self.folder / "config.yaml"


def resumable_run(folder: Path) -> Resumable:
    """The newest checkpoint of a run that is whole and that training can go on from.

    Damaged ones are passed over with one warning. The newest is the one after the most steps; of several, last.ckpt.

    Raises:
        InvalidInputError: when the folder is not a run's, or holds no such checkpoint.
    """
    require((folder / "config.yaml").is_file(), f"'{folder}' is not a run folder: it has no config.yaml.")
    found = sorted((folder / "checkpoints").glob("*.ckpt"))
    steps = {path: _steps(path) for path in found}
    damaged = [path for path in found if steps[path] is None]
    for path in sorted(found, key=lambda one: (steps[one] or 0, one.name == LAST, one.name == PREVIOUS), reverse=True):
        step = steps[path]
        if step is None or step == _FOR_EVALUATION:
            continue
        try:
            read_whole(path)
        except InvalidInputError:
            damaged.append(path)
            continue
        _warn_of(damaged, folder, path)
        return Resumable(folder, path, step)
    raise InvalidInputError(
        f"The run '{folder}' cannot be resumed: "
        + (f"{_names(damaged)} cannot be read ({_REASONS}), and there is no other checkpoint" if damaged else _NONE)
        + " that training could go on from. Start it anew from its config.yaml."
    )


def _steps(path: Path) -> int | None:
    """Steps made according to a file that nobody verified yet; None if it cannot be read, `_FOR_EVALUATION` if
    training cannot go on from it.

    The tensors stay on the disk.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        return int(content["global_step"]) if "loops" in content else _FOR_EVALUATION
    except Exception:  # torch raises whatever damaged bytes lead to
        return None


def _names(paths: list[Path]) -> str:
    return " and ".join(sorted(f"checkpoints/{one.name}" for one in paths))


def _warn_of(damaged: list[Path], folder: Path, used: Path) -> None:
    if damaged:
        rank_zero_warn(
            f"{_names(damaged)} of the run '{folder}' cannot be read ({_REASONS}): the run goes on from "
            f"checkpoints/{used.name}."
        )


def newest_run(parent: Path) -> Resumable | None:
    """The run of an experiment that wrote a checkpoint last, among those that have a whole one; None if there is none.

    Args:
        parent: RUNS_DIR/EXPERIMENT, which need not exist.
    """
    times = {path: _last_saved(path) for path in parent.glob("*") if (path / "config.yaml").is_file()}
    for folder in sorted(times, key=lambda one: (times[one], one.name), reverse=True):
        if all(_steps(path) == _FOR_EVALUATION for path in (folder / "checkpoints").glob("*.ckpt")):
            continue  # none at all, or a distilled generator's
        try:
            return resumable_run(folder)
        except InvalidInputError as error:
            rank_zero_warn(f"{error} It is passed over.")
    return None


def _last_saved(folder: Path) -> int:
    """Nanoseconds at which the newest checkpoint was written; 0 without one."""
    return max((path.stat().st_mtime_ns for path in (folder / "checkpoints").glob("*.ckpt")), default=0)
