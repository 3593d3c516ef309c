"""Consensus optimisation and competitive gradient descent: exact multipliers, golden trajectories, dense algebra."""

import math

import pytest
import torch

import problems
from mixnash.core.domains import Box, Euclidean
from mixnash.core.dynamics.competitive import Competitive
from mixnash.core.dynamics.consensus import Consensus
from mixnash.core.errors import InvalidInputError
from mixnash.core.feedback import GameOracle
from mixnash.core.games.bilinear import Bilinear
from mixnash.core.games.constraints import GradientPenalty, Unconstrained
from mixnash.core.games.hinge import Hinge
from mixnash.core.games.vectors import VECTOR, AbstractVectorGame
from mixnash.core.games.wasserstein import Wasserstein
from mixnash.core.joint import add, field, inner, place, position
from mixnash.core.population import weights
from mixnash.core.schedules import Polynomial
from mixnash.core.tree import map_params
from mixnash.core.types import BOTH, PairTerms, Point, Population, Profile
from mixnash.core.vector_oracle import VectorOracle
from problems import SpyOracle, make_rng, normal, positions, run, vectors
from toys import FORSAKEN, XY, Curved, end, multiplier


class GeneralSum(AbstractVectorGame):
    """Both players descend <x, y>: the coupling is symmetric, not antisymmetric."""

    zero_sum = False

    def __init__(self):
        super().__init__(Euclidean(2), Euclidean(2))

    def payoff(self, x, y):
        return (x * y).sum(-1)

    def pair_terms(self, x, y):
        value = self.payoff(x, y)
        return PairTerms(value, value, value)


def mixture(dims=(2, 3), counts=(3, 2)):
    """Populations with unequal weights."""
    return Profile(
        *(
            vectors(*normal(k, dim, key=i).tolist(), weights=[0.1, 0.6, 0.3][:k])
            for i, (dim, k) in enumerate(zip(dims, counts, strict=True))
        )
    )


def flat(point):
    """All coordinates, generators first."""
    return torch.cat([leaf.flatten() for own in point for leaf in own.values()])


def dense(derivative, like):
    """J, column by column."""
    count, columns = flat(like).numel(), []
    for index in range(count):
        unit, at = torch.zeros(count, dtype=torch.float64), 0
        unit[index] = 1
        parts = []
        for own in like:
            part = {}
            for name, leaf in own.items():
                part[name], at = unit[at : at + leaf.numel()].reshape(leaf.shape), at + leaf.numel()
            parts.append(part)
        columns.append(flat(derivative.pushforward(Point(*parts))))
    return torch.stack(columns, dim=1)


# ---------------------------------------------------------------------- consensus


@pytest.mark.parametrize(("step_size", "regularisation"), [(0.1, 0.5), (0.5, 1.3), (0.3, 0.0)])
def test_consensus_multiplies_by_its_known_factor_on_the_bilinear_game(step_size, regularisation):
    known = math.sqrt((1 - step_size * regularisation) ** 2 + step_size**2)
    assert multiplier(Consensus(step_size, regularisation), XY) == pytest.approx(known, abs=1e-12)


@pytest.mark.parametrize("regularisation", [0.5, 1.0, 3.0])
def test_consensus_is_stable_on_the_bilinear_game_up_to_its_threshold(regularisation):
    threshold = 2 * regularisation / (1 + regularisation**2)
    assert multiplier(Consensus(threshold - 1e-6, regularisation), XY) < 1 - 1e-8
    assert multiplier(Consensus(threshold + 1e-6, regularisation), XY) > 1 + 1e-8


def test_consensus_follows_its_golden_trajectories():
    assert end(Consensus(0.1, 0.5), [1.0], [0.0], 100, XY) == pytest.approx(
        [-0.00499541310026, -0.00897520556512], abs=1e-10
    )
    assert end(Consensus(0.05, 0.5), [1.0], [-0.8], 200, FORSAKEN) == pytest.approx(
        [0.0873255571373, 0.433556330681], abs=1e-10
    )


def gan(game):
    """A problem and its oracle."""
    problem = problems.tanh_problem(3, 4)
    return problem.profile, GameOracle(game, problem.networks, lambda _: problem.batch)


@pytest.mark.parametrize(
    ("profile", "oracle"),
    [(mixture(), VectorOracle(Curved())), gan(Wasserstein(Unconstrained()))],
    ids=["vectors", "networks"],
)
def test_consensus_descends_the_squared_field_of_all_particles(profile, oracle):
    step_size, regularisation, width = 0.01, 0.7, 1e-6
    states, _ = run(Consensus(step_size, regularisation), oracle, profile, 1)
    moved = add(position(states[1].profile), -1.0, position(profile))
    slope = field(oracle.feedback(profile, BOTH))
    extra = add(Point(*(map_params(lambda leaf: leaf / -step_size, own) for own in moved)), -1.0, slope)

    def energy(scale):
        here = field(oracle.feedback(place(profile, add(position(profile), scale, direction)), BOTH))
        return float(inner(here, here)) / 2

    for key in (100, 200):
        direction = Point(*(map_params(lambda leaf: normal(*leaf.shape, key=key), own) for own in slope))  # noqa: B023
        expected = regularisation * (energy(width) - energy(-width)) / (2 * width)
        assert float(inner(extra, direction)) == pytest.approx(expected, rel=1e-5)


