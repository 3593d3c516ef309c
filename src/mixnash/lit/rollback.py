"""Going back to the newest checkpoint with smaller step sizes, after losses or parameters stopped being finite."""

import enum
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import pytorch_lightning as pl
import yaml
from pytorch_lightning.strategies.launchers import _SubprocessScriptLauncher

from mixnash.cache_folder import write_atomically
from mixnash.core.errors import InvalidInputError, NonFiniteError, RunFailedError
from mixnash.core.schedules import Scaled
from mixnash.lit.resuming import resumable_run

FACTOR = 0.5
"""What every step size is multiplied by."""

STEP_SIZES = frozenset({"step_size", "max_step_size", "safety", "weight_step", "position_step", "lr"})
"""The arguments of rules, dynamics and torch's optimisers that are step sizes, or that steps are proportional to."""

SCALED = f"{Scaled.__module__}.{Scaled.__qualname__}"
_KEPT = "config_before_rollback_*.yaml"


class Launch(enum.Enum):
    """How this process and the others of its run were started."""

    ALONE = enum.auto()
    """There are no others."""
    STARTED_OTHERS = enum.auto()
    STARTED_BY_FIRST = enum.auto()
    """By the first process of the run."""
    FROM_OUTSIDE = enum.auto()
    """By torchrun, SLURM or by hand, on several machines perhaps."""


def launch_of(trainer: pl.Trainer, is_started_by_first: bool) -> Launch:
    """How the processes of a trainer were started."""
    if trainer.world_size == 1:
        return Launch.ALONE
    if trainer.num_nodes > 1:
        return Launch.FROM_OUTSIDE
    if is_started_by_first:
        return Launch.STARTED_BY_FIRST
    launcher = trainer.strategy.launcher
    started = isinstance(launcher, _SubprocessScriptLauncher) and bool(launcher.procs)
    return Launch.STARTED_OTHERS if started else Launch.FROM_OUTSIDE


class SpoiltRunError(NonFiniteError):
    """A run stopped being finite, with what is needed to take it back.

    Args:
        message: what became non-finite and when.
        folder: of the run; None if it leaves no trace.
        left: rollbacks that it may still make.
        launch: how its processes were started.
    """

    def __init__(self, message: str, folder: Path | None, left: int, launch: Launch) -> None:
        super().__init__(message)
        self.folder, self.left, self.launch = folder, left, launch


def with_smaller_steps(node: Any, factor: float) -> Any:
    """A configuration with every step size multiplied; schedules are wrapped.

    Args:
        node: the configuration or a part of it, as YAML gives it; not changed.
        factor: positive.
    """
    if isinstance(node, Mapping):
        return {
            name: _scaled(value, factor) if name in STEP_SIZES else with_smaller_steps(value, factor)
            for name, value in node.items()
        }
    return [with_smaller_steps(one, factor) for one in node] if isinstance(node, list) else node


def _scaled(value: Any, factor: float) -> Any:
    if isinstance(value, int | float):
        return value * factor
    if not isinstance(value, Mapping):
        return value
    if value.get("class_path") == SCALED:
        arguments = value["init_args"]
        return {**value, "init_args": {**arguments, "factor": arguments["factor"] * factor}}
    return {"class_path": SCALED, "init_args": {"schedule": dict(value), "factor": factor}}


def roll_back(folder: Path, error: NonFiniteError) -> str:
    """Prepare a run's folder for going on from its newest checkpoint with all step sizes halved.

    config.yaml is replaced at once, with one rollback less to go; the one before is kept beside it, and
    rollbacks.log says what happened.

    Args:
        folder: of the run.
        error: what stopped it.

    Returns:
        What happened, in one line.

    Raises:
        RunFailedError: when there is no checkpoint to go back to, or the configuration cannot be written.
    """
    try:
        path, step = _newest(folder)
        text = path.read_text()
        config = yaml.safe_load(text)
        left = config["rollbacks"] - 1
        new = config | {"model": with_smaller_steps(config["model"], FACTOR), "rollbacks": left}
        number = 1 + len(list(folder.glob(_KEPT)))
        write_atomically(folder / _KEPT.replace("*", str(number)), text.encode())
        write_atomically(path, yaml.safe_dump(new, sort_keys=False).encode())
        line = (
            f"{_first_sentence(error)} Back to step {step}, with all step sizes {FACTOR**number:g} times those at the "
            f"beginning (rollbacks left: {left})."
        )
        with (folder / "rollbacks.log").open("a") as log:
            log.write(line + "\n")
    except (InvalidInputError, OSError) as cause:
        raise RunFailedError(f"{_first_sentence(error)} The run cannot go back: {cause}") from cause
    return line


def _newest(folder: Path) -> tuple[Path, int]:
    """The configuration and the steps of the checkpoint that the run would be resumed from."""
    found = resumable_run(folder)
    return found.config, found.step


def _first_sentence(error: NonFiniteError) -> str:
    return str(error).partition(". ")[0] + "."


def go_back(error: SpoiltRunError, words: Sequence[str], environment: Mapping[str, str], is_first: bool) -> list[str]:
    """Take a run back to its newest checkpoint with smaller step sizes, and say so on stderr.

    Several processes that the first one started all end, and it becomes a fresh process that starts them again.
    Processes that others started cannot be started again from here: the run is prepared, and stops.

    Args:
        error: what stopped the run.
        words: the command's, of this process.
        environment: of this process when it began.
        is_first: whether this is the first process of the run.

    Returns:
        The words to go on with.

    Raises:
        NonFiniteError: the error itself, if no rollback is left.
        RunFailedError: when there is no checkpoint to go back to, or somebody else has to start the run again.
    """
    if error.left == 0 or error.folder is None:
        raise error
    if error.launch is Launch.STARTED_BY_FIRST:
        raise SystemExit(0)
    if not is_first:
        raise error
    line = roll_back(error.folder, error)
    if error.launch is Launch.FROM_OUTSIDE:
        raise RunFailedError(f"{line} Start all processes again with --resume {error.folder}.")
    print(line, file=sys.stderr)
    new = ["fit", "--resume", str(error.folder)]
    if error.launch is Launch.STARTED_OTHERS:
        start_anew(new, words, environment)
    return new


def start_anew(words: Sequence[str], before: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
    """Become a fresh process of the same command with other words, once the processes that this one started ended.

    Args:
        words: the new ones.
        before: those of this process, the end of its command line.
        environment: of this process when it began, without what launchers added.
    """
    import __main__  # what was started, as Lightning's launcher finds it out

    script = [os.path.abspath(sys.argv[0])] if __main__.__spec__ is None else ["-m", __main__.__spec__.name]
    kept = sys.argv[1 : len(sys.argv) - len(before)]  # such as `train` of `mixnash train`
    _wait_for_children()
    sys.stdout.flush()
    sys.stderr.flush()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what is ignored stays so in the new process
    os.execve(sys.executable, [sys.executable, *script, *kept, *words], dict(environment))


def _wait_for_children(seconds: float = 30.0) -> None:
    """Until the processes of this run have ended, so that none holds a port or a device that the new ones need."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            found, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if found == 0:
            time.sleep(0.05)
