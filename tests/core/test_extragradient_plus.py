"""EG+ and AdaptiveEG+: exact multipliers, critical constants, golden trajectories, steps by hand."""

import math

import pytest
import torch

import problems
from mixnash.core.domains import Box
from mixnash.core.dynamics.adaptive_extragradient_plus import AdaptiveExtragradientPlus
from mixnash.core.dynamics.curvature_extragradient_plus import CurvatureExtragradientPlus
from mixnash.core.dynamics.extragradient import Extragradient
from mixnash.core.dynamics.extragradient_plus import ExtragradientPlus
from mixnash.core.errors import InvalidInputError
from mixnash.core.games.bilinear import Bilinear
from mixnash.core.games.vectors import VECTOR
from mixnash.core.schedules import Polynomial
from mixnash.core.types import BOTH, Population, Profile
from mixnash.core.vector_oracle import VectorOracle
from problems import DOUBLE, SpyOracle, make_rng, normal, positions, run, vectors
from toys import FORSAKEN, XY, WeakMinty, adaptive_factor, end, multiplier, walk


def spectral_radius(dynamics, game):
    """Of the linear map that one step is."""
    columns = [walk(dynamics, start[:1], start[1:], 1, game)[1] for start in ([1.0, 0.0], [0.0, 1.0])]
    return float(torch.linalg.eigvals(torch.stack(columns, dim=1)).abs().max())


# ---------------------------------------------------------------------- EG+


@pytest.mark.parametrize(("step_size", "relaxation"), [(0.1, 0.5), (1.0, 0.5), (0.9, 0.25), (0.4, 1.0), (0.3, 1.6)])
def test_extragradient_plus_multiplies_by_its_known_factor_on_the_bilinear_game(step_size, relaxation):
    known = math.sqrt((1 - relaxation * step_size**2) ** 2 + (relaxation * step_size) ** 2)
    assert multiplier(ExtragradientPlus(step_size, relaxation), XY) == pytest.approx(known, abs=1e-12)


@pytest.mark.parametrize("relaxation", [0.25, 0.5, 1.0, 1.6])
def test_extragradient_plus_is_stable_on_the_bilinear_game_up_to_its_threshold(relaxation):
    threshold = math.sqrt(2 / relaxation - 1)
    assert spectral_radius(ExtragradientPlus(threshold - 1e-6, relaxation), XY) < 1 - 1e-8
    assert spectral_radius(ExtragradientPlus(threshold + 1e-6, relaxation), XY) > 1 + 1e-8


@pytest.mark.parametrize(("relaxation", "critical"), [(0.25, 0.375), (0.5, 0.25), (0.75, 0.125)])
def test_extragradient_plus_copes_with_weak_minty_games_up_to_its_critical_constant(relaxation, critical):
    dynamics = ExtragradientPlus(1.0, relaxation)
    assert spectral_radius(dynamics, WeakMinty(1.0, critical - 1e-6)) < 1 - 1e-8
    assert spectral_radius(dynamics, WeakMinty(1.0, critical + 1e-6)) > 1 + 1e-8


def test_extragradient_plus_follows_its_golden_trajectories():
    assert end(ExtragradientPlus(0.1), [1.0], [0.0], 100, XY) == pytest.approx(
        [0.208658063953, -0.654738880381], abs=1e-10
    )
    assert end(ExtragradientPlus(0.05), [1.0], [-0.8], 200, FORSAKEN) == pytest.approx(
        [-1.29306533471, 0.283381753171], abs=1e-10
    )


def test_extragradient_plus_without_relaxation_or_domains_is_extragradient():
    got = walk(ExtragradientPlus(0.05, 1.0), [1.0], [-0.8], 50, FORSAKEN)
    expected = walk(problems.descend(Extragradient, 0.05), [1.0], [-0.8], 50, FORSAKEN)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-13)


