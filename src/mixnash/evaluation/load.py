"""A finished run as objects: module and data, rebuilt from what a checkpoint says of itself."""

from argparse import ArgumentError
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
import yaml
from jsonargparse import ArgumentParser, Namespace

from mixnash.core.errors import InvalidInputError, require
from mixnash.data.base import AbstractDataModule
from mixnash.lit.base import AbstractGAN
from mixnash.lit.checkpoints import CONFIG, read_checkpoint
from mixnash.parse_errors import cause_sentence


class LoadedRun(NamedTuple):
    """A run at one checkpoint."""

    module: AbstractGAN
    """In evaluation mode, on the chosen device."""
    data: AbstractDataModule
    checkpoint_path: Path
    """The file that was read."""
    step: int
    """Steps made when it was written."""
    folder: Path
    """The run's folder, or the checkpoint's own if it lies in none."""
    experiment: str
    config: str
    """The resolved configuration as YAML text."""


def load_run(
    run: Path | None, checkpoint: Path | None, which: str | None = None, device: str | None = None
) -> LoadedRun:
    """Rebuild a run without a trainer; the global random state stays as it was.

    Args:
        run: a run's folder, of which `which` names the checkpoint; or
        checkpoint: a checkpoint file, on its own or in a run's folder. Exactly one of the two.
        which: ``last`` (checkpoints/last.ckpt, also if None) or ``best`` (checkpoints/best-*.ckpt).
        device: where to put the module, as torch writes it; cuda if there is one, else cpu, if None.

    Raises:
        InvalidInputError: unless exactly one source is given and holds a checkpoint that fits its own configuration.
    """
    place = pick_device(device)
    path = _checkpoint_path(run, checkpoint, which)
    content = read_checkpoint(path)
    text = str(content[CONFIG])
    config = _read_config(text, path)
    built = build_run(config, path)
    _load_state(built.model, content["state_dict"], path)
    built.model.eval().to(place)
    folder = path.resolve().parent.parent if run is None else run
    return LoadedRun(
        module=built.model,
        data=built.data,
        checkpoint_path=path,
        step=int(content.get("global_step", 0)),
        folder=folder if (folder / "config.yaml").is_file() else path.parent,
        experiment=str(config.get("experiment", "unnamed")),
        config=text,
    )


def pick_device(name: str | None) -> torch.device:
    """The device of that name; cuda if there is one, else cpu, if None.

    Raises:
        InvalidInputError: when torch knows no such device or the machine has none.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch asserts that it was built with CUDA
        raise InvalidInputError(
            f"There is no device {name!r} on this machine ({_first_line(error)}). Leave --device out or give cpu."
        ) from error
    return device


def _last(folder: Path) -> Path:
    path = folder / "last.ckpt"
    require(
        path.is_file(),
        f"The run {str(folder.parent)!r} holds no checkpoints/last.ckpt: it stopped before its first evaluation. "
        "Train it again, with a lower --trainer.val_check_interval.",
    )
    return path


def _best(folder: Path) -> Path:
    found = sorted(folder.glob("best-*.ckpt"))
    require(
        len(found) > 0,
        f"The run {str(folder.parent)!r} holds no checkpoints/best-*.ckpt. Use --which last, or give a file with "
        "--checkpoint.",
    )
    require(
        len(found) == 1,
        f"The run {str(folder.parent)!r} holds {len(found)} best checkpoints ({', '.join(one.name for one in found)}). "
        "Choose one with --checkpoint.",
    )
    return found[0]


WHICH: Mapping[str, Callable[[Path], Path]] = MappingProxyType({"last": _last, "best": _best})
"""How to find each named checkpoint of a run in its folder of checkpoints."""


def _checkpoint_path(run: Path | None, checkpoint: Path | None, which: str | None) -> Path:
    require(
        (run is None) != (checkpoint is None),
        f"Give exactly one of --run RUN_DIR and --checkpoint FILE, found {'neither' if run is None else 'both'}.",
    )
    require(
        which is None or run is not None,
        f"--which chooses among the checkpoints of a run, found {which!r} with --checkpoint. Leave one of them out.",
    )
    require(which is None or which in WHICH, f"--which must be one of {', '.join(WHICH)}, found {which!r}.")
    if checkpoint is not None:
        return checkpoint
    assert run is not None
    require(run.is_dir(), f"There is no run folder {str(run)!r}. Run folders are RUNS_DIR/EXPERIMENT/VERSION.")
    require((run / "config.yaml").is_file(), f"{str(run)!r} is not a run folder: it has no config.yaml.")
    return WHICH[which or "last"](run / "checkpoints")


def _read_config(text: str, path: Path) -> dict[str, Any]:
    try:
        config = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidInputError(f"The configuration in the checkpoint {str(path)!r} is not YAML.") from error
    require(
        isinstance(config, dict) and {"model", "data"} <= config.keys(),
        f"The configuration in the checkpoint {str(path)!r} names no model and data: it was not written by "
        "`train.py fit`.",
    )
    return dict(config)


def add_run_arguments(parser: ArgumentParser) -> None:
    """Let a parser read a run's seed, `data` and `model`, with the links of `train.py`."""
    parser.add_argument("--seed_everything", type=int, default=0)
    parser.add_subclass_arguments(AbstractDataModule, "data", required=True)
    parser.add_subclass_arguments(AbstractGAN, "model", required=True)
    parser.link_arguments("seed_everything", "data.init_args.seed")
    parser.link_arguments("seed_everything", "model.init_args.seed")
    parser.link_arguments("data.event_shape", "model.init_args.event_shape", apply_on="instantiate")


def build_run(config: dict[str, Any], path: Path) -> Namespace:
    """Instantiate `data` and `model`, with the links of `train.py`: the dump does not hold linked values.

    Args:
        config: of a run, as plain objects.
        path: of the checkpoint that the configuration is from, for messages.

    Raises:
        InvalidInputError: when the configuration does not fit this version.
    """
    parser = ArgumentParser(exit_on_error=False)
    add_run_arguments(parser)
    wanted = {name: config[name] for name in ("seed_everything", "data", "model") if name in config}
    try:
        # Initialisation draws from torch's global generator, only to be overwritten by the checkpoint.
        with torch.random.fork_rng(devices=[]):
            built = parser.instantiate(parser.parse_object(wanted))
    except (ArgumentError, ValueError) as error:
        raise InvalidInputError(
            f"The configuration in the checkpoint {str(path)!r} does not fit this version of mixnash. "
            f"Evaluate it with the version that trained it. (Cause: {cause_sentence(error)})"
        ) from error
    assert isinstance(built, Namespace)
    return built


def _load_state(module: AbstractGAN, state: Mapping[str, torch.Tensor], path: Path) -> None:
    expected = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in state.items()}
    differing = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    if differing:
        name = differing[0]
        raise InvalidInputError(
            f"The weights in the checkpoint {str(path)!r} do not fit its own configuration: {len(differing)} of "
            f"{len(expected.keys() | found.keys())} tensors differ, the first is {name!r} (expected "
            f"{_shape(expected.get(name))}, found {_shape(found.get(name))}). Use a checkpoint as `train.py fit` wrote "
            "it, with the version of mixnash that trained it."
        )
    module.load_state_dict(state, strict=True)


def _shape(shape: tuple[int, ...] | None) -> str:
    return "none" if shape is None else f"shape {list(shape)}"


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
