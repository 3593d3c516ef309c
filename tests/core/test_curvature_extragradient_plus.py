"""CurvatureEG+: golden trajectories, its line search, and the norm of the derivative."""

import itertools
import math

import pytest
import torch

import problems
from mixnash.core.dynamics.curvature_extragradient_plus import CurvatureExtragradientPlus
from mixnash.core.dynamics.jacobian_norm import EXACT_COORDINATES, jacobian_norm
from mixnash.core.feedback import GameOracle
from mixnash.core.games.bilinear import Bilinear
from mixnash.core.games.constraints import Unconstrained
from mixnash.core.games.vectors import AbstractVectorGame
from mixnash.core.games.wasserstein import Wasserstein
from mixnash.core.joint import add, field, norm, place, position, subtract
from mixnash.core.types import BOTH, Profile
from mixnash.core.vector_oracle import VectorOracle
from problems import DOUBLE, make_rng, normal, positions, run, vectors
from toys import FORSAKEN, LINE, Polar, WeakMinty, adaptive_factor, walk


def test_curvature_extragradient_plus_follows_its_golden_trajectory_out_of_the_polar_cycles():
    points = walk(CurvatureExtragradientPlus(), [1.0], [0.5], 100, Polar())
    assert points[10].tolist() == pytest.approx([0.370386584571, -0.430105382011], abs=1e-10)
    assert points[100].tolist() == pytest.approx([0.00373279943016, -0.037384258552], abs=1e-10)


@pytest.mark.parametrize("c", [0.2, 0.4])
def test_rounding_does_not_shrink_the_steps_on_linear_fields(c):
    dynamics = CurvatureExtragradientPlus()
    states, _ = run(dynamics, VectorOracle(WeakMinty(1.0, c)), Profile(vectors([0.8]), vectors([-0.6])), 150)
    norms = torch.tensor([math.hypot(*(float(own) for own in positions(dynamics, state))) for state in states])
    factor = adaptive_factor(c, 0.99, -0.495)
    assert factor < 1
    torch.testing.assert_close(norms[1:] / norms[:-1], torch.full((150,), factor), rtol=0, atol=1e-6)
    assert all(dynamics.diagnostics(state)["generators/backtracks"] == 0 for state in states)
    assert dynamics.diagnostics(states[-1])["critics/step_size"] == pytest.approx(0.99, abs=1e-12)


def test_the_line_search_shrinks_the_step_until_its_test_holds():
    dynamics = CurvatureExtragradientPlus(shrinkage=0.7)
    states, _ = run(dynamics, VectorOracle(FORSAKEN), Profile(vectors([0.3]), vectors([0.2])), 12)
    searched = []
    for before, after in itertools.pairwise(states):
        z = torch.cat([own[0] for own in positions(dynamics, before)])
        g, backtracks = float(after.shown["step_size"]), int(after.shown["backtracks"])
        curvatures = 1 / 2 - 6 * z**2 + 5 * z**4  # f''
        steepness = torch.linalg.matrix_norm(torch.diag(curvatures) + torch.tensor([[0.0, 1.0], [-1.0, 0.0]]), 2)
        assert g == pytest.approx(0.99 / float(steepness) * 0.7**backtracks, rel=1e-10)
        assert changes_too_much(z, g) <= 1e-9
        assert backtracks == 0 or changes_too_much(z, g / 0.7) > 1e-6
        searched.append(backtracks)
    assert min(searched) == 0 < max(searched)


def changes_too_much(z, g):
    """g |V(w) - V(z)| - nu |w - z| on the forsaken game."""

    def slope(z):
        return torch.stack([z[1] - 0.45, -z[0]]) + z / 2 - 2 * z**3 + z**5

    w = z - g * slope(z)
    return float(g * (slope(w) - slope(z)).norm() - 0.99 * (w - z).norm())


def test_a_line_search_that_does_not_end_goes_on_with_the_step_it_has():
    class Kinked(AbstractVectorGame):
        def payoff(self, x, y):
            return (x.abs() + x * y).squeeze(-1)

    dynamics = CurvatureExtragradientPlus(max_backtracks=4)
    states, _ = run(dynamics, VectorOracle(Kinked(LINE, LINE)), Profile(vectors([1e-9]), vectors([0.1])), 1)
    assert dynamics.diagnostics(states[1])["generators/backtracks"] == 4
    assert dynamics.diagnostics(states[1])["generators/step_size"] == pytest.approx(0.99 / 2**4, rel=1e-9)


def test_the_step_is_bounded_where_the_field_is_constant():
    class Slope(AbstractVectorGame):
        def payoff(self, x, y):
            return (2 * x - y).squeeze(-1)

    dynamics = CurvatureExtragradientPlus(curvature=0.0, max_step_size=0.3)
    points = walk(dynamics, [1.0], [1.0], 2, Slope(LINE, LINE))
    # w - z = d, so alpha = 1.
    torch.testing.assert_close(points, torch.tensor([[1.0, 1.0], [0.4, 0.7], [-0.2, 0.4]], dtype=DOUBLE))


def test_a_field_that_is_not_finite_ends_the_line_search():
    class Broken(AbstractVectorGame):
        def payoff(self, x, y):
            return (x * y / 0).squeeze(-1)

    points = walk(CurvatureExtragradientPlus(), [1.0], [1.0], 1, Broken(LINE, LINE))
    assert bool(points[1].isnan().all())


def test_the_norm_of_the_derivative_is_exact_for_few_coordinates_and_approached_from_below_for_many():
    for size in (EXACT_COORDINATES // 2, EXACT_COORDINATES // 2 + 1):
        matrix = normal(size, size)
        profile = Profile(vectors(normal(size).tolist()), vectors(normal(size, key=1).tolist()))
        derivative = VectorOracle(Bilinear(matrix.tolist())).linearise(profile)
        exact = float(torch.linalg.matrix_norm(matrix, 2))
        estimates = [
            float(jacobian_norm(derivative, position(profile), 0, iterations, make_rng(1)))
            for iterations in (1, 3, 10, 200)
        ]
        if size == EXACT_COORDINATES // 2:
            assert estimates == pytest.approx([exact] * 4, rel=1e-12)
        else:
            assert estimates == sorted(estimates)
            assert estimates[0] < 0.9 * exact < estimates[2] < exact
            assert estimates[3] == pytest.approx(exact, rel=1e-4)


def test_the_line_search_holds_its_test_on_a_gan_with_more_coordinates():
    problem = problems.tanh_problem(2, 3)
    oracle = GameOracle(Wasserstein(Unconstrained()), problem.networks, lambda _: problem.batch)
    dynamics = CurvatureExtragradientPlus()
    states, _ = run(dynamics, oracle, problem.profile, 2)
    assert sum(leaf.numel() for one in problem.profile for leaf in one.params.values()) > EXACT_COORDINATES
    for before, after in itertools.pairwise(states):
        z, (w, slope) = before.profile, looked_ahead(before.profile, oracle, float(after.shown["step_size"]))
        change = norm(subtract(field(oracle.feedback(w, BOTH)), slope))
        assert float(after.shown["step_size"] * change) <= 0.99 * float(norm(subtract(position(w), position(z)))) + 1e-9


def looked_ahead(profile, oracle, step_size):
    """The profile after a gradient step, and the field before it."""
    slope = field(oracle.feedback(profile, BOTH))
    return place(profile, add(position(profile), -step_size, slope)), slope