def test_projected_extragradient_plus_makes_the_step_written_out():
    game = Bilinear([[1.0]], [0.9], [0.9], Box([-1.0], [1.0]), Box([-1.0], [1.0]))  # V = (y - 0.9, 0.9 - x)
    dynamics = ExtragradientPlus(0.5, 0.4)
    profile = Profile(vectors([0.8]), vectors([-1.0]))
    states, seen = run(dynamics, VectorOracle(game), profile, 2)
    # V(z) = (-1.9, 0.1), H = (1.75, -1.05), w = (1, -1), V(w) = (-1.9, -0.1), d = w - V(w)/2 - H = (0.2, 0.1).
    # z = (0.88, -0.96), V(z) = (-1.86, 0.02), H = (1.81, -0.97), w = (1, -0.97), V(w) = (-1.87, -0.1),
    # d = (1.935, -0.92) - H = (0.125, 0.05), z = (0.93, -0.94).
    for state, base in zip(states[1:], ([0.88, -0.96], [0.93, -0.94]), strict=True):
        assert [float(own[VECTOR]) for own in state.base] == pytest.approx(base, abs=1e-14)
    assert float(seen[1].generator_grads[VECTOR]) == pytest.approx(-1.87, abs=1e-14)  # the feedback is that at w


def test_the_point_may_leave_its_domain_while_the_reported_players_stay_inside():
    game = Bilinear([[1.0]], [0.9], [0.9], Box([-1.0], [1.0]), Box([-1.0], [1.0]))
    dynamics = ExtragradientPlus(0.9, 1.0)
    states, _ = run(dynamics, VectorOracle(game), Profile(vectors([-1.0]), vectors([0.5])), 60)
    free = torch.tensor([[float(own[VECTOR]) for own in state.base] for state in states], dtype=DOUBLE)
    reported = torch.tensor([[float(own) for own in positions(dynamics, state)] for state in states], dtype=DOUBLE)
    assert float(free.abs().max()) > 1.1
    torch.testing.assert_close(reported, free.clamp(-1, 1))


@pytest.mark.parametrize(
    "dynamics",
    [ExtragradientPlus(0.8), AdaptiveExtragradientPlus(0.8, -0.2), CurvatureExtragradientPlus(-0.2)],
    ids=lambda one: type(one).__name__,
)
def test_the_reported_players_reach_an_equilibrium_on_the_boundary(dynamics):
    box = Box([-1.0], [1.0])
    game = Bilinear([[1.0]], [2.0], [0.5], box, box)  # V = (y - 1/2, 2 - x): y falls to -1, then x rises to 1
    states, _ = run(dynamics, VectorOracle(game), Profile(vectors([0.3]), vectors([0.2])), 110)
    assert [float(own) for own in positions(dynamics, states[-1])] == pytest.approx([1.0, -1.0], abs=1e-9)
    assert [float(own[VECTOR]) for own in states[-1].base] == pytest.approx([1.0, -1.0], abs=1e-9)


@pytest.mark.parametrize("same_sample", [True, False])
def test_extragradient_plus_draws_once_or_twice(same_sample):
    dynamics, oracle = ExtragradientPlus(0.1, same_sample=same_sample), SpyOracle(VectorOracle(XY))
    run(dynamics, oracle, Profile(vectors([1.0]), vectors([0.0])), 3)
    calls = [call for call in oracle.calls if call in ("resample", BOTH)]
    assert calls == 3 * (["resample", BOTH, BOTH] if same_sample else ["resample", BOTH, "resample", BOTH])
    assert dynamics.draws_per_step == calls.count("resample") / 3


def test_the_step_and_the_relaxation_of_extragradient_plus_follow_their_schedules():
    dynamics = ExtragradientPlus(Polynomial(0.5, 1.0), Polynomial(0.8, 2.0))
    points = walk(dynamics, [1.0], [-0.5], 3, XY)
    z = complex(1.0, -0.5)
    for t in range(3):
        g, alpha = 0.5 / (1 + t), 0.8 / (1 + t) ** 2
        z -= alpha * g * -1j * (z - g * -1j * z)  # V(x, y) = (y, -x) = -i z
        assert points[t + 1].tolist() == pytest.approx([z.real, z.imag], abs=1e-14)


