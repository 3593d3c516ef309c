"""Gradient norms of particles, against sums by hand."""

import json
import math

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mixnash.core.feedback import feedback
from mixnash.core.types import Feedback, Player, Point
from mixnash.lit.gradient_norms import draw_norms, gradient_norms, norm_metrics, particle_norms
from mixnash.lit.jsonl_logger import JsonLinesLogger
from mixnash.lit.tensorboard import StepTensorBoardLogger
from training import adam_dynamics, make_trainer, mixed_gan, ring

GRADS = {"weight": torch.tensor([[[1.0], [-2.0]], [[2.0], [3.0]], [[0.5], [0.5]]]), "bias": torch.tensor([2.0, -6, 0])}
NORMS = [3.0, 7.0, math.sqrt(0.5)]


def seen(generators, critics):
    return Feedback(torch.zeros(3, 2), torch.zeros(3), torch.zeros(2), generators, critics)


def test_norm_is_over_all_leaves_of_a_particle_and_no_other():
    assert particle_norms(GRADS).tolist() == pytest.approx(NORMS, rel=1e-6)


def test_norms_of_half_precision_do_not_overflow_and_double_precision_is_kept():
    half = {"a": torch.tensor([[3e3, 4e3]], dtype=torch.float16), "b": torch.tensor([[0.0]], dtype=torch.float16)}
    assert particle_norms(half).tolist() == [5e3]
    exact = particle_norms({name: leaf.double() / 3 for name, leaf in GRADS.items()})
    assert exact.dtype == torch.float64
    assert exact.tolist() == pytest.approx([norm / 3 for norm in NORMS], rel=1e-14)


def test_players_whose_gradients_are_not_of_their_particles_are_left_out():
    two = {name: leaf[:2] for name, leaf in GRADS.items()}
    both = gradient_norms(seen(GRADS, two), Point(GRADS, two))
    assert both[Player.GENERATOR].tolist() == pytest.approx(NORMS)
    assert both[Player.CRITIC].tolist() == pytest.approx(NORMS[:2])
    assert list(gradient_norms(seen(GRADS, None), Point(GRADS, two))) == [Player.GENERATOR]
    assert list(gradient_norms(seen(GRADS, two), Point(two, two))) == [Player.CRITIC]  # a population that grew


def test_metrics_tell_least_mean_and_most_and_each_of_a_few_particles():
    found = norm_metrics({Player.CRITIC: torch.tensor([3.0, 7.0, 0.5])})
    assert {name: float(value) for name, value in found.items()} == {
        "gradients/critics_min": 0.5,
        "gradients/critics_mean": 3.5,
        "gradients/critics_max": 7.0,
        "gradients/critic_0": 3.0,
        "gradients/critic_1": 7.0,
        "gradients/critic_2": 0.5,
    }
    assert len(norm_metrics({Player.GENERATOR: torch.ones(16)})) == 19
    many = norm_metrics({Player.GENERATOR: torch.arange(17.0)})
    assert list(many) == [f"gradients/generators_{name}" for name in ("min", "mean", "max")]
    assert float(many["gradients/generators_mean"]) == 8.0


def histograms(folder, tag):
    events = EventAccumulator(str(folder), size_guidance={"histograms": 0})
    events.Reload()
    return events.Histograms(tag) if tag in events.Tags()["histograms"] else []


def test_histograms_hold_the_norms_that_are_numbers(tmp_path):
    loggers = [JsonLinesLogger(tmp_path), StepTensorBoardLogger(tmp_path)]
    norms = {
        Player.GENERATOR: torch.tensor([1.0, torch.inf, 2.5, torch.nan]),
        Player.CRITIC: torch.tensor([torch.nan]),
    }
    draw_norms(norms, loggers, 7)
    loggers[1].experiment.flush()
    (found,) = histograms(tmp_path, "gradients/generators")
    assert (found.step, found.histogram_value.num, found.histogram_value.sum) == (7, 2, 3.5)
    assert histograms(tmp_path, "gradients/critics") == []


def test_run_logs_the_norms_of_the_gradients_that_its_step_returned(tmp_path):
    module, answers = mixed_gan(adam_dynamics()), []

    def watched(*args):
        answers.append(feedback(*args))
        return answers[-1]

    module.evaluate = watched
    loggers = [JsonLinesLogger(tmp_path), StepTensorBoardLogger(tmp_path)]
    make_trainer(tmp_path, 1, loggers=loggers, log_every=1).fit(module, datamodule=ring())
    (line,) = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    for name, count in (("generator", 3), ("critic", 2)):
        (grads,) = [found for one in answers if (found := getattr(one, f"{name}_grads")) is not None]
        for index in range(count):
            squares = sum(float(leaf[index].double().square().sum()) for leaf in grads.values())
            assert line[f"gradients/{name}_{index}"] == pytest.approx(math.sqrt(squares), rel=1e-5)
        (drawn,) = histograms(tmp_path, f"gradients/{name}s")
        assert drawn.histogram_value.num == count
