"""Comparisons on images, made of trainings written by hand: what is planned, counted, drawn and concluded."""

import json
from types import MappingProxyType

import numpy as np
import pytest

from mixnash.reproduction import image_comparison
from mixnash.reproduction.base import Check
from mixnash.reproduction.cifar10_mixture import CIFAR10Mixture
from mixnash.reproduction.image_comparison import AbstractImageComparison, Entrant, last
from mixnash.reproduction.mnist_mixture import MNISTMixture
from mixnash.reproduction.plan import Mark, Plan, Points, Trained, Unit
from mixnash.reproduction.report import write_findings
from mixnash.reproduction.stacked_mnist import StackedMNISTModes

NAN = float("nan")


class Duel(AbstractImageComparison):  # type: ignore[misc]
    """Two sides, one score."""

    summary = "a duel"
    entrants = MappingProxyType(
        {
            "Four, small": Entrant("mnist_mixed", ("--a=1",), Unit.SECONDS, (2.5, 7.5), 2, 123),
            "one": Entrant("mnist_mixed", ("--a=2",), Unit.STEPS, (3.0,), 1),
        }
    )
    scored = MappingProxyType({"fd": "distance"})
    short_words = ("--b=3",)

    def checks(self, done):
        return [Check(name, "", f"{last(found, 'fd'):.2f}", True) for name, found in done.items()]


def trained(*scores, failure=None, generators=100, seconds=60.0, pictures=True):
    """A training with these scores at its marks, the last one after so many seconds."""
    looks = [(index + 1) / len(scores) for index in range(len(scores))]
    marks = tuple(
        Mark(10.0 * look, round(100 * look), 0, seconds * look, score)
        for look, score in zip(looks, scores, strict=True)
    )
    values = np.random.default_rng(0).uniform(-1, 1, (30, 1, 8, 8)).astype(np.float32)
    points = {10.0: Points(values, np.arange(30) % 3)} if pictures else {}
    return Trained(marks, {"generators": generators, "critics": 7}, failure, None, points)


def run(monkeypatch, done, short=False, folder=None):
    """Run the duel with trainings that are done; what it found and what it planned."""
    asked = {}

    def hand_over(groups, folder, advance, workers):
        asked.update(groups, folder=folder, workers=workers)
        return dict(zip(groups, done, strict=True))

    monkeypatch.setattr(image_comparison, "train_all", hand_over)
    return Duel().run(lambda name: None, short, folder), asked


TWO_SEEDS = (
    [trained({"fd": 8.0}, {"fd": 3.0}), trained({"fd": 6.0}, {"fd": 5.0})],
    [trained({"fd": 4.5})],
)


def test_every_seed_is_a_training_of_its_own_and_samples_are_kept_at_the_last_mark(monkeypatch, tmp_path):
    _, asked = run(monkeypatch, TWO_SEEDS, folder=tmp_path)
    assert asked["folder"] == tmp_path / "trainings"
    assert asked["workers"] == 2
    assert asked["Four, small"] == [
        Plan(
            f"four--small-{seed}",
            "mnist_mixed",
            ("--a=1",),
            seed,
            Unit.SECONDS,
            (2.5, 7.5),
            (7.5,),
            samples=123,
        )
        for seed in (0, 1)
    ]
    assert [plan.key for plan in asked["one"]] == ["one-0"]


def test_short_runs_are_two_steps_of_one_seed_with_the_words_that_make_them_small(monkeypatch, tmp_path):
    _, asked = run(monkeypatch, TWO_SEEDS, short=True, folder=tmp_path)
    assert asked["folder"] == tmp_path / "short"
    assert asked["workers"] == 0
    (plan,) = asked["Four, small"]
    assert plan == Plan(
        "four--small-0", "mnist_mixed", ("--a=1", "--b=3"), 0, Unit.STEPS, (1.0, 2.0), (2.0,), samples=60
    )


def test_numbers_are_means_and_deviations_over_seeds_and_every_look(monkeypatch, tmp_path):
    found, _ = run(monkeypatch, TWO_SEEDS, folder=tmp_path)
    several, one = found.numbers["Four, small"], found.numbers["one"]
    assert several["parameters"] == {"generators": 100, "critics": 7}
    assert several["last"] == {"fd": {"mean": 4.0, "sd": pytest.approx(2**0.5), "seeds": [3.0, 5.0]}}
    assert several["marks"] == [
        [{"steps": 50, "seconds": 30.0, "fd": 8.0}, {"steps": 100, "seconds": 60.0, "fd": 3.0}],
        [{"steps": 50, "seconds": 30.0, "fd": 6.0}, {"steps": 100, "seconds": 60.0, "fd": 5.0}],
    ]
    assert one["last"] == {"fd": {"mean": 4.5, "sd": None, "seeds": [4.5]}}
    assert [check.measured for check in found.checks] == ["4.00", "4.50"]


def test_curves_are_over_time_and_updates_and_bands_hold_all_seeds(monkeypatch, tmp_path):
    found, _ = run(monkeypatch, TWO_SEEDS, folder=tmp_path)
    assert set(found.figures) == {"fd-seconds", "fd-steps", "samples-four--small", "samples-one"}
    (axes,) = found.figures["fd-steps"].axes
    curve = next(line for line in axes.lines if len(line.get_xdata()) == 2)
    assert list(curve.get_xdata()) == [50.0, 100.0]
    assert list(curve.get_ydata()) == [7.0, 4.0]
    (band,) = axes.collections
    ends = band.get_paths()[0].vertices[:, 1]
    assert (ends.min(), ends.max()) == (3.0, 8.0)


