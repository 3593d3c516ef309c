"""The proximal point method solves its implicit equation: multipliers, golden trajectories, every kind of rule."""

import math

import pytest
import torch

from mixnash.core.domains import Box, Euclidean, Torus
from mixnash.core.dynamics.anderson import AndersonHistory
from mixnash.core.dynamics.base import StepRange
from mixnash.core.dynamics.proximal_point import ProximalPoint
from mixnash.core.dynamics.simultaneous import Simultaneous
from mixnash.core.errors import InvalidInputError
from mixnash.core.feedback import GameOracle
from mixnash.core.games.bilinear import Bilinear
from mixnash.core.games.constraints import GradientPenalty
from mixnash.core.games.hinge import Hinge
from mixnash.core.games.vectors import VECTOR, AbstractVectorGame
from mixnash.core.joint import norm, place, position, subtract
from mixnash.core.rules.adam import Adam
from mixnash.core.rules.base import PlayerRules
from mixnash.core.rules.entropic import EntropicMirrorDescent
from mixnash.core.rules.langevin import Langevin
from mixnash.core.rules.sgd import SGD
from mixnash.core.rules.still import Still
from mixnash.core.schedules import Exponential
from mixnash.core.types import BOTH, Player, Profile
from mixnash.core.vector_oracle import FiniteOracle, VectorOracle
from problems import DOUBLE, descend, frozen, make_rng, normal, positions, run, tanh_problem, vectors
from toys import BOWL, FORSAKEN, XY, WeakMinty, end, walk

MATRIX = [[1.0, -2.0, 0.3], [0.5, 3.0, -1.0]]


def solved(dynamics, oracle, profile, steps, rng=None):
    """The states after each step."""
    return run(dynamics, oracle, profile, steps, rng)[0][1:]


# ---------------------------------------------------------------------- exact multipliers and golden trajectories


@pytest.mark.parametrize("step_size", [0.1, 0.9, 1.5, 20.0])
def test_every_step_on_xy_shrinks_by_the_known_factor_whether_or_not_the_plain_iteration_would_converge(step_size):
    dynamics = descend(ProximalPoint, step_size, tolerance=1e-14)
    norms = walk(dynamics, [0.8], [-0.5], 6).norm(dim=1)
    factor = torch.full((6,), 1 / math.sqrt(1 + step_size**2), dtype=DOUBLE)
    torch.testing.assert_close(norms[1:] / norms[:-1], factor, rtol=1e-7, atol=0)


@pytest.mark.parametrize(
    ("game", "x", "y", "step_size", "steps", "golden"),
    [
        (XY, 1.0, 0.0, 0.1, 100, (-0.52086652604, -0.313702525301)),
        (FORSAKEN, 1.0, -0.8, 0.05, 200, (0.544701392915, 1.40658722593)),
    ],
    ids=["xy", "forsaken"],
)
def test_the_golden_trajectories_are_followed_with_small_residuals(game, x, y, step_size, steps, golden):
    dynamics = descend(ProximalPoint, step_size, tolerance=1e-13)
    states = solved(dynamics, VectorOracle(game), Profile(vectors([x]), vectors([y])), steps)
    assert [float(one) for one in positions(dynamics, states[-1])] == pytest.approx(golden, abs=1e-10)
    assert max(float(state.residual) for state in states) <= 1e-12
    assert max(state.iterations for state in states) <= 10


@pytest.mark.parametrize("c", [0.2, 1 / 3])
@pytest.mark.parametrize("ratio", [0.9, 1.1, 3.0])
def test_weak_minty_games_are_solved_if_and_only_if_the_step_exceeds_minus_twice_rho(c, ratio):
    lipschitz = 3.0
    step_size = ratio * 2 * c / lipschitz
    norms = walk(descend(ProximalPoint, step_size), [0.8], [-0.5], 8, WeakMinty(lipschitz, c)).norm(dim=1)
    # J has the eigenvalues L (-c +- i sqrt(1 - c^2)).
    factor = 1 / abs(1 + step_size * lipschitz * complex(-c, math.sqrt(1 - c**2)))
    assert (norms[1:] / norms[:-1]).tolist() == pytest.approx([factor] * 8, abs=1e-9)
    assert (factor < 1) == (ratio > 1)
    bounds = descend(ProximalPoint, step_size).proven_steps(lipschitz, -c / lipschitz)
    assert (bounds.low < step_size < bounds.high) == (ratio > 1)


