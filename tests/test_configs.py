"""Every configuration in the repository runs; a new file joins by itself."""

import inspect
import json
from pathlib import Path
from typing import Any

import jsonargparse
import pytest
import torch
import yaml

import mixnash.core
import mixnash.data
import mixnash.networks
from image_files import in_small_sets, small_sets  # noqa: F401 (fixtures)
from mixnash.cli import train
from mixnash.core.augmentations.base import AbstractAugmentation
from mixnash.core.dynamics.base import AbstractDynamics
from mixnash.core.errors import InvalidInputError
from mixnash.core.games.base import AbstractConstrainedGame, AbstractGame
from mixnash.core.rules.base import AbstractPositionRule, AbstractWeightRule
from mixnash.data.base import AbstractDataModule, AbstractImageData
from mixnash.networks.base import AbstractCritic, AbstractGenerator, AbstractNetwork
from mixnash.solving.cli import run as solve
from mixnash.solving.write import FILES
from plugins import discover
from training import REPOSITORY, TINY, tiny_config

pytestmark = pytest.mark.usefixtures("in_small_sets")
"""Sets of images are looked for in the working directory."""

CONFIGS = REPOSITORY / "configs"
EXPERIMENTS = sorted((CONFIGS / "experiment").glob("*.yaml"))
TOYS = sorted((CONFIGS / "toy").glob("*.yaml"))

KINDS: dict[str, list[type]] = {
    "data": [AbstractDataModule],
    "game": [AbstractGame],
    "network": [AbstractGenerator, AbstractCritic],
    "dynamics": [AbstractDynamics],
    "rule": [AbstractPositionRule, AbstractWeightRule],
    "augmentation": [AbstractAugmentation],
}
"""What the fragments of each folder may be."""

PLACES: dict[type, list[list[str]]] = {
    AbstractDataModule: [["data"]],
    AbstractGame: [["model", "init_args", "game"]],
    AbstractGenerator: [["model", "init_args", "generator"]],
    AbstractCritic: [["model", "init_args", "critic"]],
    AbstractDynamics: [["model", "init_args", "dynamics"]],
    AbstractAugmentation: [["model", "init_args", "augmentation"]],
    AbstractPositionRule: [
        ["model", "init_args", "dynamics", "init_args", player, "position"] for player in ("generators", "critics")
    ],
    AbstractWeightRule: [
        ["model", "init_args", "dynamics", "init_args", player, "weights"] for player in ("generators", "critics")
    ],
}
"""Where a fragment goes in an experiment."""

FRAGMENTS = [path for folder in KINDS for path in sorted((CONFIGS / folder).glob("*.yaml"))]

IN_SHORT = [
    "--trainer.max_steps=3",
    "--trainer.val_check_interval=2",
    "--trainer.accelerator=cpu",
    "--trainer.devices=1",
    "--trainer.strategy=auto",
    "--data.init_args.validation_size=50",
]
CUT = {"batch_size": 8, "validation_size": 30, "num_workers": 0, "held_out_fraction": 0.2}
"""What experiments on images are given instead, where their data have it: the sets of the tests are small."""


def names(paths: list[Path]) -> list[str]:
    return [path.relative_to(CONFIGS).as_posix() for path in paths]


