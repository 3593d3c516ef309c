"""Products with the derivative of a game's field against finite differences of its feedback."""

import pytest
import torch

import problems
from mixnash.core.domains import Euclidean
from mixnash.core.feedback import GameOracle
from mixnash.core.games.constraints import GradientPenalty, Unconstrained
from mixnash.core.games.hinge import Hinge
from mixnash.core.games.non_saturating import NonSaturating
from mixnash.core.games.vectors import VECTOR, AbstractVectorGame
from mixnash.core.games.wasserstein import Wasserstein
from mixnash.core.joint import add, field, inner, place, position
from mixnash.core.population import make_population
from mixnash.core.tree import map_params
from mixnash.core.types import BOTH, PairTerms, Point, Profile
from mixnash.core.vector_oracle import FiniteOracle, VectorOracle
from plugins import clone, same
from problems import make_rng, normal
from toys import Curved


class GeneralSum(AbstractVectorGame):
    """Two players with goals of their own."""

    zero_sum = False

    def __init__(self):
        super().__init__(Euclidean(2), Euclidean(2))

    def payoff(self, x, y):
        return (x * y).sum(-1)

    def pair_terms(self, x, y):
        value = self.payoff(x, y)
        return PairTerms(value, value + (x[..., 0] ** 3 * y[..., 1]), (x * y).prod(-1) - y[..., 0] ** 4)


def like(point, key):
    """A direction in the shape of a point."""
    return Point(
        *(
            {name: normal(*leaf.shape, key=key + 10 * i + j) for j, (name, leaf) in enumerate(own.items())}
            for i, own in enumerate(point)
        )
    )


def difference(oracle, profile, direction, width=1e-5):
    """The directional derivative of the field by central differences."""

    def at(scale):
        return field(oracle.feedback(place(profile, add(position(profile), scale, direction)), BOTH))

    return Point(
        *(map_params(lambda a, b: (a - b) / (2 * width), a, b) for a, b in zip(at(width), at(-width), strict=True))
    )


def assert_linearises(oracle, profile, tolerance=1e-7):
    """J v is the derivative of V along v, and <J^T c, v> = <c, J v>."""
    before = clone(profile)
    derivative = oracle.linearise(profile)
    for key in (100, 200):
        tangent, cotangent = like(position(profile), key), like(position(profile), key + 50)
        pushed, expected = derivative.pushforward(tangent), difference(oracle, profile, tangent)
        for own, other in zip(pushed, expected, strict=True):
            for name, leaf in own.items():
                torch.testing.assert_close(leaf, other[name], rtol=tolerance, atol=tolerance)
        torch.testing.assert_close(inner(derivative.pullback(cotangent), tangent), inner(cotangent, expected))
    assert same(profile, before)


def mixture(dims, counts, games=()):
    """Populations with unequal weights, of one game or a batch of them."""
    populations = []
    for i, (dim, count) in enumerate(zip(dims, counts, strict=True)):
        populations.append(make_population({VECTOR: normal(count, dim, key=i)}, normal(count, key=2 + i)))
        if games:
            log_weights = torch.log_softmax(normal(*games, count, key=4 + i), -1)
            populations[i] = populations[i]._replace(
                params={VECTOR: normal(*games, count, dim, key=i)}, log_weights=log_weights
            )
    return Profile(*populations)


@pytest.mark.parametrize("counts", [(1, 1), (3, 2)])
@pytest.mark.parametrize(("game", "dims"), [(Curved(), (2, 3)), (GeneralSum(), (2, 2))], ids=["zero-sum", "general"])
def test_a_vector_oracle_is_linearised_as_its_feedback_changes(game, dims, counts):
    assert_linearises(VectorOracle(game), mixture(dims, counts))


