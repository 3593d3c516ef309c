"""Shares of a step's time, from intervals with known answers."""

import pytest

from mixnash.lit.step_shares import EVALUATION, PARTS, REST, Interval, rounded_shares, share_table, time_by_part


def taken(sections, start=0.0, end=100.0):
    """Those parts that took any time."""
    times = time_by_part([Interval(*one) for one in sections], start, end)
    assert list(times) == [*PARTS, REST]
    return {name: time for name, time in times.items() if time != 0}


def test_what_no_section_covers_is_the_rest():
    assert taken([]) == {REST: 100}
    assert taken([("data", 10, 25), ("average", 40, 42)]) == {"data": 15, "average": 2, REST: 83}


def test_parts_within_others_count_for_themselves():
    sections = [
        ("communication", 32, 39),  # in any order
        ("step", 10, 90),
        ("dynamics", 15, 80),
        ("critics", 20, 45),
        ("generators", 22, 25),
        ("communication", 27, 29),
        ("gradients", 50, 61),
    ]
    assert taken(sections) == {
        "step": 15,
        "dynamics": 65 - 25 - 11,
        "critics": 25 - 3 - 2 - 7,
        "generators": 3,
        "communication": 9,
        "gradients": 11,
        REST: 20,
    }


def test_a_part_within_one_of_the_same_name_counts_once():
    assert taken([("communication", 10, 30), ("communication", 15, 20)]) == {"communication": 20, REST: 80}


def test_sections_that_touch_are_apart_and_equal_starts_are_nested():
    sections = [("data", 0, 10), ("step", 10, 70), ("dynamics", 10, 50), ("callbacks", 70, 100)]
    assert taken(sections) == {"data": 10, "step": 20, "dynamics": 40, "callbacks": 30}


def test_evaluations_and_what_happens_in_them_do_not_count():
    sections = [
        ("step", 5, 35),
        (EVALUATION, 40, 60),
        ("callbacks", 45, 50),
        ("generators", 52, 53),
        ("callbacks", 60, 62),
    ]
    assert taken(sections) == {"step": 30, "callbacks": 2, REST: 48}


def test_what_does_not_lie_between_the_moments_does_not_count():
    sections = [("data", 15, 25), ("step", 30, 40), ("callbacks", 75, 85), (EVALUATION, 85, 95), ("other", 45, 50)]
    assert taken(sections, start=20.0, end=80.0) == {"step": 10, REST: 50}


def test_rounding_leaves_no_part_with_less_than_nothing():
    sections = [("step", 0.1, 1.3), ("dynamics", 0.1, 0.4), ("critics", 0.4, 1.3)]
    times = time_by_part([Interval(*one) for one in sections], 0.1, 1.3)
    assert min(times.values()) == 0.0
    assert sum(times.values()) == pytest.approx(1.2)


def test_largest_remainders_are_rounded_up_so_that_shares_add_up_to_a_hundred():
    assert rounded_shares({"a": 1.0, "b": 1.0, "c": 1.0}) == {"a": 33.4, "b": 33.3, "c": 33.3}
    # 14.28.., 28.57.., 57.14..: one tenth is missing, and the second has lost most of one
    assert rounded_shares({"a": 1.0, "b": 2.0, "c": 4.0}) == {"a": 14.3, "b": 28.6, "c": 57.1}
    # 3.03.., 36.36.., 60.60..: the second has lost 0.06 of a tenth's 0.1
    assert rounded_shares({"a": 1.0, "b": 12.0, "c": 20.0}) == {"a": 3.0, "b": 36.4, "c": 60.6}


@pytest.mark.parametrize("count", [2, 3, 7, 12])
def test_shares_add_up_whatever_the_times(count):
    times = {str(index): (index + 1) ** 1.7 for index in range(count)}
    shares = rounded_shares(times)
    assert sum(round(10 * share) for share in shares.values()) == 1000
    total = sum(times.values())
    assert all(abs(shares[name] - 100 * time / total) < 0.1 for name, time in times.items())


def test_table_has_time_per_step_and_share_of_what_took_any():
    times = time_by_part([Interval("data", 0, 3000), Interval("critics", 3000, 9000)], 0.0, 10_000.0)
    assert share_table(times, 2).splitlines() == [
        "  draws and data           1.500 ms    30.0 %",
        "  critics and losses       3.000 ms    60.0 %",
        "  rest                     0.500 ms    10.0 %",
        "  one step                 5.000 ms   100.0 %",
    ]
