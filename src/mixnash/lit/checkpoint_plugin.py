"""How trainers write and read checkpoints."""

import os
from pathlib import Path
from typing import Any, final

from lightning_fabric.plugins.io.checkpoint_io import CheckpointIO
from pytorch_lightning.utilities import rank_zero_warn

from mixnash.core.errors import InvalidInputError, require
from mixnash.lit.checkpoint_files import read_whole, write_checkpoint

LAST, PREVIOUS = "last.ckpt", "previous.ckpt"
"""Where training is, and where it was when the former was written the time before."""


@final
class CheckpointFiles(CheckpointIO):
    """Sealed files; every run of `train.py` has them unless it is given another plugin of this kind.

    A new `last.ckpt` leaves the one before as `previous.ckpt`, if that was whole. Plugins that wrap another one can be
    given this one: `AsyncCheckpointIO(CheckpointFiles())`.
    """

    def __init__(self) -> None:
        self._known: set[Path] = set()
        """Files that this process wrote or read: they need no second look."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any | None = None
    ) -> None:
        """Write it as `write_checkpoint` does.

        Raises:
            InvalidInputError: when the path is none of a local file, or there are storage options.
            UnwritableError: when it cannot be written.
        """
        require(storage_options is None, f"Local files have no storage options, found {storage_options}.")
        file = _local(path)
        keep = file.with_name(PREVIOUS) if file.name == LAST and self._is_whole(file) else None
        write_checkpoint(checkpoint, file, keep)
        self._known.add(file)

    def _is_whole(self, file: Path) -> bool:
        if file in self._known:
            return True
        try:
            read_whole(file)
        except InvalidInputError:
            return False
        return True

    def load_checkpoint(
        self, path: str | os.PathLike[str], map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read it as `read_whole` does, to go on training: always onto the CPU, and never code.

        Raises:
            InvalidInputError: when the file is missing, unreadable, damaged, or written by a newer version.
        """
        del map_location, weights_only
        file = _local(path)
        content, written_as = read_whole(file)
        self._known.add(file)
        if written_as < 2:
            rank_zero_warn(
                f"'{file}' was written by an earlier version of mixnash. The run goes on correctly, but where position "
                "rules draw noise not bit for bit as it would have there: noise now comes from a stream per particle."
            )
        return content

    def remove_checkpoint(self, path: str | os.PathLike[str]) -> None:
        """Remove it, unless it is gone already."""
        file = _local(path)
        file.unlink(missing_ok=True)
        self._known.discard(file)


def _local(path: str | os.PathLike[str]) -> Path:
    require(
        "://" not in str(path),
        f"Checkpoints are local files, found {str(path)!r}. For other places give "
        "--trainer.plugins pytorch_lightning.plugins.io.TorchCheckpointIO, which keeps no hash.",
    )
    return Path(path)
