"""Schedules against hand-computed values, their bounds, and what they refuse."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mixnash.core.errors import InvalidInputError
from mixnash.core.rules.langevin import Langevin
from mixnash.core.rules.preconditioned_langevin import PreconditionedLangevin
from mixnash.core.rules.sgd import SGD
from mixnash.core.schedules import Constant, Cosine, Exponential, Linear, Polynomial, as_schedule

KNOWN = [
    (Constant(0.3), {0: 0.3, 1000: 0.3}),
    (Exponential(0.8, 0.5), {0: 0.8, 1: 0.4, 3: 0.1}),
    (Exponential(0.8, 1.0), {0: 0.8, 77: 0.8}),
    (Polynomial(0.6, 0.5), {0: 0.6, 3: 0.3, 8: 0.2}),
    (Polynomial(0.6, 1.0, timescale=4.0), {0: 0.6, 4: 0.3, 8: 0.2}),
    (Polynomial(0.6, 0.0), {0: 0.6, 5: 0.6}),
    (Cosine(1.0, 0.2, 8), {0: 1.0, 2: 0.6 + 0.4 * math.sqrt(0.5), 4: 0.6, 8: 0.2, 9: 0.2, 900: 0.2}),
    (Cosine(1.0, 0.2, 6, hold=5), {0: 1.0, 5: 1.0, 7: 0.8, 8: 0.6, 9: 0.4, 11: 0.2, 12: 0.2}),
    (Cosine(0.1, 0.5, 2), {0: 0.1, 1: 0.3, 2: 0.5}),
    (Linear(1.0, 0.2, 8), {0: 1.0, 2: 0.8, 4: 0.6, 7: 0.3, 8: 0.2, 9: 0.2, 900: 0.2}),
    (Linear(0.6, 0.0, 3, hold=5), {0: 0.6, 5: 0.6, 6: 0.4, 7: 0.2, 8: 0.0, 77: 0.0}),
    (Linear(0.1, 0.5, 2), {0: 0.1, 1: 0.3, 2: 0.5}),
]
STARTS, STEPS = st.floats(0, 10), st.integers(0, 5000)


@pytest.mark.parametrize(("schedule", "values"), KNOWN)
def test_a_schedule_has_its_hand_computed_values(schedule, values):
    for step, value in values.items():
        assert schedule(step) == pytest.approx(value, rel=1e-12)


@given(
    st.builds(Constant, STARTS)
    | st.builds(Exponential, STARTS, st.floats(0.01, 1))
    | st.builds(Polynomial, STARTS, st.floats(0, 3), st.floats(0.1, 100))
    | st.builds(Cosine, STARTS, STARTS, st.integers(1, 1000), st.integers(0, 1000))
    | st.builds(Linear, STARTS, STARTS, st.integers(1, 1000), st.integers(0, 1000)),
    st.lists(STEPS, min_size=1, max_size=5),
)
def test_values_stay_within_the_bounds_and_are_monotone(schedule, steps):
    lowest, highest = schedule.bounds()
    values = [schedule(step) for step in sorted(steps)]
    assert all(lowest - 1e-12 <= value <= highest + 1e-12 for value in values)
    assert sorted(values) in (values, values[::-1])


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Exponential(1.0, 0.0), r"rate of an exponential schedule must lie in \(0, 1\], found 0.0"),
        (lambda: Exponential(1.0, 1.01), r"rate of an exponential schedule must lie in \(0, 1\], found 1.01"),
        (lambda: Polynomial(1.0, -0.1), "power of a polynomial schedule must be at least 0, found -0.1"),
        (lambda: Polynomial(1.0, 0.5, 0.0), "timescale of a polynomial schedule must be positive, found 0.0"),
        (lambda: Cosine(1.0, 0.0, 0), "cosine schedule needs a positive number of steps, found 0"),
        (lambda: Cosine(1.0, 0.0, 5, -1), "cosine schedule cannot hold its start for -1 updates"),
        (lambda: Linear(1.0, 0.0, 0), "linear schedule needs a positive number of steps, found 0"),
        (lambda: Linear(1.0, 0.0, 5, -1), "linear schedule cannot hold its start for -1 updates"),
    ],
)
def test_a_schedule_refuses_arguments_outside_their_range(build, message):
    with pytest.raises(InvalidInputError, match=message):
        build()


def test_as_schedule_turns_numbers_into_constants_and_keeps_schedules():
    cosine = Cosine(0.3, 0.1, 5)
    assert as_schedule(cosine, "rate", positive=True) is cosine
    constant = as_schedule(0.7, "rate", positive=True)
    assert (constant(0), constant(123)) == (0.7, 0.7)


@pytest.mark.parametrize(
    "bad",
    [
        0.0,
        -0.1,
        math.nan,
        math.inf,
        Exponential(-1.0, 0.5),
        Cosine(0.1, -0.1, 5),
        Linear(0.1, -0.1, 5),
        Polynomial(0.0, 1.0),
        Cosine(0.0, 0.0, 3),
    ],
)
def test_as_schedule_refuses_what_must_be_positive_and_is_not(bad):
    with pytest.raises(
        InvalidInputError, match="The step size of SGD must be positive and finite at every step, found"
    ):
        SGD(bad)


@pytest.mark.parametrize("bad", [-1e-9, math.nan, math.inf, Cosine(0.1, -0.1, 5), Linear(0.1, -0.1, 5)])
def test_as_schedule_refuses_what_must_not_be_negative_and_is(bad):
    with pytest.raises(InvalidInputError, match="temperature of Langevin dynamics must be at least 0 and finite"):
        Langevin(0.1, bad)


@pytest.mark.parametrize("rule", [Langevin, PreconditionedLangevin])
def test_a_temperature_that_ends_below_zero_is_refused_in_one_sentence_and_one_that_ends_at_zero_is_not(rule):
    cooled = rule(Exponential(0.1, 0.9), Linear(0.4, 0.0, 4))
    params = {"x": torch.zeros(2, 3)}
    state = cooled.init(params)
    for expected in (0.4, 0.3, 0.2, 0.1, 0.0, 0.0):
        assert cooled.diagnostics(state)["temperature"] == pytest.approx(expected)
        params, state = cooled.update(params, params, state, torch.Generator().manual_seed(0))
    with pytest.raises(InvalidInputError, match=r"^The temperature of .*, found values from -0\.2 to 0\.4\.$"):
        rule(0.1, Linear(0.4, -0.2, 100))
    with pytest.raises(InvalidInputError, match=r"^The step size of .*, found values from -0\.2 to 0\.4\.$"):
        rule(Linear(0.4, -0.2, 100), 0.1)


NOT_FINITE = {
    "exponential from nan": lambda: Exponential(math.nan, 0.5),
    "polynomial from nan": lambda: Polynomial(math.nan, 0.5),
    "cosine from nan": lambda: Cosine(math.nan, 0.1, 5),
    "cosine to nan": lambda: Cosine(0.1, math.nan, 5),
    "line from nan": lambda: Linear(math.nan, 0.1, 5),
    "line to infinity": lambda: Linear(0.1, math.inf, 5),
    "cosine to infinity": lambda: Cosine(0.1, math.inf, 5),
    "exponential from infinity": lambda: Exponential(math.inf, 0.5),
}


@pytest.mark.parametrize("build", NOT_FINITE.values(), ids=NOT_FINITE)
def test_no_schedule_smuggles_in_values_that_are_not_finite(build):
    with pytest.raises(InvalidInputError):
        Langevin(0.1, build())


def test_a_schedule_may_vanish_in_the_limit_and_a_temperature_at_once():
    assert SGD(Exponential(0.1, 0.5)).step_size(0) == 0.1
    assert Langevin(0.1, 0.0).temperature(0) == 0.0