def test_what_failed_or_is_not_finite_is_written_as_such(monkeypatch, tmp_path):
    failed = trained({"fd": 8.0}, failure="the loss is NaN", pictures=False)
    done = ([failed, trained({"fd": NAN}, {"fd": 5.0})], [trained({"fd": float("inf")}, pictures=False)])
    found, _ = run(monkeypatch, done, folder=tmp_path)
    several, one = found.numbers["Four, small"], found.numbers["one"]
    assert several["failures"] == ["the loss is NaN"]
    assert several["marks"][1][0]["fd"] is None
    assert one["last"] == {"fd": {"mean": None, "sd": None, "seeds": [None]}}
    assert "samples-four--small" in found.figures  # those of the seed that did not fail
    assert "samples-one" not in found.figures
    result = json.loads((write_findings(tmp_path, "duel", found, 1.0, True) / "result.json").read_text())
    assert result["checks"][0]["measured"] == "nan"


def test_deviations_that_are_not_finite_are_written_as_such(monkeypatch, tmp_path):
    found, _ = run(monkeypatch, ([trained({"fd": NAN}), trained({"fd": 1.0})], [trained({"fd": 1.0})]), folder=tmp_path)
    assert found.numbers["Four, small"]["last"] == {"fd": {"mean": None, "sd": None, "seeds": [None, 1.0]}}


# ---------------------------------------------------------------------- checks


def agreements(comparison, *done):
    """Whether each check agrees, in order."""
    return [check.agrees for check in comparison.checks(dict(zip(comparison.entrants, done, strict=True)))]


def modes(count, divergence, **more):
    return [trained({"stacked_modes": float(count), "stacked_kl_uniform": divergence}, **more)]


@pytest.mark.parametrize(
    ("mixture", "small", "single", "answers"),
    [
        (modes(1000, 0.09), modes(668, 1.0, generators=95), modes(667, 1.1), [True] * 6),
        (modes(999, 0.11, seconds=3661.0), modes(667, 1.1, generators=80), modes(668, 1.0), [False] * 6),
        (modes(1000, 0.1, seconds=3600.0), modes(700, 1.1), modes(700, 1.1), [True, True, True, True, False, True]),
        (modes(1000, 0.1, failure="x"), modes(700, 1.1), modes(600, 1.2), [False, False, True, True, True, True]),
    ],
)
def test_stacked_modes_are_held_against_the_targets(mixture, small, single, answers):
    named = {"mixture": mixture, "mixture, small critic": small, "single DCGAN, small critic": single}
    others = modes(1, 9.0)  # shown beside, and not held against anything
    done = [named.get(name, others) for name in StackedMNISTModes.entrants]
    assert named.keys() <= StackedMNISTModes.entrants.keys()
    assert agreements(StackedMNISTModes(), *done) == answers


def features(distance, density, coverage, **more):
    return [trained({"fd_mnist_cnn": distance, "density": density, "coverage": coverage}, **more)]


GOOD, FAIR, POOR = features(3.0, 0.9, 0.8), features(4.0, 0.7, 0.6), features(9.0, 0.2, 0.1)


@pytest.mark.parametrize(
    ("mixture", "others", "answers"),
    [
        (GOOD, (FAIR, POOR, POOR), [True, True, True]),
        (FAIR, (POOR, POOR, GOOD), [False, False, False]),
        (GOOD, (GOOD, POOR, POOR), [False, False, False]),
        (features(3.0, 0.7, 0.9), (FAIR, POOR, POOR), [True, False, True]),
        (features(3.0, 0.9, 0.8, failure="x"), (FAIR, POOR, POOR), [False, False, False]),
        (FAIR, (features(9.0, 0.2, 0.1, failure="x"), GOOD, POOR), [False, False, False]),
        (FAIR, (POOR, POOR, features(9.0, 0.2, 0.1, failure="x")), [True, True, True]),
    ],
    ids=["better", "worse", "equal", "denser rival", "failed", "failed rival", "failed poor rival"],
)
def test_the_mixture_is_held_against_the_best_of_the_single_networks(mixture, others, answers):
    assert agreements(MNISTMixture(), mixture, *others) == answers


def distances(*values, **more):
    return [trained(*({"fd_random_cnn": value} for value in values), **more)]


@pytest.mark.parametrize(
    ("mixture", "single", "answers"),
    [
        (distances(50.0, 20.0), distances(40.0, 25.0), [True, True, True]),
        (distances(50.0, 60.0), distances(40.0, 41.0), [False, False, False]),
        (distances(50.0, 20.0), distances(40.0, 20.0), [True, True, False]),
        (distances(50.0, 20.0, failure="x"), distances(40.0, 30.0), [False, True, False]),
        (distances(50.0, NAN), distances(40.0, 30.0), [False, True, False]),
    ],
)
def test_both_must_improve_and_the_mixture_more(mixture, single, answers):
    assert agreements(CIFAR10Mixture(), mixture, single) == answers
