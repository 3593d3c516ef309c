"""metrics.jsonl after a run that was cut short in the middle of a line."""

import json

import pytest

from mixnash.lit.jsonl_logger import JsonLinesLogger


@pytest.mark.parametrize("before", ["", '{"step": 4, "seconds": 1.0}\n', '{"step": 4, "sec'])
def test_new_line_begins_behind_what_is_there(before, tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text(before)
    logger = JsonLinesLogger(tmp_path)
    logger.log_metrics({"loss": 0.5, "epoch": 0}, 7)
    logger.log_metrics({"loss": 0.25}, 9)
    *kept, first, second = path.read_text().splitlines()
    assert kept == before.splitlines()
    assert [(line["step"], line["loss"]) for line in map(json.loads, (first, second))] == [(8, 0.5), (10, 0.25)]
    assert path.read_text().endswith("}\n")
