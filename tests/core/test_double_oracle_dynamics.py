"""Double oracle with few particles: one round by hand, known equilibria of continuous games, and who leaves."""

import pytest
import torch

from mixnash.core.domains import Box
from mixnash.core.dynamics.double_oracle import DoubleOracle
from mixnash.core.errors import InvalidInputError
from mixnash.core.games.bilinear import Bilinear
from mixnash.core.games.hinge import Hinge
from mixnash.core.games.matrix import Matrix
from mixnash.core.games.squared_distance import SquaredDistance
from mixnash.core.games.vectors import VECTOR
from mixnash.core.population import weights
from mixnash.core.rules.adam import Adam
from mixnash.core.rules.langevin import Langevin
from mixnash.core.rules.sgd import SGD
from mixnash.core.tree import flatten
from mixnash.core.types import Player, Profile
from mixnash.core.vector_oracle import VectorOracle
from mixnash.equilibrium.linear_program import LinearProgram
from problems import (
    DOUBLE,
    MATRIX_GAMES,
    EnumeratedSupports,
    SpyOracle,
    gan_oracle,
    make_rng,
    matrix_gap,
    normal,
    positions,
    run,
    tanh_problem,
    vectors,
)

SOLVERS = pytest.mark.parametrize("solver", [EnumeratedSupports(), LinearProgram()], ids=["supports", "program"])


@pytest.mark.parametrize("name", MATRIX_GAMES)
def test_the_solver_of_these_tests_is_exact(name):
    known = MATRIX_GAMES[name]
    p, q = EnumeratedSupports().solve(torch.tensor(known.payoff, dtype=DOUBLE))
    assert (p.tolist(), q.tolist()) == (pytest.approx(known.row), pytest.approx(known.column))


def test_the_solver_of_these_tests_has_no_gap_on_random_games():
    payoff = normal(3, 4)
    p, q = EnumeratedSupports().solve(payoff)
    assert matrix_gap(payoff @ q, -(p @ payoff)) == pytest.approx(0, abs=1e-12)


def test_a_round_by_hand_on_a_bilinear_game_in_a_box():
    # x y on [-1, 1]^2, steps of 1/2, two per response. Generators 0.4 (weight 1/4), -0.2 (3/4): mean -0.05. Critics 0.6
    # (1/3), 0.3 (2/3): mean 0.4. The new generator starts at -0.2: -0.2 - 0.2 - 0.2 = -0.6. The new critic starts at
    # 0.3: 0.3 - 0.025 - 0.025 = 0.25. Rows 0.4, -0.2, -0.6; columns 0.6, 0.3, 0.25: the column player takes the least
    # |y| against the row -0.6, a saddle point: -0.6 and 0.25. All old weights are zero: the first of each leaves.
    game = Bilinear([[1.0]], minimiser_domain=Box([-1.0], [1.0]), maximiser_domain=Box([-1.0], [1.0]))
    start = Profile(vectors([0.4], [-0.2], weights=[1 / 4, 3 / 4]), vectors([0.6], [0.3], weights=[1 / 3, 2 / 3]))
    dynamics = DoubleOracle(SGD(0.5), SGD(0.5), EnumeratedSupports(), response_steps=2)
    states, (seen,) = run(dynamics, VectorOracle(game), start, 1)
    x, y = positions(dynamics, states[-1])
    assert x.flatten().tolist() == pytest.approx([-0.6, -0.2])
    assert y.flatten().tolist() == pytest.approx([0.25, 0.3])
    profile = dynamics.profile(states[-1])
    assert weights(profile.generators).tolist() == pytest.approx([1, 0], abs=1e-15)
    assert profile.generators.log_weights[1] == pytest.approx(-50.0)
    assert weights(profile.critics).tolist() == pytest.approx([1, 0], abs=1e-15)
    # Old value -0.05 x 0.4 = -0.02; the new generator pays -0.24 against the old critics; the new critic gets -0.0125.
    shown = dynamics.diagnostics(states[-1])
    assert shown == pytest.approx(
        {"generators/gain": 0.22, "critics/gain": 0.0075, "generators/support": 1, "critics/support": 1}
    )
    assert seen.generator_losses.tolist() == pytest.approx([-0.15, -0.05])
    assert seen.critic_losses.tolist() == pytest.approx([0.15, 0.18])
    assert seen.values.tolist() == [pytest.approx([-0.15, -0.18]), pytest.approx([-0.05, -0.06])]


