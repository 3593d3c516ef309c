"""A run that stops being finite goes back to its newest checkpoint with halved step sizes, as often as it may."""

import json

import pytest
import torch
import yaml

from faults import finished
from mixnash.cli import main
from mixnash.core.errors import InvalidInputError
from mixnash.core.schedules import Constant, Cosine, Scaled
from mixnash.lit.rollback import SCALED, with_smaller_steps
from training import tiny_config

ADAM = "mixnash.core.rules.adam.Adam"
COSINE = {"class_path": "mixnash.core.schedules.Cosine", "init_args": {"start": 1e-3, "end": 1e-4, "steps": 9}}


def test_scaled_schedule_is_the_other_one_times_its_factor():
    cosine = Cosine(0.4, 0.1, 10)
    scaled = Scaled(cosine, 0.25)
    assert [scaled(step) for step in (0, 5, 30)] == [0.25 * cosine(step) for step in (0, 5, 30)]
    assert scaled.bounds() == (0.25 * 0.1, 0.25 * 0.4)
    assert Scaled(0.3, 2.0)(7) == Scaled(Constant(0.3), 2.0)(7) == 0.6


@pytest.mark.parametrize("factor", [0.0, -1.0, float("inf"), float("nan")])
def test_scaled_schedule_refuses_a_factor_that_is_none(factor):
    with pytest.raises(InvalidInputError, match="factor of a scaled schedule must be positive and finite"):
        Scaled(1.0, factor)


def test_every_kind_of_step_size_is_halved_and_nothing_else():
    model = {
        "num_generators": 4,
        "generator_optimizer": {"class_path": "torch.optim.Adam", "init_args": {"lr": 0.2, "betas": [0.5, 0.9]}},
        "dynamics": {
            "class_path": "mixnash.core.dynamics.lookahead.Lookahead",
            "init_args": {
                "interpolation": 0.5,
                "base": {
                    "step_size": 0.4,
                    "generators": {"position": {"init_args": {"step_size": COSINE, "beta2": 0.9}}},
                    "critics": {"weights": {"init_args": {"step_size": 3, "entropy": 0.1}}},
                },
            },
        },
    }
    new = with_smaller_steps(model, 0.5)
    base = new["dynamics"]["init_args"]["base"]
    scaled = base["generators"]["position"]["init_args"]["step_size"]
    assert new["generator_optimizer"]["init_args"] == {"lr": 0.1, "betas": [0.5, 0.9]}
    assert base["step_size"] == 0.2
    assert scaled == {"class_path": SCALED, "init_args": {"schedule": COSINE, "factor": 0.5}}
    assert base["critics"]["weights"]["init_args"] == {"step_size": 1.5, "entropy": 0.1}
    assert (new["num_generators"], new["dynamics"]["init_args"]["interpolation"]) == (4, 0.5)
    again = with_smaller_steps(new, 0.5)["dynamics"]["init_args"]["base"]
    assert again["generators"]["position"]["init_args"]["step_size"]["init_args"]["factor"] == 0.25
    assert model["dynamics"]["init_args"]["base"]["step_size"] == 0.4  # the given one stays


def started(folder, *more, above=0.0, steps=8, step=5):
    """A run of eight steps that is spoilt before its step number 5 while its generators' step size is above a limit."""
    adam = {
        "class_path": ADAM,
        "init_args": {"step_size": COSINE | {"init_args": {"start": 8e-3, "end": 8e-3, "steps": 9}}},
    }
    changes = {
        "model": {"init_args": {"dynamics": {"init_args": {"generators": {"position": adam}}}}},
        "trainer": {"max_steps": steps, "val_check_interval": 4},
    }
    spoil = json.dumps({"class_path": "faults.SpoilAt", "init_args": {"step": step, "above": above}})
    config = tiny_config(folder, changes)
    return ["fit", f"--config={config}", f"--runs_dir={folder / 'runs'}", f"--trainer.callbacks+={spoil}", *more]


def saved(folder):
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)


def failure(words, capsys):
    """Exit code and lines on stderr of a run in this process."""
    with pytest.raises(SystemExit) as caught:
        main(words)
    return caught.value.code, capsys.readouterr().err.strip().splitlines()


