"""Writing a folder of files so that all of them appear or none."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mixnash.core.errors import InvalidInputError
from mixnash.evaluation.files import make_folder


@contextmanager
def staged_folder(folder: Path, ours: Callable[[str], bool]) -> Iterator[Path]:
    """An empty folder on the same disk to write into; what is in it moves to `folder` at the end.

    A folder that is missing appears by a single renaming. In one that is there, files of the same name are replaced
    only after every new one has been written, and other files stay.

    Args:
        folder: where the files shall be.
        ours: whether a file of that name in `folder`, left from before, is removed if no new one has its name.

    Raises:
        InvalidInputError: when a file cannot be written; nothing is left behind then.
    """
    there = folder.is_dir()
    make_folder(folder if there else folder.parent)
    outer: Path | None = None
    try:
        outer = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder if there else folder.parent))
        inner = outer / "files"  # with the permissions of any other new folder, which `outer` has not
        inner.mkdir()
        yield inner
        if there:
            _move(inner, folder, ours)
        else:
            inner.rename(folder)
    except OSError as error:
        raise InvalidInputError(
            f"'{folder}' cannot be written ({error.strerror}). Choose another place with --output."
        ) from error
    finally:
        if outer is not None:
            shutil.rmtree(outer, ignore_errors=True)


def _move(source: Path, folder: Path, ours: Callable[[str], bool]) -> None:
    names = sorted(path.name for path in source.iterdir())
    stale = {path.name for path in folder.iterdir() if path.is_file() and ours(path.name)} - set(names)
    for name in names:
        (source / name).replace(folder / name)
    for name in sorted(stale):
        (folder / name).unlink()
