"""Writing results so that a file is either the old one or the new one, never half of it."""

import contextlib
import os
from pathlib import Path

from mixnash.core.errors import InvalidInputError


def make_folder(folder: Path) -> None:
    """Create a folder with its parents, unless it exists.

    Raises:
        InvalidInputError: when it cannot be created or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _unwritable(folder, PermissionError(0, "Permission denied"))


def write_file(path: Path, content: bytes) -> None:
    """Write to a temporary name in the same folder, then rename.

    Raises:
        InvalidInputError: when the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        with contextlib.suppress(OSError):  # already renamed, or never written
            temporary.unlink()


def _unwritable(path: Path, error: OSError) -> InvalidInputError:
    return InvalidInputError(f"'{path}' cannot be written ({error.strerror}). Choose another place with --output.")