# ---------------------------------------------------------------------- AdaptiveEG+


@pytest.mark.parametrize(("c", "g", "curvature", "relaxation"), [(0.2, 0.7, -0.3, 1.0), (0.45, 1.0, -0.495, 1.7)])
def test_adaptive_extragradient_plus_multiplies_by_its_known_factor(c, g, curvature, relaxation):
    got = multiplier(AdaptiveExtragradientPlus(g, curvature, relaxation), WeakMinty(1.0, c))
    assert got == pytest.approx(adaptive_factor(c, g, curvature, relaxation), abs=1e-12)


def test_adaptive_extragradient_plus_copes_with_weak_minty_games_up_to_nearly_a_half():
    for c in (0.1, 0.3, 0.49):
        assert multiplier(AdaptiveExtragradientPlus(1.0), WeakMinty(1.0, c)) < 1 - 1e-6
    assert multiplier(AdaptiveExtragradientPlus(1.0), WeakMinty(1.0, 0.5)) > 1 + 1e-6


def test_projected_adaptive_extragradient_plus_makes_the_step_written_out():
    game = Bilinear([[1.0]], [0.9], [0.9], Box([-1.0], [1.0]), Box([-1.0], [1.0]))
    profile = Profile(vectors([0.8]), vectors([-1.0]))
    dynamics = AdaptiveExtragradientPlus(0.5, -0.2, 1.5)
    states, _ = run(dynamics, VectorOracle(game), profile, 1)
    # As for EG+: w - z = (0.2, 0), d = (0.2, 0.1), so alpha = -0.2 + 0.04 / 0.05 = 0.6 and z moves by 0.9 d.
    assert [float(own[VECTOR]) for own in states[1].base] == pytest.approx([0.98, -0.91], abs=1e-14)
    shown = dynamics.diagnostics(states[1])
    assert shown["generators/relaxation"] == shown["critics/relaxation"] == pytest.approx(0.6, abs=1e-12)


def test_adaptive_extragradient_plus_rests_where_the_field_is_zero():
    points = walk(AdaptiveExtragradientPlus(0.5), [0.0], [0.0], 3, XY)
    assert torch.equal(points, torch.zeros_like(points))


# ---------------------------------------------------------------------- all


KINDS = [
    ExtragradientPlus(0.4, 0.6),
    AdaptiveExtragradientPlus(0.4),
    CurvatureExtragradientPlus(),
]


@pytest.mark.parametrize("dynamics", KINDS, ids=lambda one: type(one).__name__)
def test_a_batch_of_games_is_played_as_one_by_one(dynamics):
    profile = Profile(
        *(
            Population({VECTOR: 0.3 * normal(5, count, 1, key=i)}, torch.log_softmax(normal(5, count, key=i + 2), -1))
            for i, count in enumerate((2, 3))
        )
    )
    states, _ = run(dynamics, VectorOracle(FORSAKEN), profile, 5)
    for game in range(5):
        alone = Profile(*(Population({VECTOR: one.params[VECTOR][game]}, one.log_weights[game]) for one in profile))
        ends, _ = run(dynamics, VectorOracle(FORSAKEN), alone, 5)
        for own, all_of_it in zip(positions(dynamics, ends[-1]), positions(dynamics, states[-1]), strict=True):
            torch.testing.assert_close(own, all_of_it[game])


@pytest.mark.parametrize("dynamics", KINDS, ids=lambda one: type(one).__name__)
def test_weights_weigh_the_opponents_gradients_and_stay(dynamics):
    profile = Profile(vectors([1.0], [0.2], weights=[0.3, 0.7]), vectors([0.5], [-0.5], [0.1], weights=[0.6, 0.3, 0.1]))
    states, _ = run(dynamics, VectorOracle(XY), profile, 1)
    after = dynamics.profile(states[1])
    assert torch.equal(after.generators.log_weights, profile.generators.log_weights)
    assert torch.equal(after.critics.log_weights, profile.critics.log_weights)
    # All particles of a player feel the mean of the other's, so they all move alike.
    moved = after.generators.params[VECTOR] - profile.generators.params[VECTOR]
    torch.testing.assert_close(moved[0], moved[1])
    assert abs(float(moved[0])) > 1e-3


