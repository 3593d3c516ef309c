"""A new folder for the results, which is either complete in the end or gone."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mixnash.core.errors import InvalidInputError
from mixnash.numbered_folders import claim_next_version

ROOT = Path("runs", "solve")
"""Where results go unless told otherwise, in NAME/version_N."""


@contextmanager
def new_folder(name: str, output: Path | None) -> Iterator[Path]:
    """Claim a folder that did not exist (or was empty) for the time of the block; an exception removes it again.

    Args:
        name: of the problem.
        output: the folder; the next free `runs/solve/NAME/version_N` if None.

    Raises:
        InvalidInputError: when the folder holds something already or cannot be written.
    """
    place = ROOT / name if output is None else output
    begun = [one for one in (place, *place.parents) if not one.exists()]  # innermost first
    try:
        folder = _claim(place, numbered=output is None)
    except OSError as error:
        raise InvalidInputError(
            f"'{place}' cannot be written ({error.strerror}). Choose another place with --output."
        ) from error
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        for one in begun:
            with suppress(OSError):  # gone already, or others write there too
                one.rmdir()
        raise


def _claim(place: Path, numbered: bool) -> Path:
    place.mkdir(parents=True, exist_ok=True)
    if numbered:
        return claim_next_version(place)
    if any(place.iterdir()):
        raise InvalidInputError(f"'{place}' is not empty and is left untouched: choose another --output.")
    return place