def test_run_goes_back_twice_halves_its_steps_and_finishes(tmp_path, capsys):
    main(started(tmp_path, "--rollbacks=3", above=2.5e-3))
    folder = tmp_path / "runs" / "tiny" / "version_0"
    assert saved(folder)["global_step"] == 8
    first, second = capsys.readouterr().err.strip().splitlines()
    began = "The loss of generator 0 became non-finite at step 5. Back to step 4, with all step sizes"
    assert first == f"{began} 0.5 times those at the beginning (rollbacks left: 2)."
    assert second == f"{began} 0.25 times those at the beginning (rollbacks left: 1)."
    assert (folder / "rollbacks.log").read_text().splitlines() == [first, second]
    config = yaml.safe_load((folder / "config.yaml").read_text())
    arguments = config["model"]["init_args"]["dynamics"]["init_args"]["generators"]
    assert arguments["position"]["init_args"]["step_size"]["init_args"]["factor"] == 0.25
    assert arguments["weights"]["init_args"]["step_size"] == pytest.approx(0.025)
    assert config["rollbacks"] == 1
    kept = yaml.safe_load((folder / "config_before_rollback_1.yaml").read_text())
    assert kept["rollbacks"] == 3
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    sizes = {line["step"]: line["rules/generators/step_size"] for line in lines if "rules/generators/step_size" in line}
    assert sizes[4] == pytest.approx(8e-3)
    assert sizes[6] == pytest.approx(2e-3)


def test_run_that_may_not_go_back_stops_and_keeps_what_was_finite(tmp_path, capsys):
    code, (line,) = failure(started(tmp_path), capsys)
    assert code == 3
    assert line.startswith("error: The loss of generator 0 became non-finite at step 5. ")
    assert "--rollbacks N" in line
    folder = tmp_path / "runs" / "tiny" / "version_0"
    for path in (folder / "checkpoints").glob("*.ckpt"):
        found = torch.load(path, weights_only=True)
        assert found["global_step"] == 4
        assert all(tensor.isfinite().all() for tensor in found["state_dict"].values())


def test_run_without_a_checkpoint_cannot_go_back(tmp_path, capsys):
    code, (line,) = failure(started(tmp_path, "--rollbacks=2", step=1), capsys)
    assert code == 3
    assert line.startswith("error: The loss of generator 0 became non-finite at step 1. The run cannot go back: ")


def test_rollbacks_cannot_be_negative(tmp_path, capsys):
    code, (line,) = failure(started(tmp_path, "--rollbacks=-1"), capsys)
    assert (code, line) == (2, "error: rollbacks must be at least 0, found -1.")


def test_step_sizes_of_torchs_optimisers_come_from_the_configuration_when_a_run_is_resumed(tmp_path):
    network = {"init_args": {"width": 8, "depth": 1}}
    adam = {"class_path": "torch.optim.Adam", "init_args": {"lr": 1e-3}}
    model = {
        "class_path": "mixnash.lit.wgan.WGAN",
        "init_args": {
            "generator": {"class_path": "mixnash.networks.mlp.MLPGenerator", **network},
            "critic": {"class_path": "mixnash.networks.mlp.MLPCritic", **network},
            "generator_optimizer": adam,
            "critic_optimizer": adam,
            "gradient_penalty": 0.1,
        },
    }
    main(["fit", f"--config={tiny_config(tmp_path, {'model': model})}", f"--runs_dir={tmp_path / 'runs'}"])
    folder = tmp_path / "runs" / "tiny" / "version_0"
    main(["fit", "--resume", str(folder), "--model.generator_optimizer.init_args.lr=5e-4", "--trainer.max_steps=4"])
    rates = [one["param_groups"][0]["lr"] for one in saved(folder)["optimizer_states"]]
    assert rates == [5e-4, 1e-3]


@pytest.mark.distributed
@pytest.mark.slow
def test_two_processes_go_back_together_and_finish(tmp_path):
    done = finished(*started(tmp_path, "--rollbacks=1", above=5e-3), processes=2)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("Back to step 4") == 1, done.stderr
    folder = tmp_path / "runs" / "tiny" / "version_0"
    assert saved(folder)["global_step"] == 8
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    sizes = {line["step"]: line["rules/generators/step_size"] for line in lines if "rules/generators/step_size" in line}
    assert (sizes[4], sizes[8]) == (pytest.approx(8e-3), pytest.approx(4e-3))
