"""All dynamics of a problem, one after the other."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from mixnash.core.dynamics.base import AbstractDynamics
from mixnash.core.errors import InvalidInputError, require
from mixnash.core.games.vectors import VECTOR
from mixnash.core.random import Purpose
from mixnash.core.types import Profile
from mixnash.solving.history import DivergedError, History
from mixnash.solving.play import play
from mixnash.solving.problem import Problem
from mixnash.solving.readings import Reading, read
from mixnash.solving.step_sizes import unproven_steps


class Solution(NamedTuple):
    """What all dynamics did, and what it is worth."""

    problem: Problem
    histories: dict[str, History]
    """By the name of the dynamics; of one that diverged, the records before."""
    readings: list[Reading]
    """Lines of the table, in the order of the problem."""
    warnings: list[str]
    """Sentences about step sizes that are not proven to converge."""

    @property
    def title(self) -> str:
        """One line about the problem."""
        problem = self.problem
        value = "" if problem.value is None else f", value {problem.value:.6g}"
        return f"{problem.name}: {type(problem.game).__name__}, {problem.steps:,} steps{value}"


def solve(problem: Problem, console: Console) -> Solution:
    """Run every dynamics of a problem from its start; one that diverges does not stop the others.

    Args:
        problem: what to run.
        console: shows a progress bar if it is a terminal.

    Raises:
        InvalidInputError: when a dynamics does not fit the game or the start; the message begins with its name.
    """
    histories: dict[str, History] = {}
    readings: list[Reading] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        for name, dynamics in problem.dynamics.items():
            told = partial(_show, progress, progress.add_task(name, total=problem.steps))
            stopped: DivergedError | None = None
            try:
                history = _play(problem, name, dynamics, told)
            except DivergedError as error:
                history, stopped = error.history, error
            histories[name] = history
            readings += read(problem, name, history, stopped)
    return Solution(problem, histories, readings, unproven_steps(problem))


def _show(progress: Progress, task: TaskID, step: int) -> None:
    progress.update(task, completed=step)


def _play(problem: Problem, name: str, dynamics: AbstractDynamics, on_record: Callable[[int], None]) -> History:
    try:
        history = play(
            dynamics,
            problem.oracle(),
            problem.profile,
            problem.steps,
            problem.stream(Purpose.POSITION_NOISE),
            problem.record_every,
            on_record,
        )
    except InvalidInputError as error:
        raise InvalidInputError(f"{name}: {error}") from error
    require(
        not problem.start.finite or _stayed(problem.profile, history.profiles),
        f"{name}: the particles of this start cannot move, only their weights. Give both players the position rule "
        "mixnash.core.rules.still.Still.",
    )
    return history


def _stayed(start: Profile, profiles: Profile) -> bool:
    pairs = zip(start, profiles, strict=True)
    return all(
        one.params[VECTOR].shape == found.params[VECTOR].shape[1:]
        and bool((found.params[VECTOR] == one.params[VECTOR]).all())
        for one, found in pairs
    )
