"""Sampled opponents: their law, their expectation over all outcomes, their cost, and what stays exact."""

import itertools
import math

import pytest
import torch

from mixnash.core.dynamics.extragradient import Extragradient
from mixnash.core.errors import InvalidInputError
from mixnash.core.feedback import GameOracle
from mixnash.core.games.constraints import GradientPenalty
from mixnash.core.games.fourier_counterexample import FourierCounterexample
from mixnash.core.games.non_saturating import NonSaturating
from mixnash.core.games.vectors import VECTOR
from mixnash.core.population import make_population, weights
from mixnash.core.rules.base import PlayerRules
from mixnash.core.rules.entropic import EntropicMirrorDescent
from mixnash.core.rules.frozen import Frozen
from mixnash.core.rules.sgd import SGD
from mixnash.core.sampled_oracle import SampledOracle
from mixnash.core.tree import flatten
from mixnash.core.types import (
    BOTH,
    CRITICS,
    GENERATORS,
    NOBODY,
    NetworkFunctions,
    Networks,
    Player,
    Point,
    Population,
    Profile,
)
from mixnash.core.vector_oracle import VectorOracle
from plugins import same
from problems import DOUBLE, SpyOracle, gan_oracle, make_rng, normal, tanh_problem

GAME = NonSaturating(GradientPenalty(2.0, 0.3))
EXACT = {"rtol": 0, "atol": 1e-10}


class KnownUniforms:
    """Stands in for torch.rand: the midpoints of given particles' intervals, one answer per call."""

    def __init__(self, monkeypatch):
        self.answers = []
        monkeypatch.setattr(torch, "rand", lambda *args, **kwargs: self.answers.pop(0))

    def give(self, population, chosen):
        upper = weights(population).cumsum(-1)
        self.answers.append((upper - weights(population) / 2)[list(chosen)])


def flat(seen):
    return flatten({name: one for name, one in seen._asdict().items() if one is not None})


def expectation(problem, generators, critics, players, uniforms):
    """The mean feedback over all ways to draw opponents, each with its probability."""
    p, q = (weights(one) for one in problem.profile)
    total, mass = {}, 0.0
    own_draws = [()] if critics is None else itertools.product(range(len(q)), repeat=critics)
    for drawn_critics in own_draws:
        other_draws = [()] if generators is None else itertools.product(range(len(p)), repeat=generators)
        for drawn_generators in other_draws:
            if critics is not None and Player.GENERATOR in players:
                uniforms.give(problem.profile.critics, drawn_critics)
            if generators is not None and Player.CRITIC in players:
                uniforms.give(problem.profile.generators, drawn_generators)
            oracle = SampledOracle(gan_oracle(problem, GAME), generators, critics, make_rng(0))
            chance = float(q[list(drawn_critics)].prod() * p[list(drawn_generators)].prod())
            mass += chance
            for name, leaf in flat(oracle.feedback(problem.profile, players)).items():
                total[name] = total.get(name, 0.0) + chance * leaf
            uniforms.answers.clear()
    assert mass == pytest.approx(1.0)
    return total


def shared_batch(problem):
    """All generators with the same draws, so that which of them a drawn one is given does not matter."""
    batch = problem.batch
    rows = [0] * batch.latent.shape[0]
    return problem._replace(
        batch=batch._replace(latent=batch.latent[rows], anchor=batch.anchor[rows], mix=batch.mix[rows])
    )


@pytest.mark.parametrize(("generators", "critics"), [(2, 2), (1, 2), (None, 2), (2, None)])
def test_losses_and_gradients_of_both_players_are_unbiased_over_all_outcomes(generators, critics, monkeypatch):
    problem = shared_batch(tanh_problem(3, 2))  # unequal weights
    exact = gan_oracle(problem, GAME).feedback(problem.profile, BOTH)
    got = expectation(problem, generators, critics, BOTH, KnownUniforms(monkeypatch))
    expected = flat(exact)
    assert got.keys() == expected.keys()
    for name in got.keys() - {"values"}:
        torch.testing.assert_close(got[name], expected[name], **EXACT)
    p, q = (weights(one) for one in problem.profile)
    assert float(p @ got["values"] @ q) == pytest.approx(float(p @ exact.values @ q))


@pytest.mark.parametrize("players", [GENERATORS, CRITICS], ids=["generators", "critics"])
def test_one_players_answer_is_unbiased_and_the_others_losses_are_right_in_the_mean(players, monkeypatch):
    problem = shared_batch(tanh_problem(2, 3))
    p, q = (weights(one) for one in problem.profile)
    seen = gan_oracle(problem, GAME).feedback(problem.profile, players)
    got, expected = expectation(problem, 2, 2, players, KnownUniforms(monkeypatch)), flat(seen)
    assert got.keys() == expected.keys()
    asked = {name for name in expected if "_grads" in name}
    asked.add("generator_losses" if players == GENERATORS else "critic_losses")
    for name in asked:
        torch.testing.assert_close(got[name], expected[name], **EXACT)
    for name, mass in (("generator_losses", p), ("critic_losses", q)):
        assert float(mass @ got[name]) == pytest.approx(float(mass @ expected[name]))
    # Each side's payoffs are right against the other's mixture.
    left, right = ((one @ q if players == GENERATORS else p @ one) for one in (got["values"], seen.values))
    torch.testing.assert_close(left, right, **EXACT)


