"""The student as a run folder like any other, that `evaluate` and `sample` accept."""

import copy
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from mixnash.core.errors import InvalidInputError, require
from mixnash.core.population import make_population
from mixnash.distillation.regression import Settings
from mixnash.distillation.teacher import Teacher
from mixnash.evaluation.files import make_folder, write_file
from mixnash.evaluation.load import LoadedRun, build_run
from mixnash.lit.checkpoint_files import write_checkpoint
from mixnash.lit.checkpoints import CONFIG
from mixnash.lit.mixed_gan import MixedGAN
from mixnash.networks.base import parameters_of
from mixnash.networks.distilled import DistilledGenerator

_KEPT = ("critic", "game", "dynamics", "num_critics", "packing", "sampled_critics")
"""What the student's model takes over from the mixture's."""


@contextmanager
def new_folder(folder: Path) -> Iterator[None]:
    """Create a folder that did not exist before; it is removed again if the work inside fails.

    Raises:
        InvalidInputError: when it exists or cannot be created.
    """
    require(
        not (folder.exists() or folder.is_symlink()),
        f"'{folder}' exists already and is left untouched. Choose another --output.",
    )
    make_folder(folder.parent)
    try:
        folder.mkdir()
    except OSError as error:
        raise InvalidInputError(f"'{folder}' cannot be created ({error.strerror}). Choose another --output.") from error
    try:
        yield
    except BaseException:
        shutil.rmtree(folder)
        raise


def student_config(run: LoadedRun, teacher: Teacher, settings: Settings) -> dict[str, Any]:
    """The mixture's configuration with one generator of the student's kind in place of all.

    Critics, game, dynamics and data stay, so that evaluation plays the same game. Training cannot go on from it.

    Raises:
        InvalidInputError: when the run is none of a `MixedGAN`.
    """
    require(
        isinstance(run.module, MixedGAN),
        f"Only runs of MixedGAN can be distilled, but this run was trained by {type(run.module).__name__}.",
    )
    config: dict[str, Any] = copy.deepcopy(yaml.safe_load(run.config))
    given = config["model"]["init_args"]
    config["model"]["init_args"] = {name: given[name] for name in _KEPT if name in given} | {
        "generator": {
            "class_path": f"{DistilledGenerator.__module__}.{DistilledGenerator.__qualname__}",
            "init_args": {
                "latent_dim": teacher.latent_dim + 1,
                "bins": len(teacher.order),
                "width": settings.width,
                "depth": settings.depth,
            },
        },
        "num_generators": 1,
        "ema_decay": 0.0,
    }
    config["experiment"] = f"{run.experiment}-distilled"
    return config


def write_student(
    run: LoadedRun, config: dict[str, Any], student: DistilledGenerator, steps: int, folder: Path
) -> None:
    """Write config.yaml and checkpoints/last.ckpt, with the mixture's critics.

    Args:
        run: the mixture's.
        config: from `student_config`.
        student: trained.
        steps: of its training.
        folder: exists.

    Raises:
        InvalidInputError: when the configuration cannot be written.
        UnwritableError: when the checkpoint cannot be written.
    """
    module = build_run(config, run.checkpoint_path).model
    assert isinstance(module, MixedGAN)
    params = {name: leaf.cpu().unsqueeze(0) for name, leaf in parameters_of(student).items()}
    module.generators.assign(make_population(params))
    module.averaged.update(params, 0)
    critics = run.module.profile(averaged=False).critics
    module.critics.assign(
        make_population({name: leaf.cpu() for name, leaf in critics.params.items()}, critics.log_weights.cpu())
    )
    text = yaml.safe_dump(config, sort_keys=False)
    write_file(folder / "config.yaml", text.encode())
    content = {"state_dict": module.state_dict(), CONFIG: text, "global_step": steps}
    write_checkpoint(content, folder / "checkpoints" / "last.ckpt")
