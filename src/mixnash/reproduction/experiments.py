"""Models and data of the experiments in `configs/experiment`, with changes from Python."""

from argparse import ArgumentError
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, final

import torch
from jsonargparse import ArgumentParser, Namespace

import mixnash
from mixnash.core.errors import InvalidInputError, require
from mixnash.data.base import AbstractDataModule
from mixnash.evaluation.load import add_run_arguments
from mixnash.lit.base import AbstractGAN
from mixnash.parse_errors import cause_sentence

_EXPERIMENTS = Path("configs", "experiment")


class Built(NamedTuple):
    """An experiment as objects, initialised as `train.py fit` would."""

    module: AbstractGAN
    data: AbstractDataModule


@final
class Experiment:
    """An experiment with changes, checked but not built yet.

    Args:
        parser: read it.
        config: what the parser read.
    """

    def __init__(self, parser: ArgumentParser, config: Namespace) -> None:
        self._parser, self._config = parser, config

    @property
    def resolved(self) -> str:
        """The configuration of model and data as YAML text."""
        kept = self._config.clone()
        for name in ("config", "experiment", "trainer"):
            kept.pop(name, None)
        return str(self._parser.dump(kept, skip_validation=True))

    def build(self) -> Built:
        """Model and data; the global random state stays as it was.

        Raises:
            InvalidInputError: when a constructor refuses its arguments.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(self._config.seed_everything))
            try:
                built = self._parser.instantiate(self._config)
            except (ArgumentError, ValueError) as error:
                raise InvalidInputError(cause_sentence(error)) from error
        return Built(built.model, built.data)


def experiment_file(name: str) -> Path:
    """The file of an experiment: in the repository that this package is installed from, or below the working directory.

    Raises:
        InvalidInputError: when neither place has it.
    """
    repository = Path(mixnash.__file__).resolve().parents[2]
    places = [parent / _EXPERIMENTS / f"{name}.yaml" for parent in (repository, Path.cwd())]
    found = [path for path in places if path.is_file()]
    require(
        len(found) > 0,
        f"There is no experiment {name!r}: neither {str(places[0])!r} nor {str(places[1])!r} exists. Training "
        "needs the repository's configs: run this from its root.",
    )
    return found[0]


def read_experiment(name: str, seed: int, overrides: Sequence[str]) -> Experiment:
    """Read an experiment and change it.

    Args:
        name: of the file, without ending.
        seed: for `seed_everything`.
        overrides: command-line words such as ``--model.init_args.num_generators=8``, applied in order.

    Raises:
        InvalidInputError: when there is no such experiment, or it or a word does not fit this version of mixnash.
    """
    path, parser = experiment_file(name), _parser()
    try:
        config = parser.parse_args([f"--config={path}", f"--seed_everything={seed}", *overrides])
    except (ArgumentError, ValueError) as error:
        raise InvalidInputError(f"The experiment {name!r} cannot be read: {cause_sentence(error)}") from error
    return Experiment(parser, config)


def _parser() -> ArgumentParser:
    """Model and data with the links of `train.py`; what concerns the trainer is read over."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--config", action="config")
    parser.add_argument("--experiment", type=Any, default=None)
    parser.add_argument("--trainer", type=Any, default=None)
    add_run_arguments(parser)
    return parser