def test_draws_of_latents_are_the_drawn_generators_by_position_and_leave_no_bias():
    """Monte Carlo over latents and opponents together, each generator with latents of its own."""
    problem = tanh_problem(3, 2)
    rng, tries = make_rng(5), 500

    def draw(_):
        batch = problem.batch
        latent = torch.randn(batch.latent.shape, generator=rng, dtype=DOUBLE)
        return batch._replace(latent=latent, mix=torch.rand(batch.mix.shape, generator=rng, dtype=DOUBLE))

    game = NonSaturating()
    differences = []
    exact = GameOracle(game, problem.networks, draw)
    sampled = SampledOracle(GameOracle(game, problem.networks, draw), 2, 1, make_rng(6))
    for _ in range(tries):
        exact.resample()
        sampled.resample()
        one, other = (flat(oracle.feedback(problem.profile, BOTH)) for oracle in (exact, sampled))
        names = sorted(name for name in one if name != "values")
        differences.append(torch.cat([(one[name] - other[name]).flatten() for name in names]))
    stacked = torch.stack(differences)
    z = stacked.mean(0) / (stacked.std(0).clamp_min(1e-12) / math.sqrt(tries))
    assert float(z.abs().max()) < 4.5  # of some hundred numbers
    assert float(stacked.std(0).max()) > 1e-2


def test_opponents_are_drawn_by_their_weights_independently_and_with_replacement():
    problem, counts, pairs = tanh_problem(2, 3), torch.zeros(3, dtype=DOUBLE), 0
    inner = gan_oracle(problem, GAME)
    oracle = SampledOracle(inner, None, 4, make_rng(7))
    tries = 400
    first = problem.profile.critics.params["b.bias"][:, 0]
    for _ in range(tries):
        oracle.resample()
        oracle.feedback(problem.profile, GENERATORS)
        met = inner.profiles[-1].critics
        assert met.log_weights.tolist() == pytest.approx([-math.log(4)] * 4)
        drawn = (met.params["b.bias"][:, 0].unsqueeze(1) == first).int().argmax(1)
        counts += torch.bincount(drawn, minlength=3)
        pairs += int(drawn[0] == drawn[1])
    q = weights(problem.profile.critics)
    chi_square = float(((counts - 4 * tries * q) ** 2 / (4 * tries * q)).sum())
    assert chi_square < 13.8  # 0.999 quantile of chi-square with 2 degrees of freedom
    meet = float((q**2).sum())
    assert pairs / tries == pytest.approx(meet, abs=4 * math.sqrt(meet * (1 - meet) / tries))


# ---------------------------------------------------------------------- what is asked of the inner oracle


@pytest.mark.parametrize("players", [BOTH, GENERATORS, CRITICS, NOBODY])
def test_without_sampling_it_is_the_inner_oracle_bit_for_bit(players):
    problem = tanh_problem(3, 4)
    inner = gan_oracle(problem, GAME)
    seen = SampledOracle(inner, None, None, make_rng(0)).feedback(problem.profile, players)
    assert same(flat(seen), flat(gan_oracle(problem, GAME).feedback(problem.profile, players)))
    assert inner.calls == [players]


def test_payoffs_and_linearisations_are_those_of_all_pairs():
    problem = tanh_problem(3, 4)
    inner = gan_oracle(problem, GAME)
    oracle = SampledOracle(inner, 1, 2, make_rng(0))
    assert torch.equal(
        oracle.feedback(problem.profile, NOBODY).values,
        gan_oracle(problem, GAME).feedback(problem.profile, NOBODY).values,
    )
    along = Point(problem.profile.generators.params, problem.profile.critics.params)
    got, expected = (one.linearise(problem.profile).pullback(along) for one in (oracle, gan_oracle(problem, GAME)))
    assert same(got, expected)
    assert inner.calls == [NOBODY, "linearise"]


class CountingCritic:
    """Counts the samples that critics judge, forward."""

    def __init__(self, functions):
        self.functions, self.judged = functions, 0

    def stacked(self, params, inputs):
        self.judged += inputs.shape[0] * inputs.shape[1]
        return self.functions.stacked(params, inputs)


@pytest.mark.parametrize(
    ("generators", "critics", "players", "expected"),
    [
        (None, None, GENERATORS, 4 * (11 + 3 * 5)),
        (2, 3, GENERATORS, 3 * (11 + 3 * 5)),
        (2, 3, CRITICS, 4 * (11 + 2 * 5)),
        (2, 3, BOTH, 3 * (11 + 3 * 5) + 4 * (11 + 2 * 5)),
        (2, None, GENERATORS, 4 * (11 + 3 * 5)),
        (None, 3, CRITICS, 4 * (11 + 3 * 5)),
    ],
)
def test_an_evaluation_costs_as_many_scores_as_announced(generators, critics, players, expected):
    problem = tanh_problem(3, 4)
    counting = CountingCritic(problem.networks.critic)
    critic = NetworkFunctions(problem.networks.critic.single, counting.stacked)
    networks = Networks(problem.networks.generator, critic)
    exact = GameOracle(NonSaturating(), networks, lambda _: problem.batch)
    SampledOracle(exact, generators, critics, make_rng(0)).feedback(problem.profile, players)
    assert counting.judged == expected


