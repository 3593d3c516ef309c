"""A text file to which another process appends."""

from pathlib import Path
from typing import final


@final
class GrowingFile:
    """Gives the lines that were added since the last look; the file may not exist yet.

    A line counts once its end is written. A file that became shorter was begun anew, and is read from its start.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0

    def new_lines(self) -> list[str]:
        """Those that were completed since the last call, without their ends.

        Raises:
            OSError: when the file is there and cannot be read.
        """
        try:
            with self._path.open("rb") as file:
                size = file.seek(0, 2)
                self._position = self._position if self._position <= size else 0
                file.seek(self._position)
                content = file.read()
        except FileNotFoundError:
            return []
        whole = content[: content.rfind(b"\n") + 1]
        self._position += len(whole)
        return whole.decode(errors="replace").splitlines()
