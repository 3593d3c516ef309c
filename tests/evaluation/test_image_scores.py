"""Scores of images against known answers: copies, held-out images themselves, particles, and what is left out."""

import json
import logging
import re

import numpy as np
import pytest
import torch

from image_files import write_idx
from mixnash.core.errors import InvalidInputError
from mixnash.data.digits import Digits
from mixnash.data.distinct import first_places
from mixnash.data.stacked_mnist import StackedMNIST
from mixnash.evaluation.cli import main
from mixnash.evaluation.evaluate import Result, evaluate
from mixnash.evaluation.history import Course
from mixnash.evaluation.image_readings import image_reading
from mixnash.evaluation.image_scores import score_images
from mixnash.evaluation.load import load_run
from mixnash.evaluation.pictures import curve_pictures
from mixnash.evaluation.readings import metric_rows
from mixnash.lit.base import Samples
from mixnash.metrics.features.base import extract
from mixnash.metrics.features.random_cnn import RandomConvolutions
from mixnash.metrics.functional.frechet import frechet_distance_of_features
from stored_classifiers import store

REAL = 180  # all held-out digits, which differ


@pytest.fixture(autouse=True)
def own_home(monkeypatch, tmp_path):
    """Files that users keep, of one test."""
    monkeypatch.setenv("MIXNASH_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def digits():
    return Digits(seed=4)


def of_one(values):
    return Samples(values, torch.zeros(len(values), dtype=torch.int64))


def scores(values, held_out=REAL, raw=None, data=None):
    data = digits() if data is None else data
    return score_images(data, of_one(values), None if raw is None else of_one(raw), data.held_out(held_out))


def direct(values, reference):
    """Frechet distance by singular values of the features, without moments."""
    extractor = RandomConvolutions(1)
    return float(frechet_distance_of_features(*(extract(extractor, one).features for one in (values, reference))))


def test_copies_of_training_images_are_memorised():
    found = scores(digits().training_draws(3, 150)).metrics
    assert found["memorised_share"] == 1.0
    assert found["authentic_share"] == 0.0
    assert 0.1 < found["held_out_authentic_share"] < 0.9


def test_held_out_images_in_another_order_score_as_equal():
    order = torch.randperm(REAL, generator=torch.Generator().manual_seed(0))
    found = scores(digits().held_out(REAL)[order])
    assert found.metrics["fd_random_cnn"] == pytest.approx(0.0, abs=1e-6)
    for name in ("precision", "recall", "coverage"):
        assert found.metrics[f"{name}_random_cnn"] == 1.0
    assert found.metrics["kid_random_cnn"] < 1e-9  # both subsets are all images: the unbiased estimate is negative
    assert found.references == REAL
    # A perfect sampler scores 1 - (175 ... 179) / (355 ... 359).
    missed = np.prod([(REAL - 1 - i) / (2 * REAL - 1 - i) for i in range(5)])
    assert found.perfect["coverage_random_cnn"] == pytest.approx(1 - missed)


def test_distances_of_the_mixture_the_raw_positions_and_real_images_are_those_of_the_features():
    data = digits()
    made, raw = data.training_draws(5, 90) * 0.8, data.training_draws(6, 90) * 0.5
    found = scores(made, raw=raw)
    reference = data.held_out(REAL)
    assert found.metrics["fd_random_cnn"] == pytest.approx(direct(made, reference), rel=1e-6)
    assert found.metrics["fd_random_cnn_raw"] == pytest.approx(direct(raw, reference), rel=1e-6)
    # What real images score: as many training images as there are samples.
    real = data.training_draws(0, 10_000)[:90]
    assert found.perfect["fd_random_cnn"] == pytest.approx(direct(real, reference), rel=1e-6)


def test_copies_among_held_out_images_count_once():
    data = digits()
    found = scores(data.training_draws(0, 50), held_out=700)
    different = data.held_out(700)[first_places(data.held_out(700))]
    assert found.references == len(different) < REAL + 1
    assert found.metrics["fd_random_cnn"] == pytest.approx(direct(data.training_draws(0, 50), different), rel=1e-6)


def test_every_particle_has_the_distance_of_its_own_samples_and_rare_ones_a_sentence():
    data = digits()
    values, particle = data.training_draws(2, 100), torch.arange(100) % 3
    values[particle == 1] *= 0.3
    particle[:5] = 4
    found = score_images(data, Samples(values, particle), None, data.held_out(REAL))
    names = {name for name in found.metrics if name.startswith("particle_")}
    assert names == {f"particle_{one}_fd_random_cnn" for one in range(3)}
    for one in range(3):
        expected = direct(values[particle == one], data.held_out(REAL))
        assert found.metrics[f"particle_{one}_fd_random_cnn"] == pytest.approx(expected, rel=1e-6)
    assert any(
        sentence == "particle_4_fd_random_cnn is left out: 5 of the samples are its own, 6 are needed; --particle 4 "
        "draws from it alone."
        for sentence in found.left_out
    )


def test_what_is_missing_is_said():
    few = scores(digits().training_draws(0, 30), held_out=98)
    assert "memorised_share" not in few.metrics
    assert "memorised_share is left out: it needs 99 different held-out images, found 98" in few.left_out[-1]
    assert "fd_digits_cnn is left out: there is no classifier" in few.left_out[0]
    store("digits_cnn")
    all_there = scores(digits().training_draws(0, 30), held_out=99)
    assert all_there.left_out == ()
    assert {"memorised_share", "fd_digits_cnn", "is_digits_cnn", "fd_random_cnn"} <= all_there.metrics.keys()
    assert all_there.seen.extractor.name == "digits_cnn"


def test_features_of_real_images_are_kept_and_damaged_files_replaced(own_home, caplog, monkeypatch):
    store("digits_cnn")
    first = scores(digits().training_draws(0, 40)).metrics
    files = sorted((own_home / "statistics").iterdir())
    assert len(files) == 4  # held-out and training images, through two extractors
    shown = []
    monkeypatch.setattr(
        "mixnash.evaluation.image_scores.extract",
        lambda one, images: (shown.append(len(images)), extract(one, images))[1],
    )
    assert scores(digits().training_draws(0, 40)).metrics == first
    assert shown == [40, 40]
    files[0].write_bytes(files[0].read_bytes()[:-50])
    with caplog.at_level(logging.WARNING):
        assert scores(digits().training_draws(0, 40)).metrics == first
    assert "are damaged; they are computed and written again" in caplog.text
    assert sorted((own_home / "statistics").iterdir()) == files


def test_folder_that_cannot_hold_features_is_said_in_one_sentence(own_home):
    own_home.mkdir()
    (own_home / "statistics").write_text("a file where a folder is needed")
    with pytest.raises(InvalidInputError, match=r"statistics.* cannot be (read|written)"):
        scores(digits().training_draws(0, 40))
    assert [path.name for path in own_home.iterdir()] == ["statistics"]


def test_stacked_digits_are_counted_by_their_protocol(tmp_path, monkeypatch):
    monkeypatch.setattr("mixnash.evaluation.image_scores.TRAINING", 80)
    store("mnist_cnn", seed=3)
    write_idx(tmp_path, count=70, test_count=20)
    data = StackedMNIST(root=str(tmp_path), batch_size=4)
    found = scores(data.held_out(60), held_out=60, data=data)
    labels = found.seen.held_out.logits.argmax(-1)
    assert found.metrics["stacked_modes"] == len(torch.unique(labels, dim=0))
    assert found.protocol.startswith("1000 modes of 3 digits of 10 classes")
    assert "n = 60" in found.protocol
    assert found.perfect["stacked_modes"] < 60
    assert "memorised_share" not in found.metrics  # triples are drawn anew each time
    assert found.left_out == ()


@pytest.mark.parametrize("count", [1, 5])
def test_fewer_samples_than_neighbours_need_are_refused_before_work(digits_run, count, monkeypatch):
    run = load_run(digits_run, None)
    monkeypatch.setattr(type(run.module), "sample", lambda *_: pytest.fail("work was started"))
    with pytest.raises(InvalidInputError, match=f"num_samples must be at least 6 for images, found {count}"):
        evaluate(run, count)


def test_record_names_counts_and_what_is_left_out(digits_run):
    record = evaluate(load_run(digits_run, None), 50, seed=1).flat()
    assert (record["reference_images"], record["training_images"]) == (50, 1617)
    assert record["left_out"].startswith("fd_digits_cnn is left out")
    assert record["protocol"] is None
    store("digits_cnn")
    record = evaluate(load_run(digits_run, None), 200, particle=1, averaged=False).flat()
    assert record["left_out"] == ""
    assert not [name for name in record if name.startswith("particle_") or name.endswith("_raw")]


def test_command_prints_notes_and_writes_curves_and_pictures_of_images(digits_run, tmp_path, capsys):
    main(["--run", str(digits_run), "--num_samples", "30", "--output", str(tmp_path / "out"), "--particle", "2"])
    printed = capsys.readouterr().out
    assert "images: 30 generated against 30 different held-out ones; 1,617 training images" in " ".join(printed.split())
    assert re.search(r"fd_random_cnn +\d", printed)
    assert printed.count("note: ") == 2  # no classifier, too few held-out images
    figures = {path.stem for path in (tmp_path / "out" / "figures").iterdir()}
    assert {"neighbours", "training_fd_random_cnn_steps", "training_coverage_density_seconds"} <= figures
    record = json.loads((tmp_path / "out" / "metrics.json").read_text())
    page = (tmp_path / "out" / "report.html").read_text()
    assert record["left_out"].split(".")[0] in page.replace("&#39;", "'")
    assert "30 different held-out images were compared with" in page


def test_every_logged_distance_has_a_curve():
    course = Course(np.array([1.0, 2.0]), np.array([0.1, 0.2]), np.array([5.0, 4.0]))
    logged = ("val/fid", "val/fd_mnist_cnn", "val/stacked_modes", "val/stacked_kl_uniform", "val/density", "val/other")
    result = Result({}, {"fid": 0.5}, {}, {"num_samples": 10})
    pictures = curve_pictures(dict.fromkeys(logged, course), result, 10, clock=False)
    kinds = ["fid", "fd_mnist_cnn", "stacked_modes", "stacked_kl_uniform", "coverage_density"]
    assert [picture.name for picture in pictures] == [f"training_{kind}_steps" for kind in kinds]


def test_numbers_of_images_have_labels_and_sentences(digits_run):
    store("digits_cnn")
    rows = {row.name: row for row in metric_rows(evaluate(load_run(digits_run, None), 120))}
    assert {row.name for row in rows.values() if not row.reading.sentence} == set()
    assert rows["fd_digits_cnn"].reading.label == "Frechet distance: digits_cnn"
    assert rows["fd_digits_cnn"].perfect != ""


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("fd_random_cnn", "Frechet distance: random_cnn"),
        ("fd_random_cnn_raw", "Frechet distance: random_cnn, not averaged"),
        ("kid_random_cnn_std", "Kernel distance: random_cnn, sd"),
        ("particle_12_fd_random_cnn", "Frechet distance: random_cnn, particle 12"),
        ("particle_1_fid", "FID, particle 1"),
    ],
)
def test_labels_say_extractor_particle_and_kind(name, label):
    assert image_reading(name).label == label
