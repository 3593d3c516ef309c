"""The direct oracles against the one that evaluates functions, against finite differences and against themselves."""

import math
from typing import final

import pytest
import torch

import plugins
import problems
from mixnash.core.domains import Box, Euclidean
from mixnash.core.errors import InvalidInputError, NonFiniteError
from mixnash.core.feedback import GameOracle
from mixnash.core.games.bilinear import Bilinear
from mixnash.core.games.forsaken import Forsaken
from mixnash.core.games.fourier import FourierGame
from mixnash.core.games.polar import PolarGame
from mixnash.core.games.vectors import VECTOR, VECTOR_NETWORKS, AbstractVectorGame
from mixnash.core.games.weird_saddle import WeirdSaddle
from mixnash.core.joint import field
from mixnash.core.population import make_population, weights
from mixnash.core.tree import flatten
from mixnash.core.types import BOTH, CRITICS, GENERATORS, Player, Point, Population, Profile
from mixnash.core.vector_oracle import FiniteOracle, VectorOracle
from problems import DOUBLE, make_rng, normal, vectors


def profile_of(game, generators=3, critics=4):
    """Particles of unequal weights in the game's domains."""
    return Profile(
        *(
            make_population({VECTOR: domain.project(normal(n, domain.dim, key=8))}, normal(n, key=9))
            for n, domain in ((generators, game.minimiser), (critics, game.maximiser))
        )
    )


def function_oracle(game, generators):
    return GameOracle(game, VECTOR_NETWORKS, lambda _: problems.vector_batch(generators, game.minimiser.dim))


def flat(seen):
    return flatten({name: one for name, one in seen._asdict().items() if one is not None})


over_games = pytest.mark.parametrize("plugin", plugins.VECTOR_GAMES, ids=lambda one: one.__name__)


@pytest.mark.parametrize(("generators", "critics"), [(3, 4), (1, 1), (1, 2)])
@over_games
def test_feedback_is_that_of_the_oracle_of_functions(plugin, generators, critics):
    game = plugins.VECTOR_GAMES[plugin]()
    profile = profile_of(game, generators, critics)
    for players in (BOTH, GENERATORS, CRITICS):
        got = VectorOracle(game).feedback(profile, players)
        expected = function_oracle(game, generators).feedback(profile, players)
        assert (got.generator_grads is None) == (Player.GENERATOR not in players)
        assert (got.critic_grads is None) == (Player.CRITIC not in players)
        torch.testing.assert_close(flat(got), flat(expected), rtol=0, atol=1e-10)


@over_games
def test_products_with_the_jacobian_are_those_of_the_oracle_of_functions(plugin):
    game = plugins.VECTOR_GAMES[plugin]()
    profile = profile_of(game)
    one, other = VectorOracle(game).linearise(profile), function_oracle(game, 3).linearise(profile)
    direction = Point({VECTOR: normal(3, game.minimiser.dim)}, {VECTOR: normal(4, game.maximiser.dim)})
    for act in ("pullback", "pushforward"):
        got, expected = getattr(one, act)(direction), getattr(other, act)(direction)
        for a, b in zip(got, expected, strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-10)


@pytest.mark.parametrize("game", [Forsaken(), PolarGame(0.7)], ids=["zero-sum", "general-sum"])
def test_the_jacobian_is_the_difference_quotient_of_the_field(game):
    profile, h = profile_of(game), 1e-6
    direction = Point({VECTOR: normal(3, 1)}, {VECTOR: normal(4, 1)})

    def moved(step):
        at = Profile(
            *(
                one._replace(params={VECTOR: one.params[VECTOR] + step * d[VECTOR]})
                for one, d in zip(profile, direction, strict=True)
            )
        )
        return field(VectorOracle(game).feedback(at, BOTH))

    pushed = VectorOracle(game).linearise(profile).pushforward(direction)
    for high, low, got in zip(moved(h), moved(-h), pushed, strict=True):
        torch.testing.assert_close(got[VECTOR], (high[VECTOR] - low[VECTOR]) / (2 * h), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("generators", "critics"), [(3, 4), (1, 1)])
