"""Trainings by plan: their marks, counts and files, and what the comparisons make of them."""

import itertools
import math

import numpy as np
import pytest
import torch

from mixnash.cli import train as train_cli
from mixnash.core.errors import InvalidInputError
from mixnash.reproduction import experiments, gaussians25_budget, training, workers
from mixnash.reproduction.ablation import FACTORS
from mixnash.reproduction.experiments import Experiment, read_experiment
from mixnash.reproduction.gaussians25_budget import METHODS, headline_ratio, median_seconds, score, seconds_to_modes
from mixnash.reproduction.plan import Mark, Plan, Points, Trained, Unit, check_plan, geometric
from mixnash.reproduction.shelf import read_trained, write_trained
from mixnash.reproduction.workers import train_all
from training import tiny_config


def plan_of(key="one", **changes):
    return Plan(key, "tiny", (), 7, Unit.STEPS, (1.0, 3.0))._replace(**changes)


class Ready(Experiment):  # type: ignore[misc]
    """An experiment that is built already."""

    def __init__(self, built):
        self.build = lambda: built


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """The only experiment: 4 generators against 2 critics, batches of 16, 2 critic steps, gradient penalty."""
    path = tiny_config(tmp_path)
    monkeypatch.setattr(experiments, "experiment_file", lambda name: path)
    return path


def test_a_training_starts_and_goes_as_that_of_the_command(tiny, tmp_path):
    words = ["--seed_everything=7", "--trainer.callbacks=null", f"--runs_dir={tmp_path}"]
    keep = ["--trainer.callbacks+={class_path: mixnash.lit.callbacks.last_checkpoint.LastCheckpoint}"]
    folder = train_cli(["fit", f"--config={tiny}", *words, *keep]).run_folder
    expected = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    built = read_experiment("tiny", 7, ()).build()
    training.train(plan_of(), Ready(built))
    found = built.module.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(leaf, expected[name]) for name, leaf in found.items())


def test_gradient_evaluations_are_those_of_the_definition(tiny):
    recorded = training.train(plan_of(), read_experiment("tiny", 7, ()))
    # K = 4, L = 2, B = 16, b = 4: critics 2 x (L (B + K b) + L K b), generators K b + L (B + K b).
    assert [mark.gradient_evaluations for mark in recorded.marks] == [272, 3 * 272]
    assert recorded.failure is None


def test_words_change_the_experiment_and_the_fingerprint(tiny):
    plain, other = (read_experiment("tiny", 7, words) for words in ((), ("--model.init_args.num_generators=2",)))
    assert len(plain.build().module.generators.log_weights) == 4
    assert len(other.build().module.generators.log_weights) == 2
    plan = plan_of()
    assert plan.fingerprint(plain.resolved) != plan.fingerprint(other.resolved)
    assert plan.fingerprint(plain.resolved) != plan._replace(marks=(1.0, 4.0)).fingerprint(plain.resolved)
    assert plan.fingerprint(plain.resolved) == plan.fingerprint(read_experiment("tiny", 7, ()).resolved)


def test_seconds_end_a_training_and_points_are_kept_at_their_marks(tiny):
    plan = plan_of(unit=Unit.SECONDS, marks=(0.01, 0.05), pictures=(0.05,))
    recorded = training.train(plan, read_experiment("tiny", 7, ()))
    assert recorded.marks[-1].planned == 0.05
    assert 0.05 <= recorded.marks[-1].seconds < 5
    assert recorded.points.keys() == {0.05}
    assert recorded.points[0.05].values.shape == (1500, 2)


def test_a_training_that_stops_being_finite_is_a_result(tiny):
    words = ("--model.init_args.dynamics.init_args.generators.position.init_args.step_size=1e30",)
    recorded = training.train(plan_of(overrides=words), read_experiment("tiny", 7, words))
    assert "became non-finite at step" in recorded.failure
    assert math.isnan(recorded.last("modes"))


def test_a_finished_training_is_read_back_and_another_plan_is_trained_anew(tiny, tmp_path, monkeypatch):
    folder, told = tmp_path / "trainings", []
    first = train_all({"a": [plan_of()], "b": []}, folder, told.append, workers=0)
    assert told == ["a", "b"]
    assert first["b"] == []
    monkeypatch.setattr(workers, "train", lambda *_: pytest.fail("trained again"))
    again = train_all({"a": [plan_of()]}, folder, told.append, workers=0)
    assert again["a"][0].marks == first["a"][0].marks
    monkeypatch.setattr(workers, "train", lambda *_: first["a"][0]._replace(failure="another"))
    assert train_all({"a": [plan_of(seed=8)]}, folder, told.append, workers=0)["a"][0].failure == "another"