def test_every_step_is_proven_on_monotone_fields():
    assert descend(ProximalPoint, 0.1).proven_steps(7.0, 0.0) == StepRange(0.0, math.inf)


# ---------------------------------------------------------------------- the implicit equation


def explicit(rules, profile, told, oracle, rng):
    """U(z, V(w)), where `told` is the profile w."""
    states = [one.init(own) for one, own in zip(rules, profile, strict=True)]
    seen = oracle.feedback(told, BOTH)
    heard = (seen.generator_grads, seen.generator_losses), (seen.critic_grads, seen.critic_losses)
    moved = [
        one.move(state, *own, rng, lambda params, player=player: oracle.project(player, params)).population
        for one, state, own, player in zip(rules, states, heard, (Player.GENERATOR, Player.CRITIC), strict=True)
    ]
    return Profile(*moved)


def distance(one, other):
    """The largest difference in positions and in log-weights."""
    apart = [float((a.log_weights - b.log_weights).abs().max()) for a, b in zip(one, other, strict=True)]
    return max(float(norm(subtract(position(one), position(other)))), *apart)


def check(rules, oracle, profile, rtol=1e-10):
    """One step solves the equation; returns the new profile."""
    dynamics = ProximalPoint(*rules, tolerance=1e-13)
    state, _ = dynamics.step(dynamics.init(profile), oracle, make_rng(4))
    found = dynamics.profile(state)
    assert distance(found, profile) > 1e-2
    assert distance(found, explicit(rules, profile, found, oracle, make_rng(4))) < rtol
    assert distance(found, explicit(rules, profile, profile, oracle, make_rng(4))) > 1e-3  # it is not the explicit step
    return found


ENTROPIC = (
    PlayerRules(SGD(0.3), EntropicMirrorDescent(0.4, 0.1)),
    PlayerRules(SGD(0.7), EntropicMirrorDescent(0.9)),
)


def populations():
    x, y = normal(4, 2), normal(2, 3, key=1)
    return Profile(vectors(*x.tolist(), weights=[0.1, 0.4, 0.3, 0.2]), vectors(*y.tolist(), weights=[0.7, 0.3]))


def test_positions_and_weights_of_populations_move_by_the_feedback_at_the_new_point():
    check(ENTROPIC, VectorOracle(Bilinear(MATRIX)), populations())


def test_weights_alone_solve_a_matrix_game_by_the_losses_at_the_new_point():
    payoff = torch.tensor([[0.0, 25.0, -50.0], [-25.0, 0.0, 5.0], [50.0, -5.0, 0.0]], dtype=DOUBLE)
    rules = PlayerRules(Still(), EntropicMirrorDescent(0.2))
    start = vectors([0.0], [0.0], [0.0], weights=[0.3, 0.3, 0.4])
    dynamics = ProximalPoint(rules, rules)
    states = solved(dynamics, FiniteOracle(payoff), Profile(start, start), 25)
    assert max(float(state.residual) for state in states) < 1e-10
    found = dynamics.profile(states[-1]).generators.log_weights.exp()
    assert found.tolist() == pytest.approx([1 / 16, 10 / 16, 5 / 16], abs=1e-6)


def test_networks_move_by_the_feedback_at_the_new_point():
    problem = tanh_problem(2, 3)
    oracle = GameOracle(Hinge(GradientPenalty(0.5)), problem.networks, lambda _: problem.batch)
    check((PlayerRules(SGD(0.05), EntropicMirrorDescent(0.1)), frozen(SGD(0.02))), oracle, problem.profile, 1e-8)


