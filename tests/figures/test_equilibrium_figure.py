"""The picture of a search for deviations."""

import numpy as np
import pytest

from mixnash.core.errors import InvalidInputError
from mixnash.figures.equilibrium import DeviationCurve, deviation_search

CRITICS = DeviationCurve(np.array([0.2, 0.5, 0.6]), np.array([0.1, 0.4, 0.5]), np.array([0.3, 0.6, 0.7]), 0.25)
GENERATORS = DeviationCurve(
    np.array([0.0, -0.5, -0.9]), np.array([-0.1, -0.6, -1.0]), np.array([0.1, -0.4, -0.8]), -0.2
)


def test_both_curves_the_best_atoms_and_the_payoff_are_drawn_under_their_names():
    figure = deviation_search([0, 5, 20], CRITICS, GENERATORS, 0.1, "Gap")
    lines = {line.get_label(): line.get_ydata() for line in figure.axes[0].lines}
    assert np.array_equal(lines["best critic found"], CRITICS.values)
    assert np.array_equal(lines["best generator found"], GENERATORS.values)
    assert set(lines["best critic atom"]) == {0.25}
    assert set(lines["best generator atom"]) == {-0.2}
    assert set(lines["the mixtures themselves"]) == {0.1}


def test_curves_of_another_length_and_no_points_are_refused():
    with pytest.raises(InvalidInputError, match="a side of the best critic"):
        deviation_search([0, 5], CRITICS, GENERATORS, 0.1, "Gap")
    with pytest.raises(InvalidInputError, match="at least one point, found none"):
        deviation_search([], CRITICS, GENERATORS, 0.1, "Gap")


def test_a_search_that_ends_far_outside_its_start_is_drawn_on_a_logarithmic_scale_that_says_so():
    runaway = GENERATORS._replace(values=np.array([0.0, -40.0, -900.0]))
    axes = deviation_search([0, 5, 20], CRITICS, runaway, 0.1, "Gap").axes[0]
    assert (axes.get_yscale(), axes.get_ylabel()) == ("symlog", "payoff less penalty, logarithmic beyond ±1")
    axes = deviation_search([0, 5, 20], CRITICS, GENERATORS, 0.1, "Gap").axes[0]
    assert (axes.get_yscale(), axes.get_ylabel()) == ("linear", "payoff less penalty")