def test_plans_are_refused_before_anything_is_trained(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "train", lambda *_: pytest.fail("trained"))
    with pytest.raises(InvalidInputError, match="found twice: one"):
        train_all({"a": [plan_of(), plan_of()]}, tmp_path, print, workers=0)
    with pytest.raises(InvalidInputError, match="positive, increasing marks"):
        train_all({"a": [plan_of(), plan_of("two", marks=(3.0, 1.0))]}, tmp_path, print, workers=0)
    with pytest.raises(InvalidInputError, match="keeps samples at its marks only"):
        check_plan(plan_of(pictures=(2.0,)))
    with pytest.raises(InvalidInputError, match="The experiment 'tiny' cannot be read: "):
        train_all({"a": [plan_of(overrides=("--model.init_args.no_such=1",))]}, tmp_path, print, workers=0)


def test_an_experiment_that_does_not_exist_is_named():
    with pytest.raises(InvalidInputError, match="There is no experiment 'nothing'"):
        read_experiment("nothing", 0, ())


def test_files_keep_everything_and_torn_ones_do_not_count(tmp_path):
    points = {2.0: Points(np.ones((3, 2), dtype=np.float32), np.zeros(3, dtype=np.int64))}
    mark = Mark(2.0, 2, 10, 0.5, {"modes": 1.0, "reverse_kl": math.nan})
    trained = Trained((mark,), {"generators": 3, "critics": 4}, None, {"lower_bound": 0.5}, points)
    write_trained(tmp_path, "key", "print", trained)
    found = read_trained(tmp_path, "key", "print")
    assert found.marks[0]._replace(scores={}) == mark._replace(scores={})
    assert math.isnan(found.marks[0].scores["reverse_kl"])
    assert found.gap == {"lower_bound": 0.5}
    assert np.array_equal(found.points[2.0].values, points[2.0].values)
    assert read_trained(tmp_path, "key", "another") is None
    (tmp_path / "key.npz").write_bytes(b"torn")
    assert read_trained(tmp_path, "key", "print") is None


# ---------------------------------------------------------------------- comparisons


def trained_of(*looks, failure=None):
    """(seconds, modes, high quality) of every look."""
    marks = tuple(
        Mark(time, 1, round(100 * time), time, {"modes": float(modes), "high_quality": quality, "reverse_kl": 0.1})
        for time, modes, quality in looks
    )
    return Trained(marks, {"generators": 10, "critics": 2}, failure, None, {})


QUICK = trained_of((1.0, 20, 0.5), (2.0, 25, 0.95), (30.0, 24, 0.95))
NEVER = trained_of((1.0, 20, 0.95), (30.0, 25, 0.89))


def test_the_time_to_all_modes_is_that_of_the_first_look_with_both():
    assert seconds_to_modes(QUICK) == 2.0
    assert seconds_to_modes(NEVER) == math.inf
    assert median_seconds([QUICK, QUICK, NEVER]) == 2.0
    assert median_seconds([QUICK, NEVER]) == math.inf


def test_a_score_is_that_of_the_last_look_before_and_nothing_is_generated_after_a_failure():
    assert score(QUICK, QUICK.reached(29.0), "modes") == 25
    assert score(QUICK, QUICK.within(150), "modes") == 20
    assert score(QUICK, QUICK.reached(0.5), "modes") == 0
    broken = QUICK._replace(failure="NaN")
    assert score(broken, broken.reached(40.0), "modes") == 0
    assert score(broken, broken.reached(2.0), "modes") == 25


def test_the_headline_is_a_lower_bound_where_no_single_network_gets_there():
    bound = headline_ratio({"25 generators": [QUICK], "GAN": [NEVER]})
    assert (bound.ratio, bound.lower_bound) == (15.0, True)
    both = headline_ratio({"25 generators": [QUICK], "GAN": [trained_of((8.0, 25, 0.9))]})
    assert (both.ratio, both.lower_bound) == (4.0, False)
    assert headline_ratio({"25 generators": [NEVER], "GAN": [QUICK]}).ratio is None


def test_equal_evaluations_are_those_of_the_slowest_that_did_not_fail():
    done = {"25 generators": [QUICK], "GAN": [trained_of((8.0, 25, 0.9)), trained_of((1.0, 1, 0.1), failure="NaN")]}
    assert gaussians25_budget.equal_evaluations(done) == 800


def test_marks_are_geometric_and_end_where_they_should():
    marks = geometric(0.5, 45.0, 46)
    assert (marks[0], marks[-1], len(marks)) == (0.5, 45.0, 46)
    assert max(b / a for a, b in itertools.pairwise(marks)) < 1.13


def test_all_methods_are_there_and_every_factor_of_the_base_has_one_base_setting():
    assert len(METHODS) == len({one.experiment for one in METHODS.values()}) == 21
    bases = {name: sum(one.base for one in levels.values()) for name, levels in FACTORS.items()}
    assert list(bases.values()) == [1, 1, 1, 1, 0, 0, 0]
