"""A run's folder belongs to one process at a time."""

import contextlib
import fcntl
import os
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mixnash.core.errors import InvalidInputError

FILE = "run.lock"
"""In a run's folder: who trains there, or who did last."""


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a run's folder while the block runs; the system lets go of it when the process dies, however that happens.

    The file stays: the lock on it counts, not the file. Where the filesystem has no locks the run goes on and says so.

    Args:
        folder: exists. Of a distributed run only the first process holds it.

    Raises:
        InvalidInputError: when another process holds it, or the folder cannot be written.
    """
    try:
        handle = os.open(folder / FILE, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise InvalidInputError(
            f"The run folder '{folder}' cannot be written ({error.strerror}): a run can only go on where it can save."
        ) from error
    try:
        _lock(handle, folder)
        with contextlib.suppress(OSError):  # a full disk: the lock holds without a name
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, folder: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        owner = os.pread(handle, 500, 0).decode(errors="replace").strip() or "another process"
        raise InvalidInputError(
            f"The run '{folder}' is being trained by {owner}, and two runs never write the same folder. Wait until it "
            "has ended, or stop it first."
        ) from error
    except OSError as error:
        warnings.warn(
            f"The filesystem of '{folder}' has no locks ({error.strerror}): take care that no other process resumes "
            "this run while it trains.",
            stacklevel=4,
        )