def over(paths: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", paths, ids=names(paths))


def class_of(path: Path) -> type:
    """The class that a fragment names."""
    return class_named(yaml.safe_load(path.read_text())["class_path"])


def class_named(class_path: str) -> type:
    """The class of that name."""
    module, name = class_path.rsplit(".", 1)
    return dict(vars(__import__(module, fromlist=[name])))[name]


def in_short(path: Path) -> list[str]:
    """Words that cut an experiment to three steps, and one on images to narrow networks and few samples."""
    config = yaml.safe_load(path.read_text())
    model, data = config["model"]["init_args"], class_named(config["data"]["class_path"])
    if not issubclass(data, AbstractImageData):
        return IN_SHORT
    known = inspect.signature(data).parameters
    return [
        *IN_SHORT,
        *(f"--data.init_args.{name}={value}" for name, value in CUT.items() if name in known),
        *(f"--model.init_args.{name}=null" for name in ("generator_samples", "critic_samples") if name in model),
        *(f"--model.init_args.{name}.init_args.width=4" for name in ("generator", "critic") if name in model),
    ]


def kind_of(path: Path) -> type:
    """The abstract type that a fragment is to be instantiated as."""
    (kind,) = [kind for kind in KINDS[path.parent.name] if issubclass(class_of(path), kind)]
    return kind


def needs_images(path: Path) -> bool:
    """Whether a fragment is of a network that refuses points of the plane."""
    if not issubclass(class_of(path), AbstractNetwork):
        return False
    try:
        class_of(path)(event_shape=[2])
    except InvalidInputError:
        return True
    return False


def test_every_folder_holds_configurations_and_every_configuration_is_in_a_known_folder():
    folders = {path.parent.relative_to(CONFIGS).as_posix() for path in CONFIGS.rglob("*.yaml")}
    assert folders == {*KINDS, "experiment", "toy"}


@over(sorted(CONFIGS.rglob("*.yaml")))
def test_configuration_begins_with_a_sentence_of_explanation(path):
    first = path.read_text().splitlines()[0]
    assert first.startswith("# ")
    assert len(first) > 15


@over(EXPERIMENTS)
def test_header_of_an_experiment_says_what_is_expected_and_what_it_costs(path):
    header = [line for line in path.read_text().split("\nexperiment:")[0].splitlines() if line.startswith("#")]
    for part, number in (("# Reproduces: ", False), ("# Expected: ", True), ("# Cost: ", True)):
        lines = [line for line in header if line.startswith(part)]
        assert len(lines) == 1, f"{path.name} lacks the line {part!r}"
        assert not number or any(letter.isdigit() for letter in lines[0]), f"{path.name} gives no figure: {lines[0]}"


@over(EXPERIMENTS)
def test_experiment_is_named_after_its_file(path):
    assert yaml.safe_load(path.read_text())["experiment"] == path.stem


@pytest.mark.slow
@over(EXPERIMENTS)
def test_experiment_runs_and_its_saved_configuration_runs_again_to_the_same_end(path, tmp_path):
    first = train(["fit", f"--config={path}", f"--runs_dir={tmp_path}", *in_short(path)]).run_folder
    assert first == tmp_path.resolve() / path.stem / "version_0"
    assert (first / "metrics.jsonl").read_text().count("val/sliced_wasserstein2") == 1
    second = train(["fit", f"--config={first / 'config.yaml'}", "--trainer.callbacks=null", *KEEP]).run_folder
    assert second == first.with_name("version_1")
    ends = [torch.load(run / "checkpoints" / "last.ckpt", weights_only=True) for run in (first, second)]
    assert ends[0]["global_step"] == ends[1]["global_step"] == 3
    assert all(torch.equal(leaf, ends[1]["state_dict"][name]) for name, leaf in ends[0]["state_dict"].items())


KEEP = ["--trainer.callbacks+={class_path: mixnash.lit.callbacks.last_checkpoint.LastCheckpoint}"]
"""The saved configuration is run without pictures, which take longer than its three steps."""


@over(TOYS)
def test_toy_is_named_after_its_file_and_says_what_to_expect(path):
    assert yaml.safe_load(path.read_text())["name"] == path.stem
    header = path.read_text().split("\nname:")[0].splitlines()
    assert all(line.startswith("#") for line in header)
    assert any(line.startswith("# Expect: ") for line in header)


@over(TOYS)
def test_toy_is_solved_for_a_few_steps(path, tmp_path):
    folder = solve(["--config", str(path), "--steps=3", "--record_every=1", "--output", str(tmp_path / "here")])
    assert {one.name for one in folder.iterdir()} == set(FILES)
    lines = json.loads((folder / "table.json").read_text())["rows"]
    assert [one["dynamics"] for one in lines if one["iterate"] == "last"] == list(
        yaml.safe_load(path.read_text())["dynamics"]
    )
    assert all(one["value"] is not None for one in lines)


@over(FRAGMENTS)
def test_fragment_is_one_object_of_the_kind_of_its_folder(path):
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    kind = kind_of(path)
    needs_shape = kind in {AbstractGenerator, AbstractCritic}
    parser.add_subclass_arguments(kind, "it")
    shape = "[1,8,8]" if needs_shape and needs_images(path) else "[2]"
    more = [f"--it.init_args.event_shape={shape}"] if needs_shape else []
    built = parser.instantiate(parser.parse_args([f"--it={path}", *more])).it
    assert type(built) is class_of(path)


@over(FRAGMENTS)
def test_fragment_runs_in_an_experiment(path, tmp_path):
    config = yaml.safe_load(TINY)
    if kind_of(path) is AbstractAugmentation or needs_images(path):
        config["data"] = str(CONFIGS / "data" / "digits.yaml")
    for place in PLACES[kind_of(path)]:
        put(config, place, str(path))
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(config))
    words = ["fit", f"--config={tmp_path / 'tiny.yaml'}", f"--runs_dir={tmp_path}", "--data.init_args.batch_size=16"]
    if "held_out_fraction" in (yaml.safe_load(path.read_text()).get("init_args") or {}):
        words.append("--data.init_args.held_out_fraction=0.2")  # of a tiny set
    cli = train([*words, "--trainer.max_steps=2", "--trainer.limit_val_batches=0"])
    assert cli.trainer.global_step == 2
    assert class_of(path).__name__ in (cli.run_folder / "config.yaml").read_text()


def put(tree: dict[str, Any], place: list[str], value: object) -> None:
    """Set an entry far down."""
    *way, last = place
    for name in way:
        tree = tree[name]
    tree[last] = value


PLAYABLE = [
    *discover(AbstractConstrainedGame, mixnash.core),
    *discover(AbstractAugmentation, mixnash.core),
    *discover(AbstractDynamics, mixnash.core),
    *discover(AbstractPositionRule, mixnash.core),
    *discover(AbstractWeightRule, mixnash.core),
    *discover(AbstractGenerator, mixnash.networks),
    *discover(AbstractCritic, mixnash.networks),
    *discover(AbstractDataModule, mixnash.data),
]


@pytest.mark.parametrize("plugin", PLAYABLE, ids=lambda one: one.__name__)
def test_class_that_can_be_trained_with_has_a_configuration_that_shows_it(plugin):
    assert plugin in {class_of(path) for path in FRAGMENTS}


def test_tiny_experiment_changes_where_it_is_told_to(tmp_path):
    changed = yaml.safe_load(tiny_config(tmp_path, {"model": {"init_args": {"num_critics": 7}}}).read_text())
    assert changed["model"]["init_args"]["num_critics"] == 7
    assert changed["model"]["init_args"]["num_generators"] == 4
