"""Checkpoint files: written whole or not at all, sealed with a hash of all their bytes, and checked when they are read.

A file is an ordinary zip archive of `torch.save`, which plain `torch.load` reads as well. The seal is the comment at
its end: no byte can change, be missing or be added without being noticed.
"""

import contextlib
import hashlib
import os
import re
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, NamedTuple, final

import torch

from mixnash.core.errors import InvalidInputError, UnwritableError, require

FORMAT = 2
"""What this version writes."""
FORMAT_KEY = "mixnash_format"
"""The key of the format in a checkpoint; format 1 had neither this key nor a seal."""
UNFINISHED = ".unfinished"
"""How the names of files end that are being written."""

_MARK = b"mixnash-sha256:"
_SEAL_LENGTH = len(_MARK) + 2 * hashlib.sha256().digest_size
_LENGTH_FIELD = struct.pack("<H", _SEAL_LENGTH)
"""The last two bytes of a zip archive's end record tell the length of the comment behind them."""
_PART = 1 << 20


class Whole(NamedTuple):
    """The content of a checkpoint that passed all checks."""

    content: dict[str, Any]
    """Brought to this version's format, on the CPU."""
    written_as: int
    """The format of the file."""


@final
class _SealedFile:
    """What `torch.save` writes to: hashes what goes by, and keeps an error for later.

    torch calls it from inside its own writer, where an exception would lose its cause.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self._tail = b""
        self._error: OSError | None = None

    def write(self, data: bytes | memoryview) -> int:
        """All of it; the last two bytes so far are held back, as they may be the length field."""
        size = len(data)
        if self._error is None:
            try:
                self._pass_on(data)
            except OSError as error:
                self._error = error
        return size

    def _pass_on(self, data: bytes | memoryview) -> None:
        if len(data) < len(_LENGTH_FIELD):
            ready, self._tail = (self._tail + bytes(data))[:-2], (self._tail + bytes(data))[-2:]
            self._put(ready)
        else:
            self._put(self._tail)
            self._put(data[:-2])
            self._tail = bytes(data[-2:])

    def _put(self, data: bytes | memoryview) -> None:
        self._hash.update(data)
        self._file.write(data)

    def flush(self) -> None:
        """Nothing: `seal` does."""

    def seal(self) -> None:
        """Put the hash into the archive's comment, and everything onto the disk.

        Raises:
            OSError: the first one since writing began.
        """
        if self._error is not None:
            raise self._error
        assert self._tail == bytes(2), "torch.save ended its archive with a comment of its own"
        self._file.write(_LENGTH_FIELD + _MARK + self._hash.hexdigest().encode())
        self._file.flush()
        os.fsync(self._file.fileno())


def write_checkpoint(content: Mapping[str, Any], path: Path, keep: Path | None = None) -> None:
    """Replace a checkpoint at once: whenever the process or the machine dies, there is the old file or the new one.

    Args:
        content: what plain `torch.load` with `weights_only=True` can read again.
        path: of the file; its folder is made if need be.
        keep: where the old file goes, in the same folder; nowhere if None.

    Raises:
        UnwritableError: when it cannot be written; the old file is intact, and nothing is left behind.
    """
    temporary = _unfinished(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            sealed = _SealedFile(file)
            torch.save({**content, FORMAT_KEY: FORMAT}, sealed)  # type: ignore[arg-type]  # `write` and `flush` are enough
            sealed.seal()
        if keep is not None and path.exists():
            _keep(path, keep)
        temporary.replace(path)
        _flush_folder(path.parent)
    except OSError as error:
        raise UnwritableError(
            f"The checkpoint '{path}' cannot be written ({error.strerror}). Those written before are intact: make room "
            "or make the folder writable, and try again; a run goes on with --resume RUN_DIR."
        ) from error
    finally:
        with contextlib.suppress(OSError):  # already renamed, or never written
            temporary.unlink()


def _unfinished(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}{UNFINISHED}")


def _keep(path: Path, keep: Path) -> None:
    """Give the file a second name, so that there is no moment without it."""
    temporary = _unfinished(keep)
    try:
        os.link(path, temporary)
        temporary.replace(keep)
    except OSError:  # a filesystem without hard links: for a moment there is the old file only
        path.replace(keep)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def _flush_folder(folder: Path) -> None:
    """Put a renaming onto the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network filesystems cannot, and write names at once
            os.fsync(handle)
    finally:
        os.close(handle)


def discard_unfinished(folder: Path) -> None:
    """Remove what a process that was killed while it wrote left behind; only for who holds the run."""
    for path in folder.glob(f".*{UNFINISHED}"):
        path.unlink(missing_ok=True)


def read_whole(path: Path) -> Whole:
    """Read a checkpoint on the CPU with `weights_only=True`, if every byte is as it was written.

    Files of format 1 have no seal; of them only what torch needs is known to be whole.

    Raises:
        InvalidInputError: when the file is missing, unreadable, damaged, or written by a newer version.
    """
    require(path.is_file(), f"There is no checkpoint {str(path)!r}. Checkpoints are in RUN_DIR/checkpoints.")
    try:
        with path.open("rb") as file:
            is_sealed = _check_seal(file, path)
            file.seek(0)
            content = _loaded(file, path)
    except OSError as error:
        raise InvalidInputError(f"The checkpoint {str(path)!r} cannot be read ({error.strerror}).") from error
    require(isinstance(content, dict), f"The checkpoint {str(path)!r} was not written by mixnash: it is no dictionary.")
    number = content.get(FORMAT_KEY, 1)
    require(
        type(number) is int and number >= 1 and (number == 1 or is_sealed or number > FORMAT),
        f"The checkpoint {str(path)!r} has lost its hash: it was cut short, or changed after it was written. Use "
        "another one from its folder.",
    )
    require(
        number <= FORMAT,
        f"The checkpoint {str(path)!r} was written by a newer version of mixnash: its format is {number}, and this "
        f"version reads formats up to {FORMAT}. Use that version.",
    )
    for step in range(number, FORMAT):
        content = MIGRATIONS[step](content)
    return Whole(content, number)


def _check_seal(file: IO[bytes], path: Path) -> bool:
    """Whether there is a seal; one that does not fit is refused."""
    size = file.seek(0, os.SEEK_END)
    hashed = size - len(_LENGTH_FIELD) - _SEAL_LENGTH
    if hashed <= 0:
        return False
    file.seek(hashed)
    end = file.read()
    if not end.startswith(_LENGTH_FIELD + _MARK):
        return False
    found, left = hashlib.sha256(), hashed
    file.seek(0)
    while left > 0 and (part := file.read(min(left, _PART))):
        found.update(part)
        left -= len(part)
    require(
        end.endswith(_MARK + found.hexdigest().encode()),
        f"The checkpoint {str(path)!r} is damaged: its bytes are not those that were written. Use another one from its "
        "folder.",
    )
    return True


def _loaded(file: IO[bytes], path: Path) -> Any:
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever damaged bytes lead to
        cause = re.split(r"[.:\n]", str(error))[0] or type(error).__name__
        raise InvalidInputError(
            f"The checkpoint {str(path)!r} cannot be read: it is torn or not a checkpoint. Use another one from its "
            f"folder. (Cause: {cause})"
        ) from error


def _from_format_1(content: dict[str, Any]) -> dict[str, Any]:
    """All entries are as they were; what was added since is looked for with a default."""
    return {**content, FORMAT_KEY: 2}


MIGRATIONS: Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]] = MappingProxyType({1: _from_format_1})
"""What makes format n + 1 of a content of format n."""
