"""Two processes train as one does: equal to each other bit for bit, and to a single process but for rounding."""

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


def words(folder: Path, model: dict[str, Any], runs: str, *more: str) -> list[str]:
    """A run of eight steps that leaves what each of its processes holds in `folder/runs`."""
    (folder / runs).mkdir()
    keep = f"{{class_path: training.KeepState, init_args: {{folder: {folder / runs}}}}}"
    config = tiny_config(folder, {"model": model, "trainer": {"max_steps": 8, "val_check_interval": 4}})
    return ["fit", f"--config={config}", f"--runs_dir={folder / runs}", f"--trainer.callbacks+={keep}", *more]


def train_with_two_processes(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """`train.py` as a user starts it."""
    paths = [str(REPOSITORY / "tests"), *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.run(
        [sys.executable, str(REPOSITORY / "train.py"), *arguments, "--trainer.devices=2", "--trainer.strategy=ddp"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def held_by(folder: Path, rank: int) -> dict[str, Any]:
    """What one process held at the end."""
    return dict(torch.load(folder / f"rank_{rank}.pt", weights_only=True))


@pytest.mark.distributed
@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS.values(), ids=list(MODELS))
def test_two_processes_end_equal_and_within_1e_5_of_one_process(model, tmp_path):
    train(words(tmp_path, model, "one"))
    done = train_with_two_processes(words(tmp_path, model, "two"))
    assert done.returncode == 0, done.stderr
    first, second = held_by(tmp_path / "two", 0), held_by(tmp_path / "two", 1)
    assert_same(first, second)
    alone = held_by(tmp_path / "one", 0)
    assert largest_difference(first["state_dict"], alone["state_dict"]) < 1e-5
    assert [path.name for path in (tmp_path / "two" / "tiny").iterdir()] == ["version_0"]
    assert "Warning" not in done.stderr


@pytest.mark.distributed
@pytest.mark.slow
@pytest.mark.parametrize("model", ["MixedGAN", "WGAN"])
def test_two_processes_with_a_batch_of_15_train_like_one(model, tmp_path):
    odd = "--data.init_args.batch_size=15"
    more = ["--model.init_args.critic_samples=3"] if model == "MixedGAN" else []
    train(words(tmp_path, MODELS[model], "one", odd, *more))
    done = train_with_two_processes(words(tmp_path, MODELS[model], "two", odd, *more))
    assert done.returncode == 0, done.stderr
    first, second = held_by(tmp_path / "two", 0), held_by(tmp_path / "two", 1)
    assert_same(first, second)
    alone = held_by(tmp_path / "one", 0)
    assert largest_difference(first["state_dict"], alone["state_dict"]) < 1e-5


@pytest.mark.distributed
@pytest.mark.slow
def test_batch_that_two_processes_cannot_share_is_refused_in_one_sentence(tmp_path):
    done = train_with_two_processes(words(tmp_path, MODELS["MGAN"], "two", "--data.init_args.batch_size=15"))
    assert done.returncode == 2
    sentence = "error: 2 processes cannot share a batch of 15 samples equally: choose a multiple of 2 as batch_size.\n"
    assert done.stderr.count(sentence) == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "two" / "tiny").iterdir())
