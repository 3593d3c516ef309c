"""Statistics of real images, kept on disk between runs.

They are found again by what they are computed from, never by a file name or a date: the bytes of the images, after
resizing and cropping, the extractor's weights and preprocessing, and the number of images.
"""

import hashlib
import io
import json
import logging
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mixnash.cache_folder import write_atomically
from mixnash.core.errors import InvalidInputError, require

Arrays: TypeAlias = Mapping[str, NDArray[Any]]

FORMAT = 1
"""Part of every key: raise it when the meaning of stored numbers changes."""

_DIGEST = "digest"
_UNREADABLE = (ValueError, EOFError, KeyError, OSError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error)
"""What NumPy and zipfile raise on damaged bytes."""

logger = logging.getLogger(__name__)


def content_hash(chunks: Iterable[Tensor]) -> str:
    """SHA-256 of images' shape, number, type and bytes; how they are cut into chunks makes no difference.

    Args:
        chunks: [n, ...] each, alike but for n.

    Raises:
        InvalidInputError: without images, or when chunks differ in shape or type.
    """
    digest, kind, count = hashlib.sha256(), "", 0
    for chunk in chunks:
        found = f"{tuple(chunk.shape[1:])} {chunk.dtype}"
        require(
            kind in ("", found),
            f"Images of one set must agree in shape and type, found {kind} and then {found}; resize them alike.",
        )
        kind, count = found, count + len(chunk)
        digest.update(chunk.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    require(count > 0, "Statistics need images, found none.")
    digest.update(f"{kind} {count}".encode())
    return digest.hexdigest()


def statistics_key(content: str, extractor: str, count: int, kind: str) -> str:
    """The name under which statistics are kept.

    Args:
        content: `content_hash` of the images as the extractor gets them, resized and cropped.
        extractor: its ``identity``, which covers weights and preprocessing, its own resize included.
        count: of the images.
        kind: what is stored, such as ``features``.
    """
    parts = json.dumps([FORMAT, content, extractor, count, kind])
    return hashlib.sha256(parts.encode()).hexdigest()


@final
class StatisticsCache:
    """Arrays by key, one ``.npz`` file for each, written atomically and checked when read.

    Args:
        folder: need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, key: str) -> dict[str, NDArray[Any]] | None:
        """The arrays stored under `key`; None if there are none or if the file is damaged, which is logged.

        A damaged file never gives numbers: its digest covers the key, and name, type, shape and bytes of every array.

        Raises:
            InvalidInputError: when there is a file that cannot be opened.
        """
        path = self._path(key)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise InvalidInputError(
                f"The cached statistics '{path}' cannot be read ({error.strerror}); make it readable or remove it."
            ) from error
        arrays = _parsed(content)
        if arrays is None or arrays.pop(_DIGEST, np.array("")).tolist() != _digest(key, arrays):
            logger.warning("The cached statistics '%s' are damaged; they are computed and written again.", path)
            return None
        return arrays

    def store(self, key: str, arrays: Arrays) -> None:
        """Keep arrays under `key`, replacing earlier or damaged ones.

        Raises:
            InvalidInputError: when they cannot be written, for example on a full disk; nothing is left behind then.
        """
        require(_DIGEST not in arrays, f"The name '{_DIGEST}' is taken by the cache; store the array under another.")
        buffer = io.BytesIO()
        np.savez(buffer, **arrays, **{_DIGEST: np.array(_digest(key, arrays))})  # type: ignore[arg-type]
        write_atomically(self._path(key), buffer.getvalue())

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.npz"


def _parsed(content: bytes) -> dict[str, NDArray[Any]] | None:
    """The arrays of an .npz file; None when it is damaged."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if archive.testzip() is not None:  # checksums first: a damaged header may ask for any amount of memory
                return None
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            return dict(file)
    except _UNREADABLE:
        return None


def _digest(key: str, arrays: Arrays) -> str:
    digest = hashlib.sha256(key.encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {arrays[name].shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
