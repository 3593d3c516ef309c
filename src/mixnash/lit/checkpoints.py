"""Reading checkpoints that may be missing, torn or somebody else's."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from mixnash.core.errors import require
from mixnash.lit.checkpoint_files import read_whole

CONFIG = "mixnash_config"
"""The key of the resolved configuration, as YAML text, in a checkpoint."""


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Load a checkpoint of this project on the CPU, with `weights_only=True`, if every byte is as it was written.

    Raises:
        InvalidInputError: when the file is missing, unreadable, damaged, or was not written by this project or by this
            version or an earlier one.
    """
    checkpoint = read_whole(path).content
    require(
        CONFIG in checkpoint and "state_dict" in checkpoint,
        f"The checkpoint {str(path)!r} was not written by mixnash: it holds no configuration. "
        "Give one that `train.py fit` wrote.",
    )
    return checkpoint


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
