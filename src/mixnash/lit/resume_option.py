"""What `--resume` stands for on the command line of `train.py`."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pytorch_lightning.utilities import rank_zero_only

from mixnash.core.errors import InvalidInputError, require
from mixnash.lit import run_lock
from mixnash.lit.resuming import Resumable, newest_run, resumable_run
from mixnash.lit.run_folder import shared_run_folder

CHECKPOINT = "MIXNASH_CHECKPOINT"
"""Environment variable by which the processes that a run starts learn what it goes on from."""
AUTO = "auto"


class _Place(NamedTuple):
    """Where the words put a run."""

    runs_dir: str
    experiment: str
    version: str | None

    @property
    def parent(self) -> Path:
        return Path(self.runs_dir, self.experiment)


def expand_resume(words: list[str]) -> list[str]:
    """Put a run's configuration and its checkpoint in the place of `--resume`; other words override the configuration.

    `--resume RUN_DIR` goes on from that run's newest whole checkpoint. `--resume auto` does so with the newest run of
    the experiment that `--experiment` or a `--config` file names (with `--version`, that one), and begins a run if
    there is none. It is for command lines that are given again and again: the run's own configuration stands in for
    the `--config` files, and words that append to a list (`--trainer.callbacks+=`) are left out, as the run has them.

    Args:
        words: of the command line, from the subcommand on.

    Raises:
        InvalidInputError: when the run cannot be resumed, or the words do not say which one.
    """
    wanted, rest = _taken(words, {"--resume"}.__contains__)
    if not wanted:
        return words
    name = wanted[-1][1]
    require(name != "", "--resume needs the folder of a run, or auto.")
    require(
        not _taken(words, {"--ckpt_path"}.__contains__)[0],
        "--resume names its checkpoint itself: leave --ckpt_path out, or give --config and --ckpt_path alone.",
    )
    is_auto = name == AUTO
    found = _chosen(rest if is_auto else None, name)
    if found is None:
        return rest + _begun_before(_place(rest))
    os.environ[CHECKPOINT] = str(found.checkpoint)
    if is_auto:
        rest = _taken(rest, lambda one: one in {"--config", "-c"} or one.endswith("+"))[1]
    own = ["--config", str(found.config)]
    return [rest[0], *own, *rest[1:], "--resume", str(found.folder), "--ckpt_path", str(found.checkpoint)]


def _chosen(words: list[str] | None, name: str) -> Resumable | None:
    """The run to continue; other processes of one run take what its first process chose."""
    folder, checkpoint = shared_run_folder(), os.environ.get(CHECKPOINT)
    if folder is not None:
        return None if checkpoint is None else Resumable(folder, Path(checkpoint), 0)
    if words is None:
        return resumable_run(Path(name))
    place = _place(words)
    found = _newest(place)
    if found is None:
        _say(f"--resume auto: no run of {place.experiment!r} under {place.runs_dir!r} can go on, so a new one begins.")
    else:
        _say(f"--resume auto: '{found.folder}' goes on after step {found.step} ({found.checkpoint.name}).")
    return found


def _newest(place: _Place) -> Resumable | None:
    if place.version is None:
        return newest_run(place.parent)
    folder = place.parent / place.version
    return resumable_run(folder) if any((folder / "checkpoints").glob("*.ckpt")) else None


def _begun_before(place: _Place) -> list[str]:
    """What makes a run of a given version begin again in its folder, if it ended before its first checkpoint."""
    if place.version is None:
        return []
    folder = place.parent / place.version
    return ["--resume", str(folder)] if (folder / run_lock.FILE).is_file() else []


def _taken(words: list[str], is_meant: Callable[[str], bool]) -> tuple[list[tuple[str, str]], list[str]]:
    """Some options with their values, given as one word or two, and all other words."""
    options: list[tuple[str, str]] = []
    others: list[str] = []
    left = iter(words)
    for word in left:
        name, equals, value = word.partition("=")
        if name.startswith("-") and is_meant(name):
            options.append((name, value if equals else next(left, "")))
        else:
            others.append(word)
    return options, others


def _place(words: list[str]) -> _Place:
    """Later words count more than earlier ones, as in the parser."""
    own = {"--experiment": "experiment", "--runs_dir": "runs_dir", "--version": "version"}
    place: dict[str, Any] = {"runs_dir": "runs", "experiment": None, "version": None}
    for name, value in _taken(words, {*own, "--config", "-c"}.__contains__)[0]:
        given = {own[name]: value} if name in own else _entries(value)
        place |= {entry: found for entry, found in given.items() if entry in place}
    require(
        place["experiment"] is not None,
        "--resume auto continues the newest run of an experiment: name it with --experiment, or give a --config file "
        "that does.",
    )
    version = place["version"]
    return _Place(str(place["runs_dir"]), str(place["experiment"]), None if version is None else str(version))


def _entries(path: str) -> dict[str, Any]:
    try:
        content = yaml.safe_load(Path(path).read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidInputError(
            f"The configuration {path!r} cannot be read, so --resume auto cannot see which experiment it is of. "
            f"({type(error).__name__})"
        ) from error
    return content if isinstance(content, dict) else {}


@rank_zero_only
def _say(sentence: str) -> None:
    print(sentence, flush=True)
