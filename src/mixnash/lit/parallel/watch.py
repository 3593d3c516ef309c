"""A process whose companions are gone ends, even where it waits for them inside of something that knows no end."""

import os
import sys
import threading
import time
from collections.abc import Callable

INTERVAL = 0.5
"""Seconds between two looks."""
FIRST = "MIXNASH_FIRST_PROCESS"
"""Environment variable by which the processes that a run starts learn the id of the one that started them."""
PATIENCE = 10.0
"""Seconds that a process has to notice the loss by itself and to end in good order."""
FAILED = 3
"""The exit code of a run that failed."""


def watch(is_lost: Callable[[], bool], sentence: str, before_exit: Callable[[], None], patience: float) -> None:
    """Look now and then, in a thread of its own, whether the companions are there; without them end this process.

    Exchanges over gloo fail at once when the other end closes, and the process then ends by itself. Exchanges between
    accelerators, and processes that have not met yet, would wait for many minutes.

    Args:
        is_lost: whether a companion is gone; called every half second.
        sentence: what to say on stderr before ending.
        before_exit: what else to do, such as ending others.
        patience: seconds that this process has to end by itself.
    """

    def look() -> None:
        while not is_lost():
            time.sleep(INTERVAL)
        time.sleep(patience)
        try:
            before_exit()
            print(f"error: {sentence}", file=sys.stderr, flush=True)
        finally:  # nobody may be left to read what is said
            os._exit(FAILED)  # the main thread may hang in an exchange that nothing interrupts

    threading.Thread(target=look, name="mixnash-watch", daemon=True).start()


def is_orphan() -> bool:
    """Whether this process was started by the first one of its run, and that is gone.

    It may be gone since before this process could look.
    """
    first = os.environ.get(FIRST)
    return first is not None and first not in {str(os.getpid()), str(os.getppid())}


def watch_parent(patience: float = PATIENCE) -> None:
    """End this process soon after the one that started it."""
    watch(
        is_orphan,
        "The first process of this run ended, so this one ends too. Checkpoints written before are intact: continue "
        "with --resume.",
        lambda: None,
        patience,
    )
