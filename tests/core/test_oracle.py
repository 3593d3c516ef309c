"""The oracle of a game: when it draws, what it evaluates, what it averages; and one pair's share of the draws."""

import torch

from mixnash.core.feedback import GameOracle, feedback, feedback_reference
from mixnash.core.games.constraints import Unconstrained, WeightClipping
from mixnash.core.games.hinge import Hinge
from mixnash.core.games.vectors import VECTOR_NETWORKS
from mixnash.core.games.wasserstein import Wasserstein
from mixnash.core.types import BOTH, CRITICS, GENERATORS, Batch, Player, Profile
from problems import normal, tanh_problem, vector_batch, vectors

EXACT = {"rtol": 0, "atol": 1e-10}


def test_an_oracle_keeps_its_draws_until_told_to_resample():
    asked = []

    def draw(players):
        asked.append(players)
        return vector_batch(1, 1)

    profile = Profile(vectors([1.0]), vectors([2.0]))
    oracle = GameOracle(Wasserstein(Unconstrained()), VECTOR_NETWORKS, draw)
    oracle.feedback(profile, BOTH)
    oracle.feedback(profile, GENERATORS)
    assert asked == [BOTH]
    oracle.resample()
    assert asked == [BOTH]
    oracle.feedback(profile, CRITICS)
    assert asked == [BOTH, CRITICS]


def test_an_oracle_evaluates_as_told_and_averages_over_processes():
    problem = tanh_problem()

    def halve(seen):
        return seen._replace(values=seen.values / 2)

    game = Hinge()
    oracle = GameOracle(game, problem.networks, lambda _: problem.batch, halve, feedback_reference)
    seen, expected = oracle.feedback(problem.profile, BOTH), feedback(game, *problem, BOTH)
    torch.testing.assert_close(seen.values, expected.values / 2, **EXACT)
    torch.testing.assert_close(seen.generator_grads, expected.generator_grads, **EXACT)


def test_a_pairs_share_of_the_draws_has_no_particle_axis():
    batch = Batch(normal(1, 6, 2), normal(3, 4, 5), normal(3, 4, 2), normal(3, 4))
    pair = batch.pair(2)
    assert [one.shape for one in pair[:4]] == [(6, 2), (4, 5), (4, 2), (4,)]
    assert torch.equal(pair.real, batch.real[0])
    assert torch.equal(pair.latent, batch.latent[2])


def test_an_oracle_projects_by_its_game():
    oracle = GameOracle(Hinge(WeightClipping(0.5)), VECTOR_NETWORKS, lambda _: vector_batch(1, 1))
    assert oracle.project(Player.CRITIC, {"a": torch.tensor([[2.0]])})["a"].item() == 0.5
    assert oracle.project(Player.GENERATOR, {"a": torch.tensor([[2.0]])})["a"].item() == 2.0