def test_shapes_are_those_of_all_particles():
    problem = tanh_problem(3, 4)
    for players in (BOTH, GENERATORS, CRITICS):
        seen = SampledOracle(gan_oracle(problem, GAME), 2, 3, make_rng(0)).feedback(problem.profile, players)
        expected = gan_oracle(problem, GAME).feedback(problem.profile, players)
        assert {name: leaf.shape for name, leaf in flat(seen).items()} == {
            name: leaf.shape for name, leaf in flat(expected).items()
        }


def test_opponents_stay_until_resample():
    problem = tanh_problem(3, 4)
    inner = gan_oracle(problem, GAME)
    oracle = SampledOracle(inner, 2, 2, make_rng(3))
    first, again = (flat(oracle.feedback(problem.profile, BOTH)) for _ in range(2))
    assert same(first, again)
    draws = []
    for _ in range(6):
        oracle.resample()
        draws.append(flat(oracle.feedback(problem.profile, BOTH)))
    assert inner.calls.count("resample") == 6
    assert not all(same(first, one) for one in draws)


def test_kept_opponents_are_drawn_by_the_weights_of_the_moment():
    problem = tanh_problem(3, 4)
    inner = gan_oracle(problem, GAME)
    oracle = SampledOracle(inner, None, 3, make_rng(3))
    oracle.feedback(problem.profile, GENERATORS)
    only = torch.full((4,), -torch.inf, dtype=DOUBLE)
    only[2] = 0.0
    moved = problem.profile._replace(critics=problem.profile.critics._replace(log_weights=only))
    seen = oracle.feedback(moved, GENERATORS)
    exact = gan_oracle(problem, GAME).feedback(moved, GENERATORS)
    torch.testing.assert_close(seen.generator_grads, exact.generator_grads, **EXACT)


def test_a_dynamics_with_moving_weights_is_a_function_of_the_stream():
    problem = tanh_problem(3, 4)
    rules = PlayerRules(SGD(0.05), EntropicMirrorDescent(0.3)), PlayerRules(SGD(0.02), Frozen())
    dynamics = Extragradient(*rules, same_sample=True)

    def end(*key):
        state = dynamics.init(problem.profile)
        for step in range(3):
            oracle = SampledOracle(gan_oracle(problem, GAME), 2, 2, make_rng(step, *key))
            state, _ = dynamics.step(state, oracle, make_rng(step))
        return state

    assert same(end(1), end(1))
    assert not same(end(1), end(2))


def test_batches_of_games_draw_opponents_of_their_own():
    game = FourierCounterexample()
    profile = Profile(
        *(
            make_population({VECTOR: torch.rand(count, 1, generator=make_rng(count), dtype=DOUBLE)}, normal(count))
            for count in (3, 4)
        )
    )
    many = Profile(
        *(
            Population({VECTOR: one.params[VECTOR].expand(50, -1, -1)}, one.log_weights.expand(50, -1))
            for one in profile
        )
    )
    inner = SpyOracle(VectorOracle(game))
    seen = SampledOracle(inner, 2, 1, make_rng(0)).feedback(many, BOTH)
    exact = VectorOracle(game).feedback(many, BOTH)
    assert all(leaf.shape == flat(exact)[name].shape for name, leaf in flat(seen).items())
    met = inner.profiles[0].critics.params[VECTOR]
    assert len(met.unique()) == 4


def test_the_rest_is_the_inner_oracles():
    oracle = SampledOracle(VectorOracle(FourierCounterexample()), 1, 1, make_rng(0))
    inner = VectorOracle(FourierCounterexample())
    outside = {VECTOR: torch.tensor([[1.25], [-0.5]], dtype=DOUBLE)}
    assert same(oracle.project(Player.CRITIC, outside), inner.project(Player.CRITIC, outside))
    own, expected = (one.propose(Player.GENERATOR, (3,), make_rng(1)) for one in (oracle, inner))
    assert same(own, expected)
    here, there = ({VECTOR: torch.tensor([[at]], dtype=DOUBLE)} for at in (0.95, 0.05))
    assert oracle.unwrap(Player.CRITIC, here, there)[VECTOR].item() == pytest.approx(-0.05)


@pytest.mark.parametrize(("generators", "critics", "name"), [(0, 2, "generators"), (2, -1, "critics")])
def test_fewer_than_one_opponent_is_refused(generators, critics, name):
    with pytest.raises(InvalidInputError, match=f"At least 1 of the {name} must be sampled, found"):
        SampledOracle(VectorOracle(FourierCounterexample()), generators, critics, make_rng(0))
