"""Dynamics on the bilinear game: exact multipliers, golden trajectories, and who is asked what in which order."""

import math

import pytest
import torch
from problems import (
    DOUBLE,
    MATRIX_GAMES,
    SpyOracle,
    make_rng,
    normal,
    positions,
    run,
    vector_batch,
    vector_oracle,
    vectors,
)

from mixnash.core.dynamics.alternating import Alternating
from mixnash.core.dynamics.extragradient import Extragradient
from mixnash.core.dynamics.simultaneous import Simultaneous
from mixnash.core.errors import InvalidInputError
from mixnash.core.feedback import GameOracle, feedback
from mixnash.core.games.bilinear import Bilinear
from mixnash.core.games.matrix import Matrix
from mixnash.core.games.vectors import VECTOR, VECTOR_NETWORKS
from mixnash.core.population import make_population
from mixnash.core.rules.adam import Adam
from mixnash.core.rules.base import PlayerRules
from mixnash.core.rules.entropic import EntropicMirrorDescent
from mixnash.core.rules.frozen import Frozen
from mixnash.core.rules.langevin import Langevin
from mixnash.core.rules.sgd import SGD
from mixnash.core.schedules import Exponential
from mixnash.core.types import BOTH, CRITICS, GENERATORS, Player, Profile

XY = Bilinear([[1.0]])


def rules(position):
    return PlayerRules(position, Frozen())


def descend(kind, step_size, **arguments):
    return kind(rules(SGD(step_size)), rules(SGD(step_size)), **arguments)


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
            descend(Simultaneous, 0.3), (minimiser + 0.8 * left[:, i]).tolist(), (maximiser - 0.6 * right[i]).tolist(), 40, game
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
    dynamics = Alternating(rules(SGD(0.2)), rules(SGD(0.05)), critic_steps=3)
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
    dynamics = Simultaneous(rules(Adam(0.01, 0.5, 0.9)), rules(Adam(0.01, 0.5, 0.9)))
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


# ---------------------------------------------------------------------- who is asked what

G, D = Player.GENERATOR, Player.CRITIC
CALLS = {
    "simultaneous": (descend(Simultaneous, 0.1), ["resample", BOTH, G, D]),
    "alternating": (descend(Alternating, 0.1), ["resample", CRITICS, D, "resample", GENERATORS, G]),
    "alternating, 3": (
        descend(Alternating, 0.1, critic_steps=3),
        ["resample", CRITICS, D] * 3 + ["resample", GENERATORS, G],
    ),
    "extragradient": (descend(Extragradient, 0.1), ["resample", BOTH, G, D, "resample", BOTH, G, D]),
    "extragradient, same": (
        descend(Extragradient, 0.1, same_sample=True),
        ["resample", BOTH, G, D, BOTH, G, D],
    ),
}


@pytest.mark.parametrize(("dynamics", "calls"), CALLS.values(), ids=CALLS)
def test_a_step_resamples_evaluates_and_projects_in_this_order(dynamics, calls):
    oracle = vector_oracle(XY)
    run(dynamics, oracle, Profile(vectors([1.0]), vectors([2.0])), 2)
    assert oracle.calls == calls * 2


@pytest.mark.parametrize(("dynamics", "calls"), CALLS.values(), ids=CALLS)
def test_a_step_consumes_the_draws_it_announces(dynamics, calls):
    drawn, used = [], []

    def draw(players):
        drawn.append(vector_batch(1, 1))
        return drawn[-1]

    def evaluate(game, networks, profile, batch, players):
        used.append(next(i for i, one in enumerate(drawn) if one is batch))
        return feedback(game, networks, profile, batch, players)

    oracle = SpyOracle(GameOracle(XY, VECTOR_NETWORKS, draw, evaluate=evaluate))
    run(dynamics, oracle, Profile(vectors([1.0]), vectors([2.0])), 3)
    assert len(drawn) == 3 * dynamics.draws_per_step == 3 * calls.count("resample")
    assert used == sorted(used)
    assert set(used) == set(range(len(drawn)))  # every set of draws is used, the newest always


def test_extragradient_evaluates_at_the_look_ahead_and_moves_from_where_it_was():
    oracle = vector_oracle(XY)
    run(descend(Extragradient, 0.25), oracle, Profile(vectors([1.0]), vectors([2.0])), 1)
    here, ahead = ([float(one.params[VECTOR]) for one in profile] for profile in oracle.profiles)
    assert here == [1.0, 2.0]
    assert ahead == pytest.approx([1 - 0.25 * 2, 2 + 0.25 * 1])


