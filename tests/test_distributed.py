"""Several processes train as one does, however they share the work out; a run goes on with another number of them."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from mixnash.cli import train
from training import REPOSITORY, assert_same, largest_difference, tiny_config

LANGEVIN = {
    "class_path": "mixnash.core.rules.preconditioned_langevin.PreconditionedLangevin",
    "init_args": {"step_size": 1e-3, "temperature": 1e-3, "epsilon": 1e-2},
}
WEIGHTS = {"class_path": "mixnash.core.rules.entropic.EntropicMirrorDescent", "init_args": {"step_size": 0.3}}
RULES = {"position": LANGEVIN, "weights": WEIGHTS}
NETWORK = {
    "generator": {"class_path": "mixnash.networks.mlp.MLPGenerator", "init_args": {"width": 8, "depth": 1}},
    "critic": {"class_path": "mixnash.networks.mlp.MLPCritic", "init_args": {"width": 8, "depth": 1}},
}
ADAM = {"class_path": "torch.optim.Adam", "init_args": {"lr": 1e-3, "betas": [0.0, 0.9]}}

MODELS: dict[str, dict[str, Any]] = {
    "MixedGAN": {
        "init_args": {
            "generator_samples": 6,  # 24 generated against 16 real ones, and 8 for the critics
            "critic_samples": 2,
            "dynamics": {"init_args": {"generators": RULES, "critics": RULES}},
        }
    },
    "MixedGAN with packs and sampled players": {
        "init_args": {
            "generator_samples": 8,
            "critic_samples": 4,
            "packing": 2,
            "sampled_generators": 3,
            "sampled_critics": 1,
            "dynamics": {"init_args": {"generators": RULES, "critics": RULES}},
        }
    },
    "WGAN": {
        "class_path": "mixnash.lit.wgan.WGAN",
        "init_args": {
            **NETWORK,
            "generator_optimizer": ADAM,
            "critic_optimizer": ADAM,
            "critic_steps": 2,
            "gradient_penalty": 0.7,
        },
    },
    "MGAN": {
        "class_path": "mixnash.lit.mgan.MGAN",
        "init_args": {
            "num_generators": 3,
            "generator_width": 8,
            "critic_width": 8,
            "generator_optimizer": ADAM,
            "critic_optimizer": ADAM,
            "samples_per_generator": 6,
        },
    },
}


GRID = {  # uneven particles for two columns, an uneven batch for two rows
    "init_args": {
        "num_generators": 5,
        "num_critics": 3,
        "dynamics": {"init_args": {"generators": RULES, "critics": RULES}},
    }
}
PARTICLES = ("--trainer.strategy=particle_parallel",)
MESH = ("--trainer.strategy=mixnash.lit.parallel.strategy.PopulationStrategy", "--trainer.strategy.particle_ranks=2")
DATA = ("--trainer.strategy=data_parallel",)
BY_HAND = (sys.executable,)
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")
CUT = 4
"""Steps after which a checkpoint is written that other numbers of processes go on from."""


def words(folder: Path, model: dict[str, Any], runs: str, *more: str) -> list[str]:
    """A run of eight steps that leaves what each of its processes holds in `folder/runs`."""
    (folder / runs).mkdir()
    keep = f"{{class_path: training.KeepState, init_args: {{folder: {folder / runs}}}}}"
    save = f"{{class_path: training.SaveAt, init_args: {{steps: {CUT}, path: {folder / runs / 'cut.ckpt'}}}}}"
    config = tiny_config(folder, {"model": model, "trainer": {"max_steps": 8, "val_check_interval": 8}})
    callbacks = [f"--trainer.callbacks+={one}" for one in (keep, save)]
    return ["fit", f"--config={config}", f"--runs_dir={folder / runs}", *callbacks, *more]


def train_with(
    processes: int, arguments: list[str], strategy: tuple[str, ...], launcher: tuple[str, ...] = BY_HAND
) -> subprocess.CompletedProcess[str]:
    """`train.py` as a user starts it."""
    paths = [str(REPOSITORY / "tests"), *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.run(
        [*launcher, str(REPOSITORY / "train.py"), *arguments, f"--trainer.devices={processes}", *strategy],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


def held_by(folder: Path, rank: int) -> dict[str, Any]:
    """What one process held at the end."""
    return dict(torch.load(folder / f"rank_{rank}.pt", weights_only=True))


def assert_close_to(alone: Path, other: Path) -> None:
    """All parameters and all that was logged are those of a single process but for rounding."""
    state, found = held_by(alone, 0), held_by(other, 0)
    assert largest_difference(found["state_dict"], state["state_dict"]) < 1e-5
    assert found["mixnash_state"].keys() == state["mixnash_state"].keys()
    expected, logged = numbers_of(alone), numbers_of(other)
    assert any("val/" in name for _, name in expected)
    for name, value in expected.items():
        assert math.isclose(logged[name], value, rel_tol=1e-4, abs_tol=1e-5), name


def numbers_of(folder: Path) -> dict[tuple[int, str], float]:
    """What a run logged, by step and name."""
    lines = (folder / "tiny" / "version_0" / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    return {
        (row["step"], name): row[name] for row in rows for name in row.keys() - {"seconds"} if row[name] is not None
    }


@pytest.mark.filterwarnings("ignore:The dirpath has changed:UserWarning")  # as it should: another run goes on
@pytest.mark.distributed
@pytest.mark.slow
def test_grid_of_four_processes_trains_as_one_and_goes_on_with_one_or_two(tmp_path):
    odd = "--data.init_args.batch_size=15"
    train(words(tmp_path, GRID, "one", odd))
    done = train_with(4, words(tmp_path, GRID, "four", odd), MESH)
    assert done.returncode == 0, done.stderr
    assert_close_to(tmp_path / "one", tmp_path / "four")
    states = [held_by(tmp_path / "four", rank)["state_dict"] for rank in range(4)]
    for name in ("generators.log_weights", "critics.log_weights"):  # everyone's, of all particles
        assert all(torch.equal(state[name], states[0][name]) for state in states)
    assert [len(state["critics.layers/0/bias"]) for state in states] == [3, 1, 2, 1]
    cut = f"--ckpt_path={tmp_path / 'four' / 'cut.ckpt'}"
    train(words(tmp_path, GRID, "one after four", odd, cut))
    assert_goes_on(tmp_path / "one", tmp_path / "one after four")
    done = train_with(2, words(tmp_path, GRID, "two after four", odd, cut), PARTICLES, TORCHRUN)
    assert done.returncode == 0, done.stderr
    assert_goes_on(tmp_path / "one", tmp_path / "two after four")
    assert [path.name for path in (tmp_path / "two after four" / "tiny").iterdir()] == ["version_0"]


def assert_goes_on(straight: Path, resumed: Path) -> None:
    """A resumed run ends where the one without interruption does."""
    state, found = held_by(straight, 0)["state_dict"], held_by(resumed, 0)["state_dict"]
    assert largest_difference(found, state) < 1e-5
    expected, logged = numbers_of(straight), numbers_of(resumed)
    assert min(step for step, _ in logged) > CUT
    assert all(math.isclose(value, expected[name], rel_tol=1e-4, abs_tol=1e-5) for name, value in logged.items())


@pytest.mark.filterwarnings("ignore:The dirpath has changed:UserWarning")  # as it should: another run goes on
@pytest.mark.distributed
@pytest.mark.slow
def test_two_processes_of_a_wgan_with_a_batch_of_15_train_like_one_and_one_goes_on(tmp_path):
    odd, model = "--data.init_args.batch_size=15", MODELS["WGAN"]
    train(words(tmp_path, model, "one", odd))
    done = train_with(2, words(tmp_path, model, "two", odd), DATA)
    assert done.returncode == 0, done.stderr
    first, second = held_by(tmp_path / "two", 0), held_by(tmp_path / "two", 1)
    assert_same(first, second)
    alone = held_by(tmp_path / "one", 0)
    assert largest_difference(first["state_dict"], alone["state_dict"]) < 1e-5
    cut = f"--ckpt_path={tmp_path / 'two' / 'cut.ckpt'}"
    train(words(tmp_path, model, "one after two", odd, cut))
    assert_goes_on(tmp_path / "one", tmp_path / "one after two")


@pytest.mark.distributed
@pytest.mark.slow
@pytest.mark.parametrize("model", ["MixedGAN with packs and sampled players", "MGAN"])
def test_two_processes_of_lightnings_ddp_end_equal_and_within_1e_5_of_one_process(model, tmp_path):
    train(words(tmp_path, MODELS[model], "one"))
    done = train_with(2, words(tmp_path, MODELS[model], "two"), ("--trainer.strategy=ddp",))
    assert done.returncode == 0, done.stderr
    first, second = held_by(tmp_path / "two", 0), held_by(tmp_path / "two", 1)
    assert_same(first, second)
    alone = held_by(tmp_path / "one", 0)
    assert largest_difference(first["state_dict"], alone["state_dict"]) < 1e-5
    assert [path.name for path in (tmp_path / "two" / "tiny").iterdir()] == ["version_0"]
    assert "Warning" not in done.stderr


@pytest.mark.distributed
@pytest.mark.slow
def test_what_two_processes_cannot_share_is_refused_in_one_sentence(tmp_path):
    alone = "--model.init_args.num_critics=1"
    done = train_with(2, words(tmp_path, MODELS["MixedGAN"], "two", alone), PARTICLES)
    assert done.returncode == 2, done.stderr
    sentence = (
        "2 processes cannot share out 4 generators and 1 critics: each needs one of both. Give particle_ranks a "
        "smaller number (see docs/scaling.md), use --trainer.strategy data_parallel, or raise num_generators or "
        "num_critics."
    )
    assert done.stderr.count(f"error: {sentence}\n") == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "two" / "tiny").iterdir())
