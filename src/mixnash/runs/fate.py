"""What became of a run: what it says of itself, and whether that can still be true."""

import enum
import socket
from datetime import datetime, timedelta
from typing import NamedTuple

from mixnash.lit.run_status import RunStatus, State, now
from mixnash.runs.process import is_running

SILENCE = timedelta(minutes=30)
"""A run on another machine that wrote nothing for longer is taken for dead. Training writes every few seconds; an
evaluation with pictures, or a search for deviations, takes minutes."""


class Fate(enum.StrEnum):
    """What a run is doing, or how it ended."""

    RUNNING = "running"
    FINISHED = "finished"
    STOPPED = "stopped"
    """By a signal."""
    FAILED = "failed"
    DEAD = "dead"
    """It says that it is running, but nobody is there."""
    DAMAGED = "damaged"
    """What it says cannot be read."""
    UNKNOWN = "unknown"
    """It says nothing: it has not begun to train, or an older version made it."""


class Outcome(NamedTuple):
    """Of one run."""

    fate: Fate
    reason: str
    """The signal, or a sentence; empty where there is nothing to say."""

    def __str__(self) -> str:
        """In words."""
        if self.fate is Fate.STOPPED:
            return f"{self.fate.value} by {self.reason}"
        return f"{self.fate.value}: {self.reason}" if self.reason else self.fate.value


ENDED = frozenset({Fate.FINISHED, Fate.STOPPED, Fate.FAILED, Fate.DEAD})
"""Nothing more is to be expected of these, unless they are resumed."""

_SAID = {
    State.RUNNING: Fate.RUNNING,
    State.FINISHED: Fate.FINISHED,
    State.STOPPED: Fate.STOPPED,
    State.FAILED: Fate.FAILED,
}


def outcome_of(status: RunStatus) -> Outcome:
    """What a run says of itself, unless it says that it is running and its process is gone.

    Of processes on other machines only their silence tells.
    """
    if status.state is not State.RUNNING:
        return Outcome(_SAID[status.state], status.reason)
    if status.host == socket.gethostname():
        alive = is_running(status.pid, status.updated)
        reason = f"Its process {status.pid} is gone without a word: continue it with --resume."
        return Outcome(Fate.RUNNING, "") if alive else Outcome(Fate.DEAD, reason)
    silent = now() - status.updated
    reason = f"Its process {status.pid} on {status.host} has written nothing for {duration(silent)}."
    return Outcome(Fate.RUNNING, "") if silent <= SILENCE else Outcome(Fate.DEAD, reason)


def duration(length: timedelta) -> str:
    """In the largest unit of which there is at least one, as "3 min"; clocks that disagree give "0 s"."""
    seconds = max(length.total_seconds(), 0.0)
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds:.0f} s"


def local(moment: datetime) -> str:
    """A moment in the time zone of the machine, to the minute."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M")