@pytest.mark.parametrize("dynamics", KINDS, ids=lambda one: type(one).__name__)
def test_put_elsewhere_a_dynamics_goes_on_from_there(dynamics):
    here, there = (Profile(vectors([x]), vectors([y])) for x, y in ((1.0, -0.8), (0.3, 0.2)))
    states, _ = run(dynamics, VectorOracle(FORSAKEN), here, 3)
    put = dynamics.replace_profile(states[-1], there)
    oracle = VectorOracle(FORSAKEN)
    moved, _ = dynamics.step(put, oracle, make_rng(0))
    expected, _ = dynamics.step(dynamics.init(there), oracle, make_rng(0))
    assert positions(dynamics, moved) == positions(dynamics, expected)
    assert moved.steps == 4


def test_the_proven_steps_are_those_of_the_theory():
    assert ExtragradientPlus(0.1, 0.5).proven_steps(2.0, 0.0) == (0.0, 0.5)
    assert ExtragradientPlus(0.1, 0.5).proven_steps(2.0, -0.1) == pytest.approx((0.4, 0.5))
    low, high = ExtragradientPlus(0.1, 0.5).proven_steps(2.0, -0.13)  # below -1/(8L) = -(1 - alpha)/(4L)
    assert low > high
    assert ExtragradientPlus(0.1, 1.0).proven_steps(2.0, 0.0) == (0.0, 0.5)
    assert ExtragradientPlus(0.1, 1.0).proven_steps(2.0, -0.1) is None
    assert ExtragradientPlus(0.1, 1.2).proven_steps(2.0, 0.0) is None
    assert ExtragradientPlus(0.1, Polynomial(0.5, 1.0)).proven_steps(2.0, 0.0) is None
    for dynamics in (AdaptiveExtragradientPlus(0.1), CurvatureExtragradientPlus()):
        assert dynamics.proven_steps(2.0, 0.0) == (0.0, 0.5)
        assert dynamics.proven_steps(2.0, -0.2) == pytest.approx((0.2 / 0.495, 0.5))
        low, high = dynamics.proven_steps(2.0, -0.25)
        assert low > high
    low, high = AdaptiveExtragradientPlus(0.1, 0.0).proven_steps(2.0, -1e-3)
    assert low > high


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ExtragradientPlus(0.0), "step size of EG\\+ must be positive"),
        (lambda: ExtragradientPlus(0.1, -0.5), "relaxation of EG\\+ must be positive"),
        (lambda: AdaptiveExtragradientPlus(-0.1), "step size of AdaptiveEG\\+ must be positive"),
        (lambda: AdaptiveExtragradientPlus(0.1, -0.5), "must lie in \\(-1/2, 0\\], found -0.5"),
        (lambda: AdaptiveExtragradientPlus(0.1, 0.1), "must lie in \\(-1/2, 0\\], found 0.1"),
        (lambda: CurvatureExtragradientPlus(relaxation=2.0), "must lie in \\(0, 2\\), found 2.0"),
        (lambda: CurvatureExtragradientPlus(safety=1.0), "safety of CurvatureEG\\+ must lie in \\(0, 1\\)"),
        (lambda: CurvatureExtragradientPlus(shrinkage=0.0), "shrinkage of CurvatureEG\\+ must lie in \\(0, 1\\)"),
        (lambda: CurvatureExtragradientPlus(max_backtracks=-1), "cannot be fewer than 0, found -1"),
        (lambda: CurvatureExtragradientPlus(max_step_size=0.0), "largest step size of CurvatureEG\\+ must be positive"),
        (lambda: CurvatureExtragradientPlus(power_iterations=0), "needs at least 1 power iteration"),
    ],
)
def test_arguments_outside_their_range_are_refused(make, message):
    with pytest.raises(InvalidInputError, match=message):
        make()
