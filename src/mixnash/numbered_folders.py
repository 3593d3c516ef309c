"""Folders `version_0`, `version_1`, ...: each claimed by one run and never by another."""

from pathlib import Path

PREFIX = "version_"


def claim_next_version(parent: Path) -> Path:
    """Create the next free `version_N` in an existing folder, numbered after the highest there is.

    Raises:
        OSError: when nothing can be written.
    """
    ends = (one.name.removeprefix(PREFIX) for one in parent.glob(f"{PREFIX}*"))
    number = max((int(end) for end in ends if end.isdigit()), default=-1) + 1
    while True:
        folder = parent / f"{PREFIX}{number}"
        try:
            folder.mkdir()
        except FileExistsError:  # another run was quicker
            number += 1
        else:
            return folder