@SOLVERS
@pytest.mark.parametrize(("generators", "critics"), [(2, 2), (2, 3)])
def test_guessing_a_location_is_solved(solver, generators, critics):
    # (x - y)^2 on [-1, 1]: value 1, x at 0, y at both ends equally often.
    start = Profile(
        vectors(*([one] for one in (0.9, -0.5)[:generators])), vectors(*([one] for one in (0.3, 0.8, -0.1)[:critics]))
    )
    dynamics = DoubleOracle(SGD(0.2), SGD(0.2), solver, response_steps=20, perturbation=0.05)
    states, seen = run(dynamics, VectorOracle(SquaredDistance()), start, 25)
    profile = dynamics.profile(states[-1])
    p, q = (weights(one) for one in profile)
    x, y = (one.flatten() for one in positions(dynamics, states[-1]))
    assert float(p @ seen[-1].values @ q) == pytest.approx(1, abs=1e-4)
    assert float(p @ x.square()) == pytest.approx(0, abs=1e-4)
    assert float(q[y > 0.999].sum()) == pytest.approx(0.5, abs=0.01)
    assert float(q[y < -0.999].sum()) == pytest.approx(0.5, abs=0.01)
    # Against such mixtures nobody can gain: x pays Var(y) at least, y gets (1 + |mean x|)^2 + Var(x) at most.
    shown = dynamics.diagnostics(states[-1])
    assert max(shown[f"{player}/gain"] for player in ("generators", "critics")) < 1e-3


def test_a_single_particle_answers_the_opponents_last_strategy():
    dynamics = DoubleOracle(SGD(0.5), SGD(0.5), LinearProgram(), response_steps=30, perturbation=0.1)
    states, _ = run(dynamics, VectorOracle(SquaredDistance()), Profile(vectors([0.2]), vectors([0.7])), 3)
    (x1, y1), (x2, y2), (x3, y3) = ([float(one) for one in positions(dynamics, state)] for state in states[1:])
    assert (x1, y1) == (pytest.approx(0.7), 1.0)
    assert (x2, y2) == (pytest.approx(1.0), 1.0)
    assert x3 == pytest.approx(1.0)
    assert y3 == -1.0  # a start off 1, where x now is, runs to the far end
    assert float(dynamics.profile(states[-1]).generators.log_weights) == 0.0


def test_the_lightest_old_particle_leaves_and_of_several_without_weight_the_oldest():
    # Critics at the ends, generators that can do no better than 0: one generator at most carries weight, so after three
    # rounds none is left that was there in the beginning.
    start = Profile(vectors([0.9], [-0.8], [0.5]), vectors([1.0], [-1.0]))
    dynamics = DoubleOracle(SGD(0.3), SGD(0.3), EnumeratedSupports(), response_steps=25)
    states, _ = run(dynamics, VectorOracle(SquaredDistance()), start, 3)
    assert sorted(states[-1].generator_rounds.tolist()) == [1, 2, 3]


def test_newcomers_never_drive_out_what_the_equilibrium_needs():
    # All pure strategies of a matrix game are needed; newcomers lie somewhere in the simplex and cannot do better.
    known = MATRIX_GAMES["asymmetric pennies"]
    game = Matrix(known.payoff)
    start = Profile(game.pure_strategies(Player.GENERATOR), game.pure_strategies(Player.CRITIC))
    dynamics = DoubleOracle(SGD(0.1), SGD(1e-6), LinearProgram(), response_steps=2, perturbation=0.4)
    states, _ = run(dynamics, VectorOracle(game), start, 12)
    for state in states[1:]:
        means = [weights(one) @ one.params[VECTOR] for one in dynamics.profile(state)]
        assert means[0].tolist() == pytest.approx(known.row, abs=1e-9)
        assert means[1].tolist() == pytest.approx(known.column, abs=1e-9)


def test_a_particle_that_the_enlarged_game_needs_stays():
    # Both critics at the ends are needed once the generators are at 0; the third, without weight, is the one to go.
    start = Profile(vectors([0.0], [0.1]), vectors([-1.0], [0.2], [1.0], weights=[0.4, 0.2, 0.4]))
    dynamics = DoubleOracle(SGD(0.1), SGD(0.1), LinearProgram(), response_steps=3)
    states, _ = run(dynamics, VectorOracle(SquaredDistance()), start, 1)
    y = positions(dynamics, states[-1])[1].flatten().tolist()
    assert (y[0], y[2]) == (-1.0, 1.0)
    assert states[-1].critic_rounds.tolist() == [0, 1, 0]


