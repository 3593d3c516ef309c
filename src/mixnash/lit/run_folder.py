"""Run folders `RUNS_DIR/EXPERIMENT/VERSION`: each belongs to one run and is never written by another."""

import os
import re
import shutil
from pathlib import Path

from mixnash.core.errors import InvalidInputError, require
from mixnash.numbered_folders import claim_next_version

CLAIMED = "MIXNASH_RUN_FOLDER"
"""Environment variable by which the processes that a run starts learn its folder."""


def claim_run_folder(runs_dir: str, experiment: str, version: str | None) -> Path:
    """Create a folder that did not exist before.

    Args:
        runs_dir: parent of all experiments.
        experiment: name of the experiment.
        version: name of the run; the next free `version_N` if None.

    Raises:
        InvalidInputError: when the version exists, a name is not one path component, or nothing can be written.
    """
    for name, part in (("experiment", experiment), ("version", version)):
        require(
            part is None or re.fullmatch(r"[\w][\w.\-]*", part) is not None,
            f"The {name} must be a plain folder name of letters, digits, '_', '-' and '.', found {part!r}.",
        )
    parent = Path(runs_dir) / experiment
    try:
        parent.mkdir(parents=True, exist_ok=True)
        if version is None:
            return claim_next_version(parent)
        (parent / version).mkdir()
    except FileExistsError as error:
        raise InvalidInputError(
            f"The run folder '{parent / (version or '')}' exists already and is left untouched. Choose another "
            "--version, or continue it with --resume."
        ) from error
    except OSError as error:
        raise InvalidInputError(
            f"The run folder under '{parent}' cannot be written ({error.strerror}). "
            "Choose another place with --runs_dir."
        ) from error
    return parent / str(version)


def discard_unused(folder: Path) -> None:
    """Remove a folder that this process claimed for a run that could not begin; one with results stays."""
    if not (folder / "checkpoints").exists() and not (folder / "metrics.jsonl").exists():
        shutil.rmtree(folder)


def shared_run_folder() -> Path | None:
    """The folder that the first process of this run claimed, if this is another of its processes."""
    claimed = os.environ.get(CLAIMED)
    return Path(claimed) if claimed else None