def test_the_look_ahead_of_extragradient_does_not_advance_the_state_of_its_rules():
    rate = Exponential(0.1, 0.5)
    dynamics = Extragradient(rules(Adam(rate, 0.5, 0.8)), rules(SGD(rate)))
    states, _ = run(dynamics, vector_oracle(XY), Profile(vectors([1.0]), vectors([2.0])), 2)
    x, y, mean, square = 1.0, 2.0, 0.0, 0.0

    def adam(gradient, step):
        m, v = 0.5 * mean + 0.5 * gradient, 0.8 * square + 0.2 * gradient**2
        corrected = (v / (1 - 0.8 ** (step + 1))) ** 0.5 + 1e-8
        return x - 0.1 * 0.5**step * m / (1 - 0.5 ** (step + 1)) / corrected, m, v

    for step in range(2):
        assert states[step].generators.position.updates == states[step].critics.position.updates == step
        ahead_x, ahead_y = adam(y, step)[0], y + 0.1 * 0.5**step * x
        (x, mean, square), y = adam(ahead_y, step), y + 0.1 * 0.5**step * ahead_x
        got = positions(dynamics, states[step + 1])
        assert (float(got[0]), float(got[1])) == pytest.approx((x, y), abs=1e-14)


def test_critics_count_their_own_updates():
    dynamics = Alternating(rules(SGD(0.1)), rules(SGD(Exponential(0.1, 0.5))), critic_steps=3)
    states, _ = run(dynamics, vector_oracle(XY), Profile(vectors([1.0]), vectors([0.0])), 1)
    assert states[1].generators.position.updates == 1
    assert states[1].critics.position.updates == 3
    assert float(positions(dynamics, states[1])[1]) == pytest.approx(0.1 + 0.05 + 0.025)
    assert dynamics.diagnostics(states[1]) == pytest.approx({"generators/step_size": 0.1, "critics/step_size": 0.0125})


def test_alternating_reports_the_values_generators_saw_and_the_losses_critics_saw():
    dynamics = descend(Alternating, 0.5, critic_steps=2)
    _, (seen,) = run(dynamics, vector_oracle(XY), Profile(vectors([1.0]), vectors([2.0])), 1)
    assert float(seen.values) == 3.0  # x = 1, y = 2 + 0.5 + 0.5
    assert float(seen.generator_losses) == 3.0
    assert float(seen.critic_losses) == -2.5  # before their second update
    assert float(seen.critic_grads[VECTOR]) == -1.0


def test_weights_and_positions_move_on_one_feedback():
    both = PlayerRules(SGD(0.1), EntropicMirrorDescent(0.3))
    dynamics = Simultaneous(both, both)
    profile = Profile(vectors([1.0], [-2.0], weights=[0.25, 0.75]), vectors([3.0]))
    states, _ = run(dynamics, vector_oracle(XY, 2), profile, 1)
    x, y = positions(dynamics, states[1])
    assert x.flatten().tolist() == pytest.approx([1 - 0.3, -2 - 0.3])
    assert float(y) == pytest.approx(3 + 0.1 * (0.25 - 1.5))
    raw = [0.25 * math.exp(-0.3 * 3), 0.75 * math.exp(0.3 * 6)]  # losses x y at the old positions
    got = dynamics.profile(states[1]).generators.log_weights.exp().tolist()
    assert got == pytest.approx([one / sum(raw) for one in raw], abs=1e-14)


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


# ---------------------------------------------------------------------- randomness

HOT = PlayerRules(Langevin(0.02, 0.5), Frozen())


def test_generators_draw_their_noise_first():
    states, _ = run(Simultaneous(HOT, HOT), vector_oracle(XY), Profile(vectors([0.0]), vectors([0.0])), 1, make_rng(5))
    first, second = torch.randn(2, generator=make_rng(5), dtype=DOUBLE).tolist()
    scale = math.sqrt(2 * 0.02 * 0.5)
    x, y = positions(Simultaneous(HOT, HOT), states[1])
    assert (float(x), float(y)) == pytest.approx((scale * first, scale * second), abs=1e-14)


def test_both_updates_of_extragradient_have_noise_of_their_own():
    count, dynamics = 4000, Extragradient(HOT, HOT)
    still = Profile(make_population({VECTOR: torch.zeros(count, 1, dtype=DOUBLE)}), vectors([0.0]))
    oracle = vector_oracle(Bilinear([[1e-9]]), count)
    states, _ = run(dynamics, oracle, still, 1, make_rng(6))
    ahead, after = oracle.profiles[1].generators.params[VECTOR].flatten(), positions(dynamics, states[1])[0].flatten()
    variance = 2 * 0.02 * 0.5
    for one in (ahead, after):
        assert float(one.var()) / variance == pytest.approx(1, abs=4 * math.sqrt(2 / count))
    assert abs(float((ahead * after).mean())) / variance < 4 / math.sqrt(count)


# ---------------------------------------------------------------------- refusals


def test_alternating_refuses_critics_that_never_move():
    with pytest.raises(InvalidInputError, match="need at least 1 critic step, found 0"):
        descend(Alternating, 0.1, critic_steps=0)
