"""N steps straight and k steps, a checkpoint and N - k more are equal bit for bit: every dynamics x rule x cut."""

import pytest
import torch
from hypothesis import given, settings

from mixnash.core.dynamics.simultaneous import Simultaneous
from plugins import over
from resume_cases import (
    DYNAMICS,
    POSITION_RULES,
    SCHEDULES,
    WEIGHT_RULES,
    cases,
    cuts,
    differences,
    of_product,
    path,
    resumed_differs,
    takes_rules,
)
from resume_runs import both_ends, of_classes
from training import assert_same

PRODUCT = list(of_product())
STEPS = 3


@pytest.fixture(autouse=True)
def fast(no_shape_checks):
    """Shapes are checked elsewhere; with it all of this takes four times as long."""


def test_product_holds_every_dynamics_with_every_rule():
    for plugin in DYNAMICS:
        cases_of = [case for case in PRODUCT if case.dynamics is plugin]
        assert cases_of
        if takes_rules(plugin):
            met = {pair for case in cases_of for pair in zip(case.positions, case.weights, strict=True)}
            assert met == {(position, weights) for position in POSITION_RULES for weights in WEIGHT_RULES}
    met = {pair for case in PRODUCT for pair in zip(case.positions, case.schedules, strict=True)}
    assert met == {(position, schedule) for position in POSITION_RULES for schedule in SCHEDULES}


@over("plugin", DYNAMICS)
def test_every_dynamics_has_states_at_all_cuts_that_go_on_to_the_same_bits(plugin):
    for case in (case for case in PRODUCT if case.dynamics is plugin):
        straight = path(case, STEPS)
        for cut in range(1, STEPS):  # equal after one step from every cut: so equal after any number, by induction
            assert differences(straight[cut], path(case, 1, cut, straight[cut - 1])[0]) == [], (case, cut)


@settings(max_examples=25)
@given(cases(), cuts())
def test_anything_that_can_be_played_goes_on_to_the_same_bits(case, cut):
    assert resumed_differs(case, *cut) == []


RUNS = list(of_classes())


def test_runs_hold_every_dynamics_and_every_rule():
    played = [run.case for run in RUNS if run.case is not None]
    ruled = [case for case in played if takes_rules(case.dynamics)]
    assert [case.dynamics for case in played] == DYNAMICS
    assert {rule for case in ruled for rule in case.positions} == set(POSITION_RULES)
    assert {rule for case in ruled for rule in case.weights} == set(WEIGHT_RULES)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.other or run.case.dynamics.__name__)
def test_run_of_the_trainer_that_is_cut_ends_as_the_one_that_is_not(run, tmp_path):
    assert_same(*both_ends(run, tmp_path))


def test_comparison_sees_one_bit_of_one_leaf():
    case = next(case for case in PRODUCT if case.dynamics is Simultaneous)
    state = path(case, 1)[0]
    name = "generators/population/params/a.weight"
    other = state | {name: state[name].clone()}
    assert differences(state, other) == []
    other[name][0, 0, 0].nextafter_(torch.tensor(9.0))
    assert differences(state, other) == [name]
    assert differences(state, {}) == sorted(state)
