"""Reading checkpoints that may be missing, torn or somebody else's."""

import pickle
from pathlib import Path
from typing import Any

import torch

from mixnash.core.errors import InvalidInputError, require

CONFIG = "mixnash_config"
"""The key of the resolved configuration, as YAML text, in a checkpoint."""


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Load a checkpoint of this project on the CPU, with `weights_only=True`.

    Raises:
        InvalidInputError: when the file is missing, unreadable, corrupt or was not written by this project.
    """
    require(path.is_file(), f"There is no checkpoint {str(path)!r}. Checkpoints are in RUN_DIR/checkpoints.")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise InvalidInputError(
            f"The checkpoint {str(path)!r} cannot be read: it is torn or not a checkpoint. Use another one from its "
            f"folder. (Cause: {str(error).splitlines()[0] if str(error) else type(error).__name__})"
        ) from error
    require(
        isinstance(checkpoint, dict) and CONFIG in checkpoint and "state_dict" in checkpoint,
        f"The checkpoint {str(path)!r} was not written by mixnash: it holds no configuration. "
        "Give one that `train.py fit` wrote.",
    )
    return dict(checkpoint)
