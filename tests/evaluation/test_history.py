import json

import numpy as np
import pytest

from mixnash.evaluation.history import read_history


@pytest.fixture
def written(tmp_path):
    """Writes lines of metrics.jsonl; gives its path."""

    def write(*lines):
        path = tmp_path / "metrics.jsonl"
        path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
        return path

    return write


def test_each_metric_keeps_its_own_steps_counted_from_one(written):
    history = read_history(
        written(
            {"step": 5, "seconds": 0.5, "loss": 2.0, "size": 3.0},
            {"step": 10, "seconds": 1.0, "loss": 1.5, "size": 2.5},
            {"step": 10, "seconds": 1.25, "val/modes": 7},
        )
    )
    assert list(history) == ["loss", "size", "val/modes"]
    assert np.array_equal(history["loss"].steps, [5, 10])
    assert np.array_equal(history["loss"].seconds, [0.5, 1.0])
    assert np.array_equal(history["loss"].values, [2.0, 1.5])
    assert np.array_equal(history["val/modes"].steps, [10])


def test_resumed_session_replaces_the_steps_it_repeats_and_adds_its_seconds(written):
    history = read_history(
        written(
            {"step": 5, "seconds": 2.0, "loss": 1.0},
            {"step": 10, "seconds": 4.0, "loss": 2.0},
            {"step": 15, "seconds": 6.0, "loss": 3.0},  # lost: the session resumes after step 10
            {"step": 15, "seconds": 1.0, "loss": 4.0},
            {"step": 20, "seconds": 3.0, "loss": 5.0},
            {"step": 15, "seconds": 3.5, "loss": 6.0},  # a slow start, known by its step
        )
    )
    assert np.array_equal(history["loss"].steps, [5, 10, 15])
    assert np.array_equal(history["loss"].values, [1.0, 2.0, 6.0])
    assert np.array_equal(history["loss"].seconds, [2.0, 4.0, 7.5])


def test_torn_and_foreign_lines_are_left_out(written):
    path = written({"step": 0, "seconds": 1, "loss": 1.0}, "[1, 2]", {"seconds": 3, "loss": 9.0}, '{"step": 5, "sec')
    assert np.array_equal(read_history(path)["loss"].values, [1.0])


def test_values_that_are_not_finite_are_kept(written):
    assert np.isnan(read_history(written({"step": 0, "seconds": 1, "loss": float("nan")}))["loss"].values).all()


def test_no_file_is_an_empty_history(tmp_path):
    assert read_history(tmp_path / "metrics.jsonl") == {}