def test_positions_end_in_their_box_at_the_projected_solution():
    box = Box([-1.0, -0.5], [0.4, 1.0]), Box([-1.0, -1.0, -1.0], [1.0, 0.2, 1.0])
    start = Profile(vectors([0.3, 0.1], [-0.9, 0.5]), vectors([0.2, -0.4, 0.3]))
    rules = (frozen(SGD(0.6)), frozen(SGD(0.9)))
    found = check(rules, VectorOracle(Bilinear(MATRIX, None, None, *box)), start)
    low, high = torch.tensor([-1.0, -0.5], dtype=DOUBLE), torch.tensor([0.4, 1.0], dtype=DOUBLE)
    x = found.generators.params[VECTOR]
    assert bool(((x >= low) & (x <= high)).all())
    assert bool(((x == low) | (x == high)).any())  # the projection was needed


class Waves(AbstractVectorGame):
    """0.1 cos 2 pi (x - y) on the circle."""

    def __init__(self):
        super().__init__(Torus(1), Torus(1))

    def payoff(self, x, y):
        return 0.1 * torch.cos(2 * torch.pi * (x - y)).squeeze(-1)


@pytest.mark.parametrize("shift", [0.3, 0.75, 0.78, 0.8])
def test_the_seam_of_a_torus_is_not_felt(shift):
    points = walk(descend(ProximalPoint, 0.3), [0.2], [0.1], 10, Waves())
    shifted = walk(descend(ProximalPoint, 0.3), [(0.2 + shift) % 1], [(0.1 + shift) % 1], 10, Waves())
    assert bool(((shifted >= 0) & (shifted < 1)).all())
    difference = (shifted - points - shift + 0.5) % 1 - 0.5
    assert float(difference.abs().max()) < 1e-11


# ---------------------------------------------------------------------- noise, states, draws


def test_langevin_noise_is_drawn_once_per_step_and_gives_the_implicit_euler_scheme():
    step_size, temperature = 0.4, 0.3
    rule = frozen(Langevin(step_size, temperature))
    dynamics, rng = ProximalPoint(rule, rule), make_rng(9)
    found = torch.tensor([0.7, -1.1], dtype=DOUBLE)
    states, _ = run(dynamics, VectorOracle(BOWL), Profile(vectors([0.7]), vectors([-1.1])), 5, rng)
    expected, noise = found, make_rng(9)
    for state in states[1:]:
        drawn = torch.cat([torch.randn(1, 1, generator=noise, dtype=DOUBLE)[0] for _ in range(2)])
        expected = (expected + math.sqrt(2 * step_size * temperature) * drawn) / (1 + 2 * step_size)
        torch.testing.assert_close(torch.cat(positions(dynamics, state)).flatten(), expected, rtol=0, atol=1e-11)
    assert torch.equal(rng.get_state(), noise.get_state())


def test_rule_states_advance_once_per_step_and_the_step_size_follows_its_schedule():
    dynamics = descend(ProximalPoint, Exponential(0.8, 0.5))
    states = solved(dynamics, VectorOracle(XY), Profile(vectors([0.8]), vectors([-0.5])), 3)
    assert [state.players.generators.position.updates for state in states] == [1, 2, 3]
    expected = math.hypot(0.8, 0.5) / math.sqrt((1 + 0.8**2) * (1 + 0.4**2) * (1 + 0.2**2))
    assert float(torch.cat(positions(dynamics, states[-1])).norm()) == pytest.approx(expected, abs=1e-11)
    assert dynamics.diagnostics(states[-1])["generators/step_size"] == pytest.approx(0.1)


