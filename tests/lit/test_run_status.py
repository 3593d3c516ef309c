"""status.json: what is written is read back, and what is not a status is refused."""

import json
import os
from datetime import UTC, datetime, timedelta, timezone

import pytest

from mixnash.core.errors import InvalidInputError
from mixnash.lit.run_status import RunStatus, State, better, is_figure, now, read_status, write_status

STATUS = RunStatus(
    state=State.FAILED,
    reason="The loss of critic 1 became non-finite at step 7 It was \u03b8.",
    step=7,
    max_steps=-1,
    started=datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC),
    updated=datetime(2026, 3, 5, 5, 6, 7, tzinfo=timezone(timedelta(hours=2))),
    pid=4321,
    host="elsewhere",
    world_size=3,
    best={"val/modes": 24.0, "val/fid": 12.25},
)


def test_status_is_read_back_as_it_was_written_and_leaves_no_other_file(tmp_path):
    write_status(tmp_path, STATUS._replace(state=State.RUNNING))
    write_status(tmp_path, STATUS)
    assert read_status(tmp_path) == STATUS
    assert [path.name for path in tmp_path.iterdir()] == ["status.json"]


def test_missing_status_is_none(tmp_path):
    assert read_status(tmp_path) is None
    assert read_status(tmp_path / "nowhere") is None


DAMAGES = {
    "nothing": (b"", "Expecting value"),
    "cut": (b'{"state": "runn', "Unterminated string"),
    "no text": (b"\xff\xfe\xfa", "can't decode"),
    "a list": (b"[1, 2]", "other entries than expected"),
    "brackets": (b"[" * 100_000, "recursion"),
}
CHANGES = {
    "missing entry": ({"host": None}, "other entries than expected"),
    "unknown state": ({"state": "asleep"}, "'asleep' is not a valid State"),
    "text for a number": ({"step": "7"}, "some numbers are none"),
    "truth for a number": ({"world_size": True}, "some numbers are none"),
    "negative step": ({"step": -1}, "some numbers are too small"),
    "process that cannot be": ({"pid": 0}, "some numbers are too small"),
    "number for a text": ({"reason": 3}, "some texts are none"),
    "text for a figure": ({"best": {"val/modes": "x"}}, "figures are none"),
    "list of figures": ({"best": [1.0]}, "figures are none"),
    "no time": ({"updated": "yesterday"}, "Invalid isoformat string"),
    "time without a zone": ({"started": "2026-03-04T05:06:07"}, "times without a zone"),
}


@pytest.mark.parametrize(("content", "cause"), DAMAGES.values(), ids=list(DAMAGES))
def test_file_that_is_no_status_is_refused(content, cause, tmp_path):
    (tmp_path / "status.json").write_bytes(content)
    with pytest.raises(InvalidInputError, match=rf"status.json' cannot be read: it is damaged .*{cause}"):
        read_status(tmp_path)


@pytest.mark.parametrize(("change", "cause"), CHANGES.values(), ids=list(CHANGES))
def test_entry_that_cannot_be_is_refused(change, cause, tmp_path):
    write_status(tmp_path, STATUS)
    content = json.loads((tmp_path / "status.json").read_text()) | change
    kept = {name: value for name, value in content.items() if value is not None}
    (tmp_path / "status.json").write_text(json.dumps(kept))
    with pytest.raises(InvalidInputError, match=rf"it is damaged or not a run's status \({cause}"):
        read_status(tmp_path)


def test_file_is_refused_wherever_it_is_cut(tmp_path):
    write_status(tmp_path, STATUS)
    path = tmp_path / "status.json"
    whole = path.read_bytes()
    for size in range(0, len(whole.rstrip()), 7):
        path.write_bytes(whole[:size])
        with pytest.raises(InvalidInputError, match="cannot be read"):
            read_status(tmp_path)


def test_folder_that_cannot_be_written_is_refused_with_its_cause(tmp_path):
    (tmp_path / "status.json").mkdir()
    with pytest.raises(InvalidInputError, match=r"status\.json' cannot be written") as caught:
        write_status(tmp_path, STATUS)
    assert isinstance(caught.value.__cause__, OSError)
    assert os.listdir(tmp_path) == ["status.json"]


def test_best_figures_are_the_highest_or_the_lowest_ones():
    best = {"val/modes": 20.0, "val/sliced_wasserstein2": 0.5, "val/fd_mnist_cnn": 30.0}
    found = {
        "val/modes": 21.0,
        "val/sliced_wasserstein2": 0.75,
        "val/fd_mnist_cnn": 29.5,
        "val/high_quality": 0.25,
        "val/fid": float("nan"),
        "val/jsd": 0.125,
        "loss/critics": -1.0,
    }
    expected = {
        "val/modes": 21.0,
        "val/sliced_wasserstein2": 0.5,
        "val/fd_mnist_cnn": 29.5,
        "val/high_quality": 0.25,
    }
    assert better(best, found) == expected
    assert better(expected, {"val/modes": float("inf"), "val/high_quality": 0.125}) == expected
    assert best["val/modes"] == 20.0


def test_figures_are_told_from_other_metrics():
    assert all(is_figure(name) for name in ("val/modes", "val/fid", "val/fd_digits"))
    assert not any(is_figure(name) for name in ("val/jsd", "modes", "loss/critics", "time/training_seconds"))


def test_now_is_a_whole_second_with_a_zone():
    assert now().microsecond == 0
    assert abs(now() - datetime.now(UTC)) < timedelta(seconds=2)
