"""How much travels between processes, and how long they wait for it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import final

from mixnash.core.sections import section


@final
class Traffic:
    """Sums over all exchanges of one process since the run began.

    On accelerators that run ahead of Python, `seconds` is the time to hand exchanges over and not the time they take.
    """

    def __init__(self) -> None:
        self.bytes_sent = 0
        """What this process contributed, in bytes, counted once however many processes receive it."""
        self.seconds = 0.0
        """Wall-clock time inside of exchanges."""

    @contextmanager
    def exchange(self, size: int) -> Iterator[None]:
        """Count one exchange to which this process contributes `size` bytes."""
        start = time.perf_counter()
        with section("communication"):
            yield
        self.seconds += time.perf_counter() - start
        self.bytes_sent += size
