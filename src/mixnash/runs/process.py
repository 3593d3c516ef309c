"""Whether the process that wrote a file is still there."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

PROCESSES = Path("/proc")
"""Where Linux tells about its processes."""
ROUNDING = timedelta(seconds=3)
"""Times in files are whole seconds, and so is that of the machine's start."""


def is_running(process: int, since: datetime) -> bool:
    """Whether a process of this machine that was there at some moment still is.

    Another one that was given its number later, as after a restart of the machine, does not count; where the system
    does not tell when a process began it does.

    Args:
        process: its number, at least 1.
        since: when it was there, with a time zone.
    """
    if not (PROCESSES / "self").exists():
        return _answers(process)
    try:
        about = (PROCESSES / str(process) / "stat").read_text(errors="replace")
        ticks = (PROCESSES / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):  # the second one if it ends while it is read
        return False
    fields = about.rpartition(")")[2].split()  # its name stands in brackets and may hold anything
    state, start = fields[0], int(fields[19])
    (boot,) = (int(line.split()[1]) for line in ticks.splitlines() if line.startswith("btime "))
    began = datetime.fromtimestamp(boot + start / os.sysconf("SC_CLK_TCK"), UTC)
    return state not in "ZX" and began <= since + ROUNDING  # ended ones stay in the list until they are asked for


def _answers(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True