def test_a_round_draws_anew_for_every_update_and_the_matrix_and_trains_one_particle():
    problem, dynamics = tanh_problem(2, 3), DoubleOracle(Adam(0.05), Langevin(0.05, 0.1), EnumeratedSupports(), 4, 0.1)
    oracle = gan_oracle(problem, Hinge())
    states, (seen,) = run(dynamics, oracle, problem.profile, 1)
    assert [tuple(len(one.log_weights) for one in profile) for profile in oracle.profiles] == (
        [(1, 3)] * 4 + [(2, 1)] * 4 + [(3, 4)]
    )
    assert oracle.calls.count("resample") == dynamics.draws_per_step == 9
    # One particle of each player is new, the others are those that were there.
    for before, after in zip(problem.profile, dynamics.profile(states[-1]), strict=True):
        changed = (before.params["a.weight"] != after.params["a.weight"]).flatten(1).any(1)
        assert int(changed.sum()) == 1
    p, q = (weights(one) for one in dynamics.profile(states[-1]))
    assert matrix_gap(seen.generator_losses, seen.critic_losses) == pytest.approx(0, abs=1e-10)
    torch.testing.assert_close((p @ seen.generator_losses), -(q @ seen.critic_losses))


def test_newcomers_do_not_face_particles_without_weight():
    start = Profile(vectors([0.9], [-0.5], [0.3]), vectors([0.4], [0.8], [-0.1], weights=[0.25, 1e-12, 0.75]))
    dynamics = DoubleOracle(SGD(0.1), SGD(0.1), EnumeratedSupports(), response_steps=2)
    oracle = SpyOracle(VectorOracle(SquaredDistance()))
    run(dynamics, oracle, start, 1)
    for seen in oracle.profiles[:2]:
        assert seen.critics.params[VECTOR].flatten().tolist() == pytest.approx([0.4, -0.1])
        assert weights(seen.critics).tolist() == pytest.approx([0.25, 0.75])
    assert [len(one.log_weights) for one in oracle.profiles[-1]] == [4, 4]  # they may still find their way back


def test_single_precision_states_keep_their_shapes_and_finite_log_weights():
    start = Profile(
        *(one._replace(params={VECTOR: one.params[VECTOR].float()}, log_weights=one.log_weights.float())
          for one in (vectors([0.9], [-0.5]), vectors([0.3], [0.8], [-0.1])))
    )  # fmt: skip
    dynamics = DoubleOracle(SGD(0.2), SGD(0.2), LinearProgram(), response_steps=5, perturbation=0.05)
    states, _ = run(dynamics, VectorOracle(SquaredDistance()), start, 4)
    shapes = [
        {name: (leaf.shape, leaf.dtype) for name, leaf in flatten(one).items() if name != "rounds"} for one in states
    ]
    assert all(one == shapes[0] for one in shapes)
    assert all(bool(torch.isfinite(one.log_weights).all()) for state in states for one in state.profile)
    assert states[-1].rounds == 4


def test_newcomers_are_perturbed_inside_the_domain_from_the_given_generator():
    game = SquaredDistance()
    start = Profile(vectors([0.9], [-0.5]), vectors([1.0], [0.8], weights=[0.9, 0.1]))
    dynamics = DoubleOracle(SGD(1e-9), SGD(1e-9), EnumeratedSupports(), response_steps=1, perturbation=0.3)
    newcomers = []
    for seed in range(8):
        oracle = SpyOracle(VectorOracle(game))
        run(dynamics, oracle, start, 1, make_rng(seed))
        newcomers.append(oracle.profiles[-1].critics.params[VECTOR][-1].item())
        assert oracle.calls[0] == "resample"
        assert Player.CRITIC in oracle.calls
    assert len(set(newcomers)) > 3
    assert all(-1 <= one <= 1 for one in newcomers)


def test_the_mixture_can_be_replaced():
    start = Profile(vectors([0.9], [-0.5]), vectors([0.3], [0.8], [-0.1]))
    dynamics = DoubleOracle(SGD(0.2), SGD(0.2), LinearProgram(), response_steps=2)
    states, _ = run(dynamics, VectorOracle(SquaredDistance()), start, 2)
    moved = dynamics.replace_profile(states[-1], start)
    assert dynamics.profile(moved) is start
    assert moved.rounds == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0,), "needs at least 1 response step, found 0"),
        ((5, -0.1), "perturbation of new particles must be at least 0"),
    ],
)
def test_arguments_outside_their_range_are_refused(arguments, message):
    with pytest.raises(InvalidInputError, match=message):
        DoubleOracle(SGD(0.1), SGD(0.1), EnumeratedSupports(), *arguments)
