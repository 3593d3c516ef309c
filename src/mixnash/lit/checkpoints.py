"""Reading checkpoints that may be missing, torn or somebody else's."""

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

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
        cause = re.split(r"[.:\n]", str(error))[0] or type(error).__name__
        raise InvalidInputError(
            f"The checkpoint {str(path)!r} cannot be read: it is torn or not a checkpoint. Use another one from its "
            f"folder. (Cause: {cause})"
        ) from error
    require(
        isinstance(checkpoint, dict) and CONFIG in checkpoint and "state_dict" in checkpoint,
        f"The checkpoint {str(path)!r} was not written by mixnash: it holds no configuration. "
        "Give one that `train.py fit` wrote.",
    )
    return dict(checkpoint)


def check_fits(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    """Refuse saved tensors that are not those of the module they are meant for.

    Raises:
        InvalidInputError: when names or shapes differ.
    """
    shapes = [{name: tuple(tensor.shape) for name, tensor in tensors.items()} for tensors in (expected, found)]
    odd = sorted(name for name in expected.keys() | found.keys() if shapes[0].get(name) != shapes[1].get(name))
    require(
        not odd,
        f"The checkpoint does not fit this configuration: {len(odd)} tensors differ in name or shape, the first being "
        f"{odd[0] if odd else ''!r}. Use it with the configuration of its own run.",
    )