def test_all_guesses_of_a_step_see_the_same_noisy_game():
    oracle = VectorOracle(XY, 0.7, make_rng(1))
    dynamics = descend(ProximalPoint, 0.5)
    states, seen = run(dynamics, oracle, Profile(vectors([0.8]), vectors([-0.5])), 2)
    assert all(float(state.residual) < 1e-11 for state in states[1:])
    first, second = (
        float(one.generator_grads[VECTOR]) - float(positions(dynamics, state)[1])
        for one, state in zip(seen, states[1:], strict=True)
    )
    assert abs(first - second) > 1e-3  # the noise of each step is its own


def test_a_momentum_rule_is_solved_for_too():
    check(
        (frozen(Adam(0.3, 0.5, 0.9, 0.5)), frozen(Adam(0.2, 0.3, 0.9, 0.5))),
        VectorOracle(BOWL),
        Profile(vectors([1.3], [0.4]), vectors([-0.7])),
    )


# ---------------------------------------------------------------------- the solver


def test_one_iteration_is_the_explicit_step_and_its_residual_is_reported():
    dynamics = descend(ProximalPoint, 0.1, max_iterations=1)
    start = Profile(vectors([0.8]), vectors([-0.5]))
    (state,) = solved(dynamics, VectorOracle(XY), start, 1)
    explicit_end = end(descend(Simultaneous, 0.1), [0.8], [-0.5], 1)
    assert tuple(float(one) for one in positions(dynamics, state)) == pytest.approx(explicit_end, abs=1e-15)
    shown = dynamics.diagnostics(state)
    assert shown["implicit/residual"] == pytest.approx(0.1 * math.hypot(0.8, 0.5), abs=1e-15)
    assert shown["implicit/iterations"] == 1.0


class Steep(AbstractVectorGame):
    """cosh x - cosh y."""

    def __init__(self):
        super().__init__(Euclidean(1), Euclidean(1))

    def payoff(self, x, y):
        return (torch.cosh(x) - torch.cosh(y)).squeeze(-1)


def test_a_step_whose_plain_iteration_overflows_is_solved_by_damping():
    dynamics = descend(ProximalPoint, 1.0)
    (state,) = solved(dynamics, VectorOracle(Steep()), Profile(vectors([7.5]), vectors([-3.0])), 1)
    assert float(state.residual) < 1e-10
    x, y = (float(one) for one in positions(dynamics, state))
    assert x + math.sinh(x) == pytest.approx(7.5, abs=1e-9)
    assert y + math.sinh(y) == pytest.approx(-3.0, abs=1e-9)


@pytest.mark.parametrize(("x", "y", "step_size"), [(2.0, -3.0, 0.5), (-3.0, 2.5, 2.0)])
def test_a_large_step_far_from_the_contractive_range_is_solved(x, y, step_size):
    dynamics = descend(ProximalPoint, step_size)
    (state,) = solved(dynamics, VectorOracle(FORSAKEN), Profile(vectors([x]), vectors([y])), 1)
    assert float(state.residual) < 1e-10
    u, v = (float(one) for one in positions(dynamics, state))
    assert u == pytest.approx(x - step_size * (v - 0.45 + u / 2 - 2 * u**3 + u**5), abs=1e-9)
    assert v == pytest.approx(y - step_size * (-u + v / 2 - 2 * v**3 + v**5), abs=1e-9)


def test_a_large_bilinear_game_is_solved_with_a_short_memory():
    matrix, start = normal(12, 9), Profile(vectors(normal(12).tolist()), vectors(normal(9, key=1).tolist()))
    dynamics = descend(ProximalPoint, 0.4, max_iterations=200)
    (state,) = solved(dynamics, VectorOracle(Bilinear(matrix.tolist())), start, 1)
    assert float(state.residual) < 1e-11
    system = torch.eye(21, dtype=DOUBLE)
    system[:12, 12:], system[12:, :12] = 0.4 * matrix, -0.4 * matrix.mT
    expected = torch.linalg.solve(system, torch.cat([normal(12), normal(9, key=1)]))
    torch.testing.assert_close(torch.cat([one[0] for one in positions(dynamics, state)]), expected, rtol=0, atol=1e-10)