# ---------------------------------------------------------------------- competitive


@pytest.mark.parametrize("step_size", [0.1, 1.0, 5.0])
def test_competitive_descent_shrinks_by_its_known_factor_on_the_bilinear_game(step_size):
    assert multiplier(Competitive(step_size), XY) == pytest.approx(1 / math.sqrt(1 + step_size**2), abs=1e-12)


def test_competitive_descent_follows_its_golden_trajectories():
    assert end(Competitive(0.1), [1.0], [0.0], 100, XY) == pytest.approx([-0.52086652604, -0.313702525301], abs=1e-10)
    assert end(Competitive(0.05), [1.0], [-0.8], 200, FORSAKEN) == pytest.approx(
        [0.628490987717, 1.41093232226], abs=1e-10
    )


def uncoupled(jacobian, split):
    """J without the blocks on its diagonal."""
    jacobian = jacobian.clone()
    jacobian[:split, :split] = 0
    jacobian[split:, split:] = 0
    return jacobian


@pytest.mark.parametrize("game", [Wasserstein(Unconstrained()), Wasserstein(GradientPenalty(2.0)), None])
def test_competitive_descent_solves_the_coupled_system_of_populations_with_weights(game):
    profile, oracle = (mixture(), VectorOracle(Curved())) if game is None else gan(game)
    step_size, here = 0.8, position(profile)
    dynamics = Competitive(step_size, tolerance=1e-12, max_iterations=100)
    states, _ = run(dynamics, oracle, profile, 1)
    coupled = uncoupled(dense(oracle.linearise(profile), here), sum(leaf.numel() for leaf in here.generators.values()))
    slope = flat(field(oracle.feedback(profile, BOTH)))
    expected = flat(here) - step_size * torch.linalg.solve(torch.eye(len(slope)) + step_size * coupled, slope)
    torch.testing.assert_close(flat(position(states[1].profile)), expected, rtol=1e-9, atol=1e-9)
    # The naive step is another one: the test would notice a missing solve.
    assert not torch.allclose(flat(here) - step_size * slope, expected, rtol=1e-3)


def test_conjugate_gradients_need_as_many_iterations_as_there_are_squared_singular_values():
    matrix = torch.linalg.qr(normal(4, 4)).Q @ torch.diag(torch.tensor([3.0, 3.0, 1.0, 0.2], dtype=torch.float64))
    oracle = VectorOracle(Bilinear(matrix.tolist()))
    profile = Profile(vectors(normal(4).tolist()), vectors(normal(4, key=1).tolist()))
    dynamics = Competitive(0.5, tolerance=1e-10)
    states, _ = run(dynamics, oracle, profile, 1)
    shown = dynamics.diagnostics(states[1])
    assert shown["generators/iterations"] == shown["critics/iterations"] == 3
    assert shown["generators/residual"] < 1e-10
    short = Competitive(0.5, tolerance=1e-10, max_iterations=1)
    stopped, _ = run(short, oracle, profile, 1)
    shown = short.diagnostics(stopped[1])
    assert shown["generators/iterations"] == 1
    assert 1e-3 < shown["generators/residual"] < 1


def test_the_weights_of_the_generators_make_the_system_symmetric():
    # A coupling of rank one gives two distinct eigenvalues, so two iterations, but only in the right inner product.
    profile = Profile(
        vectors([1.0], [0.2], [-0.7], weights=[0.05, 0.8, 0.15]), vectors([0.5], [-0.4], weights=[0.3, 0.7])
    )

    class Tilted(AbstractVectorGame):
        def payoff(self, x, y):
            return (x**2 * y + x * y + x**3).squeeze(-1)

    dynamics = Competitive(0.9, tolerance=1e-12, max_iterations=2)
    states, _ = run(dynamics, VectorOracle(Tilted(Euclidean(1), Euclidean(1))), profile, 1)
    assert dynamics.diagnostics(states[1])["generators/residual"] < 1e-12


def test_competitive_descent_tells_where_the_system_of_another_game_is_not_positive():
    # Here I - h^2 J_xy J_yx = (1 - h^2) I is negative for h > 1: the conjugate gradients stop at once.
    profile = Profile(vectors([1.0, 0.3]), vectors([0.5, -0.5]))
    dynamics = Competitive(1.5)
    states, _ = run(dynamics, VectorOracle(GeneralSum()), profile, 1)
    assert dynamics.diagnostics(states[1])["generators/residual"] == 1
    assert dynamics.diagnostics(states[1])["generators/iterations"] == 0
    solvable = Competitive(0.5)
    states, _ = run(solvable, VectorOracle(GeneralSum()), profile, 1)
    h, x, y = 0.5, torch.tensor([1.0, 0.3]), torch.tensor([0.5, -0.5])  # V = (y, x), J_off swaps
    expected = x - h * (y - h * x) / (1 - h**2)
    torch.testing.assert_close(positions(solvable, states[1])[0][0], expected.double(), rtol=1e-6, atol=1e-7)


