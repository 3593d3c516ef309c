"""Dynamics on the bilinear game: exact multipliers, golden trajectories, and who is asked what in which order."""

import math

import pytest
import torch

from mixnash.core.dynamics.alternating import Alternating
from mixnash.core.dynamics.extragradient import Extragradient
from mixnash.core.dynamics.simultaneous import Simultaneous
from mixnash.core.games.bilinear import Bilinear
from mixnash.core.games.matrix import Matrix
from mixnash.core.games.vectors import VECTOR
from mixnash.core.rules.adam import Adam
from mixnash.core.rules.sgd import SGD
from mixnash.core.types import Profile
from problems import (
    DOUBLE,
    MATRIX_GAMES,
    descend,
    frozen,
    normal,
    positions,
    run,
    vector_oracle,
    vectors,
)

XY = Bilinear([[1.0]])


def trajectory(dynamics, x, y, steps, game=XY):
    """Points (x_t, y_t) of single particles: tensors [steps + 1, dim]."""
    states, _ = run(dynamics, vector_oracle(game, 1, len(x)), Profile(vectors(x), vectors(y)), steps)
    points = [positions(dynamics, state) for state in states]
    return torch.stack([point[0][0] for point in points]), torch.stack([point[1][0] for point in points])


def step_matrix(dynamics):
    """The linear map of one step on x y."""
    columns = [trajectory(dynamics, [x], [y], 1) for x, y in ((1.0, 0.0), (0.0, 1.0))]
    return torch.stack([torch.cat([x[1], y[1]]) for x, y in columns], dim=1)


# ---------------------------------------------------------------------- exact multipliers


def test_simultaneous_descent_leaves_the_equilibrium_by_the_factor_of_each_singular_value():
    matrix = normal(3, 2)
    minimiser, maximiser = normal(3, key=1), normal(2, key=2)
    game = Bilinear(matrix.tolist(), minimiser.tolist(), maximiser.tolist())
    left, singular, right = torch.linalg.svd(matrix, full_matrices=False)
    for i, s in enumerate(singular.tolist()):
        x, y = trajectory(
            descend(Simultaneous, 0.3),
            (minimiser + 0.8 * left[:, i]).tolist(),
            (maximiser - 0.6 * right[i]).tolist(),
            40,
            game,
        )
        norms = ((x - minimiser).square().sum(1) + (y - maximiser).square().sum(1)).sqrt()
        growth = torch.full((40,), math.sqrt(1 + (0.3 * s) ** 2), dtype=DOUBLE)
        torch.testing.assert_close(norms[1:] / norms[:-1], growth, rtol=0, atol=1e-12)


@pytest.mark.parametrize("step_size", [0.1, math.sqrt(0.5), 0.99, 1.3])
def test_extragradient_shrinks_by_its_known_factor(step_size):
    x, y = trajectory(descend(Extragradient, step_size), [1.0], [-0.5], 40)
    norms = (x.square() + y.square()).sqrt().squeeze()
    factor = math.sqrt(1 - step_size**2 + step_size**4)
    torch.testing.assert_close(norms[1:] / norms[:-1], torch.full((40,), factor, dtype=DOUBLE), rtol=0, atol=1e-12)
    assert (factor < 1) == (step_size < 1)


@pytest.mark.parametrize(("step_size", "critic_steps"), [(0.1, 1), (1.9, 1), (0.8, 3), (1.14, 3)])
def test_alternating_descent_preserves_area_and_stays_bounded_for_small_steps(step_size, critic_steps):
    dynamics = descend(Alternating, step_size, critic_steps=critic_steps)
    matrix = step_matrix(dynamics)
    assert float(torch.linalg.det(matrix)) == pytest.approx(1, abs=1e-12)
    assert float(matrix.trace()) == pytest.approx(2 - critic_steps * step_size**2, abs=1e-12)
    x, y = trajectory(dynamics, [1.0], [0.3], 400)
    conserved = critic_steps * x.square() + critic_steps * step_size * x * y + y.square()
    torch.testing.assert_close(conserved, conserved[:1].expand_as(conserved), rtol=1e-10, atol=0)


@pytest.mark.parametrize(("step_size", "critic_steps"), [(2.05, 1), (1.16, 3)])
def test_alternating_descent_diverges_for_larger_steps(step_size, critic_steps):
    x, y = trajectory(descend(Alternating, step_size, critic_steps=critic_steps), [1.0], [0.3], 100)
    assert float(x[-1].abs() + y[-1].abs()) > 1e3