def test_single_precision_stops_at_its_rounding():
    start = Profile(vectors([0.8]), vectors([-0.5]))
    start = place(start, type(position(start))(*({VECTOR: one[VECTOR].float()} for one in position(start))))
    start = Profile(*(one._replace(log_weights=one.log_weights.float()) for one in start))
    dynamics = descend(ProximalPoint, 0.5)
    (state,) = solved(dynamics, VectorOracle(XY), start, 1)
    assert state.iterations < 10
    assert float(torch.cat(positions(dynamics, state)).norm()) == pytest.approx(
        math.hypot(0.8, 0.5) / 1.25**0.5, abs=1e-6
    )


def test_a_batch_of_games_is_solved_like_each_of_them_alone():
    dynamics = ProximalPoint(*ENTROPIC)
    x, y = normal(5, 3, 1), normal(5, 2, 1, key=1)
    a, b = torch.log_softmax(normal(5, 3), -1), torch.log_softmax(normal(5, 2), -1)

    def profile(which):
        many = zip(Profile(vectors([0.0]), vectors([0.0])), (x, y), (a, b), strict=True)
        return Profile(*(one._replace(params={VECTOR: z[which]}, log_weights=w[which]) for one, z, w in many))

    together = solved(dynamics, VectorOracle(FORSAKEN), profile(slice(None)), 3)[-1]
    assert together.residual.shape == (5,)
    for k in range(5):
        alone = solved(dynamics, VectorOracle(FORSAKEN), profile(k), 3)[-1]
        for many, one in zip(dynamics.profile(together), dynamics.profile(alone), strict=True):
            torch.testing.assert_close(many.params[VECTOR][k], one.params[VECTOR], rtol=0, atol=1e-9)
            torch.testing.assert_close(many.log_weights[k], one.log_weights, rtol=0, atol=1e-9)


def test_anderson_acceleration_solves_a_linear_system_in_as_many_steps_as_it_has_unknowns():
    matrix, target = torch.eye(6, dtype=DOUBLE) + 2 * normal(6, 6), normal(6)
    history, point = AndersonHistory(6), torch.zeros(6, dtype=DOUBLE)
    for _ in range(7):
        step = target - matrix @ point
        history.add(point, step)
        point = history.next(point, step, 0.7)
    torch.testing.assert_close(point, torch.linalg.solve(matrix, target), rtol=0, atol=1e-7)


def test_anderson_acceleration_without_history_is_the_damped_plain_iteration():
    history = AndersonHistory(3)
    history.add(torch.tensor([1.0, 2.0]), torch.tensor([5.0, 5.0]))
    history.add(torch.tensor([2.0, 2.0]), torch.tensor([1.0, 4.0]))
    history.forget()
    found = history.next(torch.tensor([1.0, 2.0]), torch.tensor([0.5, -1.0]), 0.25)
    assert found.tolist() == [1.125, 1.75]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tolerance": 0.0}, r"tolerance of the proximal point method must be positive, found 0\.0"),
        ({"max_iterations": 0}, "at least 1 iteration, found 0"),
        ({"memory": 0}, "memory of at least 1, found 0"),
    ],
    ids=["tolerance", "iterations", "memory"],
)
def test_impossible_solvers_are_refused(arguments, message):
    with pytest.raises(InvalidInputError, match=message):
        descend(ProximalPoint, 0.1, **arguments)


def test_players_put_elsewhere_go_on_from_there():
    dynamics = descend(ProximalPoint, 0.3)
    oracle, there = VectorOracle(FORSAKEN), Profile(vectors([1.0]), vectors([-0.8]))
    (state,) = solved(dynamics, oracle, Profile(vectors([0.1]), vectors([0.2])), 1)
    moved, _ = dynamics.step(dynamics.replace_profile(state, there), oracle, make_rng(0))
    (fresh,) = solved(dynamics, oracle, there, 1)
    assert torch.equal(torch.cat(positions(dynamics, moved)), torch.cat(positions(dynamics, fresh)))
