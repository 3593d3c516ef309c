"""Where files live that are made once and used by many runs: classifiers, statistics of real images."""

import contextlib
import os
from pathlib import Path

from mixnash.core.errors import InvalidInputError

VARIABLE = "MIXNASH_HOME"
"""The environment variable that moves the folder."""


def cache_folder() -> Path:
    """The folder that the environment variable MIXNASH_HOME names, else ``~/.cache/mixnash``; it need not exist."""
    named = os.environ.get(VARIABLE)
    return Path(named).expanduser() if named else Path.home() / ".cache" / "mixnash"


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file under a temporary name in its own folder, made if need be, then rename it.

    Readers see the old file, the new one or none; after a failure nothing is left behind.

    Raises:
        InvalidInputError: when it cannot be written, for example on a full disk.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        raise InvalidInputError(
            f"'{path}' cannot be written ({error.strerror}). Make room or name another place; the environment variable "
            f"{VARIABLE} moves the folder of all such files."
        ) from error
    finally:
        with contextlib.suppress(OSError):  # already renamed, or never written
            temporary.unlink()
