"""`mixnash follow`: what a run logs, while another process trains it."""

import argparse
import math
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from mixnash.core.errors import InvalidInputError, require
from mixnash.evaluation.options import one_line_errors
from mixnash.lit.run_status import read_status
from mixnash.runs.fate import ENDED, Fate, Outcome, outcome_of
from mixnash.runs.growing import GrowingFile
from mixnash.runs.lines import SHOWN, LineReader

SUMMARY = (
    "Print what a run logs, until it ends or Ctrl-C ends this command; the run is not touched. Exit code 3 if the run "
    "failed or its process is gone."
)
INTERRUPTED, FAILED, NOBODY_READS = 130, 3, 141
"""Exit codes: after Ctrl-C, for a run that failed, and when the output is closed, as by `| head`."""


def main(args: list[str] | None = None, prog: str = "mixnash follow") -> None:
    """The command: exit code 2 for bad input, 3 for a run that failed, 130 after Ctrl-C.

    Args:
        args: command-line words; those of the process if None.
        prog: the command's name in its help.
    """
    parser = argparse.ArgumentParser(prog=prog, description=SUMMARY, allow_abbrev=False)
    parser.add_argument("run", type=Path, metavar="RUN_DIR", help="the run's folder, RUNS_DIR/EXPERIMENT/VERSION")
    parser.add_argument("--seconds", type=float, default=1.0, metavar="S", help="between two looks (default: 1)")
    parser.add_argument(
        "--lines", type=int, default=10, metavar="N", help="of what was logged before, show the last N (default: 10)"
    )
    parser.add_argument(
        "--metrics",
        action="append",
        metavar="NAME",
        help=f"show metrics whose names begin so; may be repeated, '' for all (default: {' '.join(SHOWN)})",
    )
    found = parser.parse_args(args)
    try:
        with one_line_errors():
            outcome = follow(found.run, found.seconds, found.lines, found.metrics or SHOWN)
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else the interpreter complains when it ends
        raise SystemExit(NOBODY_READS) from None
    if outcome.fate in {Fate.FAILED, Fate.DEAD}:
        raise SystemExit(FAILED)


def follow(folder: Path, seconds: float, lines: int, shown: Sequence[str]) -> Outcome:
    """Print what a run logs until it ends, and how it ended.

    Args:
        folder: the run's; its files need not exist yet.
        seconds: between two looks, positive.
        lines: how many of those logged before are shown, at least 0.
        shown: how the names of the metrics begin that are shown.

    Raises:
        InvalidInputError: when an argument is out of range, there is no such folder, or it cannot be read.
    """
    require(math.isfinite(seconds) and seconds > 0, f"--seconds must be positive, found {seconds}.")
    require(lines >= 0, f"--lines must be at least 0, found {lines}.")
    log, reader = GrowingFile(folder / "metrics.jsonl"), LineReader(shown)
    first, noted = True, ""
    while True:
        outcome = _look(folder)  # before the lines: what an ended run logged is all there
        told = [one for line in _new_lines(log, folder) for one in reader.told(line)]
        for one in told[max(len(told) - lines, 0) :] if first else told:
            print(one, flush=True)
        if outcome.fate in ENDED:
            print(_end(folder, outcome), flush=True)
            return outcome
        if outcome.fate is not Fate.RUNNING and str(outcome) != noted:
            noted = str(outcome)
            print(_note(outcome), flush=True)
        first = False
        time.sleep(seconds)


def _look(folder: Path) -> Outcome:
    require(
        folder.is_dir(),
        f"There is no run folder '{folder}'. Run folders are RUNS_DIR/EXPERIMENT/VERSION; `mixnash runs` lists them.",
    )
    outcome = Outcome(Fate.UNKNOWN, "")
    for _ in range(2):  # a process may have said how it ended, and gone, since the file was read
        try:
            status = read_status(folder)
        except InvalidInputError as error:
            return Outcome(Fate.DAMAGED, str(error))
        outcome = Outcome(Fate.UNKNOWN, "") if status is None else outcome_of(status)
        if outcome.fate is not Fate.DEAD:
            break
    return outcome


def _new_lines(log: GrowingFile, folder: Path) -> list[str]:
    try:
        return log.new_lines()
    except OSError as error:
        raise InvalidInputError(f"What the run '{folder}' logs cannot be read ({error.strerror}).") from error


def _end(folder: Path, outcome: Outcome) -> str:
    status = read_status(folder)
    where = "" if status is None else f" after step {status.step:,}"
    reason = f" {outcome.reason}" if outcome.fate in {Fate.FAILED, Fate.DEAD} else ""
    how = str(outcome) if outcome.fate is Fate.STOPPED else outcome.fate.value
    return f"{folder}: {how}{where}.{reason}"


def _note(outcome: Outcome) -> str:
    if outcome.fate is Fate.DAMAGED:
        return f"note: {outcome.reason} Waiting for more; Ctrl-C ends this."
    return (
        "note: the run does not say what it is doing: it has not begun to train, or an older version made it. Waiting "
        "for more; Ctrl-C ends this."
    )
