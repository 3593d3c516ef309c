"""What a reproduction is: a computation that yields figures, numbers and checks against known answers."""

import abc
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.figure import Figure

Advance = Callable[[str], None]
"""Told what is being worked on, each time a part of the work begins."""


class Check(NamedTuple):
    """A figure beside what it should be."""

    name: str
    expected: str
    measured: str
    agrees: bool


class Findings(NamedTuple):
    """What a reproduction found."""

    figures: Mapping[str, Figure]
    """By file name without ending."""
    numbers: Mapping[str, Any]
    """For the JSON file: plain numbers, texts, lists and mappings."""
    checks: Sequence[Check]


class AbstractReproduction(abc.ABC):
    """One figure or table of the documentation, from one command."""

    summary: str
    """One line for the list of reproductions."""
    parts: int
    """How many times `run` calls `advance`."""

    @abc.abstractmethod
    def run(self, advance: Advance, short: bool, folder: Path) -> Findings:
        """Do the work.

        Args:
            advance: called with a few words before each part.
            short: cut the work to a few steps that show that everything runs; figures and checks then mean nothing.
            folder: of the results; what takes long is kept there as soon as it is done, and found again.
        """