# ---------------------------------------------------------------------- both


KINDS = [Consensus(0.4, 0.3), Competitive(0.4)]


@pytest.mark.parametrize("dynamics", KINDS, ids=lambda one: type(one).__name__)
def test_both_players_are_projected(dynamics):
    game = Bilinear([[1.0]], [2.0], [0.5], Box([-1.0], [1.0]), Box([-1.0], [1.0]))
    states, _ = run(dynamics, VectorOracle(game), Profile(vectors([0.9]), vectors([-0.9])), 20)
    points = torch.tensor([[float(own) for own in positions(dynamics, state)] for state in states])
    assert float(points.abs().max()) == 1
    assert points[-1].tolist() == pytest.approx([1.0, -1.0], abs=1e-9)


@pytest.mark.parametrize("dynamics", KINDS, ids=lambda one: type(one).__name__)
def test_one_evaluation_and_one_derivative_share_one_set_of_draws(dynamics):
    oracle = SpyOracle(VectorOracle(Curved()))
    run(dynamics, oracle, mixture(), 2)
    assert [call for call in oracle.calls if call in ("resample", "linearise", BOTH)] == 2 * [
        "resample",
        BOTH,
        "linearise",
    ]


@pytest.mark.parametrize("dynamics", KINDS, ids=lambda one: type(one).__name__)
def test_a_batch_of_games_is_played_as_one_by_one(dynamics):
    profile = Profile(
        *(
            Population({VECTOR: 0.3 * normal(4, k, dim, key=i)}, torch.log_softmax(normal(4, k, key=i + 2), -1))
            for i, (k, dim) in enumerate(((2, 2), (3, 3)))
        )
    )
    states, _ = run(dynamics, VectorOracle(Curved()), profile, 3)
    for game in range(4):
        alone = Profile(*(Population({VECTOR: one.params[VECTOR][game]}, one.log_weights[game]) for one in profile))
        ends, _ = run(dynamics, VectorOracle(Curved()), alone, 3)
        for own, all_of_it in zip(positions(dynamics, ends[-1]), positions(dynamics, states[-1]), strict=True):
            torch.testing.assert_close(own, all_of_it[game], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("dynamics", KINDS, ids=lambda one: type(one).__name__)
def test_weights_stay_and_a_dynamics_can_be_put_elsewhere(dynamics):
    profile, oracle = mixture(), VectorOracle(Curved())
    states, _ = run(dynamics, oracle, profile, 2)
    for before, after in zip(profile, dynamics.profile(states[-1]), strict=True):
        assert torch.equal(weights(before), weights(after))
        assert not torch.equal(before.params[VECTOR], after.params[VECTOR])
    moved, _ = dynamics.step(dynamics.replace_profile(states[-1], profile), oracle, make_rng(0))
    for got, expected in zip(positions(dynamics, moved), positions(dynamics, states[1]), strict=True):
        assert torch.equal(got, expected)


@pytest.mark.parametrize(
    "make", [lambda step_size: Consensus(step_size, 0.3), lambda step_size: Competitive(step_size, 1e-12)]
)
def test_a_schedule_counts_the_steps(make):
    scheduled, oracle = make(Polynomial(0.4, 1.0)), VectorOracle(Curved())
    states, _ = run(scheduled, oracle, mixture(), 2)
    half = make(0.2)
    expected, _ = half.step(half.init(scheduled.profile(states[1])), oracle, make_rng(0))
    for got, own in zip(positions(scheduled, states[2]), positions(half, expected), strict=True):
        torch.testing.assert_close(got, own, rtol=0, atol=1e-14)


@pytest.mark.parametrize("dynamics", KINDS, ids=lambda one: type(one).__name__)
def test_a_hinge_gan_moves_by_finite_steps(dynamics):
    profile, oracle = gan(Hinge(GradientPenalty(2.0)))
    states, _ = run(dynamics, oracle, profile, 2)
    assert bool(torch.isfinite(flat(position(states[-1].profile))).all())
    assert dynamics.proven_steps(1.0, 0.0) is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Consensus(0.0, 1.0), "step size of consensus optimisation must be positive"),
        (lambda: Consensus(0.1, -1.0), "regularisation of consensus optimisation must be at least 0 and finite"),
        (lambda: Competitive(-0.1), "step size of competitive descent must be positive"),
        (lambda: Competitive(0.1, 0.0), "tolerance of competitive descent must be positive, found 0.0"),
        (lambda: Competitive(0.1, max_iterations=0), "needs at least 1 iteration, found 0"),
    ],
)
def test_arguments_outside_their_range_are_refused(make, message):
    with pytest.raises(InvalidInputError, match=message):
        make()