def test_a_batch_of_games_is_linearised_game_by_game():
    profile = mixture((2, 3), (3, 2), games=(4,))
    oracle = VectorOracle(Curved())
    assert_linearises(oracle, profile)
    tangent = like(position(profile), 300)
    together = oracle.linearise(profile).pushforward(tangent)
    for game in range(4):
        alone = Profile(
            *(
                one._replace(params={VECTOR: one.params[VECTOR][game]}, log_weights=one.log_weights[game])
                for one in profile
            )
        )
        pushed = oracle.linearise(alone).pushforward(Point(*({VECTOR: own[VECTOR][game]} for own in tangent)))
        for own, all_of_it in zip(pushed, together, strict=True):
            torch.testing.assert_close(own[VECTOR], all_of_it[VECTOR][game])


def test_the_noise_of_an_oracle_does_not_enter_its_derivative():
    profile, tangent = mixture((2, 3), (3, 2)), like(position(mixture((2, 3), (3, 2))), 300)
    noisy = VectorOracle(Curved(), 0.5, make_rng(1)).linearise(profile).pushforward(tangent)
    clean = VectorOracle(Curved()).linearise(profile).pushforward(tangent)
    assert same(noisy, clean)


@pytest.mark.parametrize("game", [Wasserstein(Unconstrained()), Hinge(Unconstrained()), NonSaturating(Unconstrained())])
@pytest.mark.parametrize("event", [(2,), (1, 2, 2)], ids=["vector", "image"])
def test_networks_are_linearised_as_their_feedback_changes(game, event):
    problem = problems.tanh_problem(3, 4, event)
    assert_linearises(GameOracle(game, problem.networks, lambda _: problem.batch), problem.profile, 1e-6)


def test_a_gradient_penalty_is_linearised_in_the_critics_and_left_out_in_the_generators():
    problem = problems.tanh_problem(3, 4)

    def oracle(game):
        return GameOracle(game, problem.networks, lambda _: problem.batch)

    tangent = like(position(problem.profile), 100)
    nothing = {name: torch.zeros_like(leaf) for name, leaf in problem.profile.generators.params.items()}
    penalised, free = oracle(Wasserstein(GradientPenalty(3.0, 0.7))), oracle(Wasserstein(Unconstrained()))

    along_critics = Point(nothing, tangent.critics)
    pushed = penalised.linearise(problem.profile).pushforward(along_critics)
    expected = difference(penalised, problem.profile, along_critics)
    for own, other in zip(pushed, expected, strict=True):
        for name, leaf in own.items():
            torch.testing.assert_close(leaf, other[name], rtol=1e-6, atol=1e-6)
    assert not torch.allclose(
        pushed.critics["a.weight"], free.linearise(problem.profile).pushforward(along_critics).critics["a.weight"]
    )

    still = {name: torch.zeros_like(leaf) for name, leaf in problem.profile.critics.params.items()}
    along_generators = Point(tangent.generators, still)
    got = penalised.linearise(problem.profile).pushforward(along_generators)
    without = free.linearise(problem.profile).pushforward(along_generators)
    for own, other in zip(got, without, strict=True):
        for name, leaf in own.items():
            torch.testing.assert_close(leaf, other[name], rtol=1e-10, atol=1e-12)
    cotangent = like(position(problem.profile), 500)
    derivative = penalised.linearise(problem.profile)
    torch.testing.assert_close(
        inner(derivative.pullback(cotangent), tangent), inner(cotangent, derivative.pushforward(tangent))
    )


def test_a_finite_game_has_the_derivative_zero():
    profile = mixture((1, 1), (2, 3))
    derivative = FiniteOracle(normal(2, 3)).linearise(profile)
    direction = like(position(profile), 100)
    for product in (derivative.pullback(direction), derivative.pushforward(direction)):
        for own, players in zip(product, position(profile), strict=True):
            assert torch.equal(own[VECTOR], torch.zeros_like(players[VECTOR]))


def test_linearising_uses_the_draws_of_the_feedback():
    problem = problems.tanh_problem(3, 4)
    batches = iter([problem.batch, problems.gan_batch(3, (2,), real=7)])
    oracle = GameOracle(Wasserstein(Unconstrained()), problem.networks, lambda _: next(batches))
    oracle.feedback(problem.profile, BOTH)
    assert_linearises(oracle, problem.profile, 1e-6)
    assert next(batches).real.shape[1] == 7