def test_a_batch_of_games_equals_its_games_one_by_one(generators, critics):
    real, imaginary = normal(2, 5, 5, 5)
    batch = VectorOracle(FourierGame(real, imaginary))
    log_p, log_q = (torch.log_softmax(normal(5, n, key=7), -1) for n in (generators, critics))
    x, y = normal(5, generators, 1), normal(5, critics, 1, key=1)
    profile = Profile(Population({VECTOR: x}, log_p), Population({VECTOR: y}, log_q))
    together = flat(batch.feedback(profile, BOTH))
    cotangent = Point({VECTOR: normal(5, generators, 1, key=2)}, {VECTOR: normal(5, critics, 1, key=3)})
    pulled = batch.linearise(profile).pullback(cotangent)
    for i in range(5):
        alone = Profile(Population({VECTOR: x[i]}, log_p[i]), Population({VECTOR: y[i]}, log_q[i]))
        oracle = VectorOracle(FourierGame(real[i], imaginary[i]))
        expected = flat(oracle.feedback(alone, BOTH))
        for name, leaf in together.items():
            torch.testing.assert_close(leaf[i], expected[name])
        own = Point(*({VECTOR: one[VECTOR][i]} for one in cotangent))
        for a, b in zip(pulled, oracle.linearise(alone).pullback(own), strict=True):
            torch.testing.assert_close(a[VECTOR][i], b[VECTOR])


# ---------------------------------------------------------------------- noise


def test_noise_is_one_draw_until_the_next_resample():
    game = Bilinear([[1.0]])
    profile = profile_of(game)
    oracle, clean = VectorOracle(game, 0.5, make_rng(1)), VectorOracle(game)
    first, again = (flat(oracle.feedback(profile, BOTH)) for _ in range(2))
    shifted = flat(
        oracle.feedback(Profile(*(p._replace(params={VECTOR: 1 + p.params[VECTOR]}) for p in profile)), BOTH)
    )
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    exact = flat(clean.feedback(profile, BOTH))
    for name in exact:
        assert torch.equal(first[name], exact[name]) == ("grads" not in name), "only gradients are noisy"
    name = next(name for name in exact if name.startswith("generator_grads"))
    torch.testing.assert_close(shifted[name] - first[name], torch.ones(3, 1, dtype=DOUBLE))
    oracle.resample()
    assert not torch.allclose(flat(oracle.feedback(profile, BOTH))[name], first[name])


def test_noise_is_the_same_whoever_is_asked():
    profile = profile_of(Bilinear([[1.0]]))
    both, generators, critics = (
        VectorOracle(Bilinear([[1.0]]), 0.5, make_rng(1)).feedback(profile, players)
        for players in (BOTH, GENERATORS, CRITICS)
    )
    assert torch.equal(both.generator_grads[VECTOR], generators.generator_grads[VECTOR])
    assert torch.equal(both.critic_grads[VECTOR], critics.critic_grads[VECTOR])


def test_noise_has_its_standard_deviation_on_every_coordinate():
    game = Bilinear([[0.0, 0.0], [0.0, 0.0]])
    profile = profile_of(game, 4000, 1)
    seen = VectorOracle(game, 0.3, make_rng(2)).feedback(profile, BOTH)
    assert seen.generator_grads[VECTOR].std(0).tolist() == pytest.approx([0.3, 0.3], rel=0.05)
    assert seen.generator_grads[VECTOR].mean(0).tolist() == pytest.approx([0, 0], abs=0.02)


def test_the_jacobian_does_not_see_the_noise():
    game, profile = Forsaken(), profile_of(Forsaken())
    ones = Point({VECTOR: torch.ones(3, 1, dtype=DOUBLE)}, {VECTOR: torch.ones(4, 1, dtype=DOUBLE)})
    noisy, clean = (
        one.linearise(profile).pullback(ones) for one in (VectorOracle(game, 1.0, make_rng(0)), VectorOracle(game))
    )
    assert all(torch.equal(a[VECTOR], b[VECTOR]) for a, b in zip(noisy, clean, strict=True))


# ---------------------------------------------------------------------- finite games


@pytest.mark.parametrize("plugin", [one for one in plugins.VECTOR_GAMES if one.zero_sum], ids=lambda one: one.__name__)
def test_a_finite_oracle_on_a_profile_has_the_values_and_losses_of_the_game_and_no_gradient(plugin):
    game = plugins.VECTOR_GAMES[plugin]()
    profile = profile_of(game)
    finite = FiniteOracle.on(game, profile)
    finite.resample()
    got, expected = (one.feedback(profile, BOTH) for one in (finite, VectorOracle(game)))
    for name in ("values", "generator_losses", "critic_losses"):
        torch.testing.assert_close(getattr(got, name), getattr(expected, name))
    assert not got.generator_grads[VECTOR].any()
    assert not got.critic_grads[VECTOR].any()
    assert got.critic_grads[VECTOR].shape == expected.critic_grads[VECTOR].shape