def test_alternating_descent_with_unequal_steps_follows_the_recursion_written_out():
    dynamics = Alternating(frozen(SGD(0.2)), frozen(SGD(0.05)), critic_steps=3)
    xs, ys = trajectory(dynamics, [1.0], [-0.4], 10)
    x, y = 1.0, -0.4
    for t in range(10):
        for _ in range(3):
            y += 0.05 * x
        x -= 0.2 * y
        assert (float(xs[t + 1]), float(ys[t + 1])) == pytest.approx((x, y), abs=1e-13)


# Recorded by an independent implementation: from (1, 0) with step 0.1, after 100 steps.
GOLDEN = {Simultaneous: (-1.40884698292, -0.848506928758), Extragradient: (-0.486970728106, -0.364153395218)}


@pytest.mark.parametrize("kind", GOLDEN)
def test_a_dynamics_follows_its_golden_trajectory(kind):
    x, y = trajectory(descend(kind, 0.1), [1.0], [0.0], 100)
    assert (float(x[-1]), float(y[-1])) == pytest.approx(GOLDEN[kind], abs=1e-11)


def test_alternating_follows_the_golden_trajectory_half_a_step_later():
    # The record moves x first; as y starts at 0, its first move of x is void, and ours is ahead by one move of x.
    x, y = trajectory(descend(Alternating, 0.1), [1.0], [0.0], 100)
    assert float(y[-1]) == pytest.approx(-0.548202119544, abs=1e-11)
    assert float(x[-1]) == pytest.approx(-0.864205033088 + 0.1 * 0.548202119544, abs=1e-11)


def test_simultaneous_adam_follows_its_golden_trajectory():
    dynamics = Simultaneous(frozen(Adam(0.01, 0.5, 0.9)), frozen(Adam(0.01, 0.5, 0.9)))
    x, y = trajectory(dynamics, [1.0], [0.5], 100)
    assert (float(x[-1]), float(y[-1])) == pytest.approx((-0.0583971256958, 1.23975739495), abs=1e-11)


@pytest.mark.parametrize("kind", [Simultaneous, Extragradient, Alternating])
def test_the_means_of_populations_move_like_single_particles(kind):
    p, q = [0.2, 0.5, 0.3], [0.9, 0.1]
    x, y = normal(3, 2), normal(2, 2, key=1)
    game = Bilinear([[1.0, -2.0], [0.5, 3.0]], [0.3, -0.2], [1.0, 0.4])
    dynamics = descend(kind, 0.1)
    together = Profile(vectors(*x.tolist(), weights=p), vectors(*y.tolist(), weights=q))
    states, _ = run(dynamics, vector_oracle(game, 3, 2), together, 15)
    p, q = torch.tensor(p, dtype=DOUBLE), torch.tensor(q, dtype=DOUBLE)
    xs, ys = trajectory(dynamics, (p @ x).tolist(), (q @ y).tolist(), 15, game)
    for t, state in enumerate(states):
        many_x, many_y = positions(dynamics, state)
        torch.testing.assert_close(p @ many_x, xs[t])
        torch.testing.assert_close(q @ many_y, ys[t])
        torch.testing.assert_close(many_x - many_x[0], x - x[0])  # all particles feel one force


@pytest.mark.parametrize("kind", [Simultaneous, Extragradient, Alternating])
def test_positions_are_projected_after_every_update_also_of_the_look_ahead(kind):
    known = MATRIX_GAMES["asymmetric pennies"]
    oracle = vector_oracle(Matrix(known.payoff), 1, 2)
    run(descend(kind, 0.9), oracle, Profile(vectors([0.9, 0.1]), vectors([0.2, 0.8])), 30)
    points = torch.cat([one.params[VECTOR] for profile in oracle.profiles for one in profile])
    assert bool((points >= 0).all())
    torch.testing.assert_close(points.sum(1), torch.ones(len(points), dtype=DOUBLE))
    assert bool((points == 0).any())  # the projection was needed


def test_projected_extragradient_solves_a_matrix_game_that_simultaneous_descent_does_not():
    known = MATRIX_GAMES["asymmetric pennies"]
    profile = Profile(vectors([0.9, 0.1]), vectors([0.2, 0.8]))

    def end(kind):
        dynamics = descend(kind, 0.2)
        states, _ = run(dynamics, vector_oracle(Matrix(known.payoff), 1, 2), profile, 300)
        return torch.cat([one[0] for one in positions(dynamics, states[-1])]).tolist()

    assert end(Extragradient) == pytest.approx(known.row + known.column, abs=1e-8)
    assert end(Simultaneous) != pytest.approx(known.row + known.column, abs=0.1)
