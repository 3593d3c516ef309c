"""Every fragment in configs/data builds its data module, names every argument and explains it."""

import importlib
import inspect
from pathlib import Path

import pytest
import yaml

from image_files import in_small_sets, small_sets  # noqa: F401 (fixtures)
from mixnash.data.base import AbstractDataModule
from mixnash.data.mixtures import PRESETS

pytestmark = pytest.mark.usefixtures("in_small_sets")

FOLDER = Path(__file__).parents[2] / "configs" / "data"
FRAGMENTS = sorted(FOLDER.glob("*.yaml"))


def load(path):
    """The class and the arguments of a fragment."""
    fragment = yaml.safe_load(path.read_text())
    module, _, name = fragment["class_path"].rpartition(".")
    return getattr(importlib.import_module(module), name), fragment["init_args"]


@pytest.mark.parametrize("path", FRAGMENTS, ids=lambda path: path.stem)
def test_a_fragment_builds_a_data_module_that_yields_a_batch(path):
    kind, arguments = load(path)
    data = kind(**arguments)
    assert isinstance(data, AbstractDataModule)
    assert data.training_batch(0).shape == (1, data.batch_size, *data.event_shape)


@pytest.mark.parametrize("path", FRAGMENTS, ids=lambda path: path.stem)
def test_a_fragment_names_every_argument_but_the_seed_which_comes_from_seed_everything(path):
    kind, arguments = load(path)
    assert [*arguments, "seed"] == list(inspect.signature(kind).parameters)


@pytest.mark.parametrize("path", FRAGMENTS, ids=lambda path: path.stem)
def test_a_fragment_explains_every_key(path):
    _, arguments = load(path)
    lines = path.read_text().splitlines()
    assert lines[0].startswith("# ")
    for key in arguments:
        place = next(index for index, line in enumerate(lines) if line.startswith(f"  {key}:"))
        assert lines[place - 1].startswith("  # ")
        assert "default" in lines[place - 1]


def test_every_preset_has_its_fragment():
    presets = {path.stem: load(path)[1].get("preset") for path in FRAGMENTS}
    assert {name.replace("-", "_"): name for name in PRESETS}.items() <= presets.items()