def test_a_finite_oracle_answers_whom_it_is_asked_for_batches_too_and_stands_still():
    payoff = normal(2, 3, 4)
    log_p, log_q = (torch.log_softmax(normal(2, n, key=7), -1) for n in (3, 4))
    profile = Profile(Population({VECTOR: normal(2, 3, 1)}, log_p), Population({VECTOR: normal(2, 4, 1)}, log_q))
    oracle = FiniteOracle(payoff)
    seen = oracle.feedback(profile, GENERATORS)
    assert seen.critic_grads is None
    assert oracle.feedback(profile, CRITICS).generator_grads is None
    p, q = (weights(one) for one in profile)
    torch.testing.assert_close(seen.generator_losses, torch.einsum("gkl,gl->gk", payoff, q))
    torch.testing.assert_close(seen.critic_losses, -torch.einsum("gkl,gk->gl", payoff, p))
    ones = Point(*({VECTOR: torch.ones_like(one.params[VECTOR])} for one in profile))
    linear = oracle.linearise(profile)
    for product in (linear.pullback(ones), linear.pushforward(ones)):
        assert [tuple(one[VECTOR].shape) for one in product] == [(2, 3, 1), (2, 4, 1)]
        assert not any(one[VECTOR].any() for one in product)
    params = {VECTOR: normal(3, 1)}
    assert oracle.project(Player.CRITIC, params) is params


# ---------------------------------------------------------------------- bad input


@final
class ShapelessForTests(AbstractVectorGame):
    """A payoff that reduces too much."""

    def __init__(self):
        super().__init__(Euclidean(1), Euclidean(1))

    def payoff(self, x, y):
        """One number for all pairs."""
        return (x * y).sum()


@pytest.mark.parametrize("count", [1, 3])
def test_a_payoff_of_the_wrong_shape_is_named(count):
    game = ShapelessForTests()
    with pytest.raises(
        InvalidInputError, match=r"payoff of ShapelessForTests must give one number per pair.*found \(\)"
    ):
        VectorOracle(game).feedback(profile_of(game, count, 1), BOTH)


def test_a_scalar_game_on_vectors_of_two_coordinates_is_refused():
    with pytest.raises(InvalidInputError, match="payoff of WeirdSaddle must give one number per pair"):
        VectorOracle(WeirdSaddle()).feedback(Profile(vectors([1.0, 2.0]), vectors([1.0, 2.0])), BOTH)


def test_noise_needs_a_generator_and_a_sign():
    with pytest.raises(InvalidInputError, match=r"at least 0, found -0\.5"):
        VectorOracle(Forsaken(), -0.5, make_rng(0))
    with pytest.raises(InvalidInputError, match="needs a generator of random numbers"):
        VectorOracle(Forsaken(), 0.5)


def test_a_finite_game_needs_a_finite_matrix():
    with pytest.raises(NonFiniteError, match="not finite"):
        FiniteOracle(torch.tensor([[1.0, math.inf]]))
    with pytest.raises(InvalidInputError, match=r"two axes, found shape \(3,\)"):
        FiniteOracle(torch.zeros(3))


def test_positions_are_projected_onto_the_domain_of_their_own_player():
    oracle = VectorOracle(Forsaken(0.45, Box([-1.0], [1.0]), Box([-2.0], [3.0])))
    params = {VECTOR: torch.tensor([[-9.0], [0.5], [9.0]])}
    assert oracle.project(Player.GENERATOR, params)[VECTOR].flatten().tolist() == [-1, 0.5, 1]
    assert oracle.project(Player.CRITIC, params)[VECTOR].flatten().tolist() == [-2, 0.5, 3]


class _PlainNumberForTests(AbstractVectorGame):
    def payoff(self, x, y):
        return 3.0


def test_a_payoff_that_is_no_tensor_is_refused():
    game = _PlainNumberForTests(Box([-1.0], [1.0]), Box([-1.0], [1.0]))
    with pytest.raises(InvalidInputError, match=r"one number per pair.*found a float: reduce over the last axis only"):
        VectorOracle(game).feedback(Profile(vectors([0.1]), vectors([0.2])), BOTH)
