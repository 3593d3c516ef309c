"""Births against hand-computed gains and weights, and what oracles offer for them."""

import math

import pytest
import torch

from mixnash.core.domains import Box, Simplex, Torus
from mixnash.core.dynamics.adaptive_conic_mirror_prox import AdaptiveConicMirrorProx
from mixnash.core.dynamics.births import BirthRule, bear
from mixnash.core.errors import InvalidInputError
from mixnash.core.feedback import GameOracle
from mixnash.core.games.bilinear import Bilinear
from mixnash.core.games.fourier_counterexample import FourierCounterexample
from mixnash.core.games.hinge import Hinge
from mixnash.core.games.squared_distance import SquaredDistance
from mixnash.core.games.vectors import VECTOR, VECTOR_NETWORKS
from mixnash.core.types import BOTH, NOBODY, Player, Population, Profile
from mixnash.core.vector_oracle import FiniteOracle, VectorOracle
from mixnash.solving.recording import RecordingOracle
from plugins import clone, same
from problems import DOUBLE, SpyOracle, gan_oracle, make_rng, normal, run, tanh_problem, vector_batch, vectors

START = Profile(vectors([0.01], [0.6], weights=[0.3, 0.7]), vectors([0.2], [0.5], [0.85], weights=[0.2, 0.5, 0.3]))


RULE = BirthRule(candidates=9, jitter=0.1, largest_weight=0.4, smallest_gain=1e-3, smallest_weight=0.05)


def deviations(first, second):
    return torch.tensor(first, dtype=DOUBLE), torch.tensor(second, dtype=DOUBLE)


def test_the_best_candidate_replaces_the_lightest_atom_with_its_gain_as_weight():
    # (x - y)^2: the minimiser's best candidate is the one nearest to the mean of y.
    profile = Profile(
        vectors([-0.9], [0.9], [0.1], [0.8], weights=[0.3, 0.46, 0.04, 0.2]),
        vectors([-0.5], [0.7], [0.1], weights=[0.5, 0.3, 0.2]),
    )
    oracle = SpyOracle(VectorOracle(SquaredDistance()))
    seen = oracle.feedback(profile, BOTH)
    before = clone(profile)
    births = bear(RULE, profile, seen, deviations(0.1, 0.1), oracle, make_rng(3))
    assert same(profile, before)
    _, own, other = oracle.profiles
    assert oracle.calls[-2:] == [NOBODY, NOBODY]
    xs, ys = own.generators.params[VECTOR].flatten().tolist(), other.critics.params[VECTOR].flatten().tolist()
    assert len(xs) == len(ys) == 9
    y_atoms = list(zip([-0.5, 0.7, 0.1], [0.5, 0.3, 0.2], strict=True))
    x_atoms = list(zip([-0.9, 0.9, 0.1, 0.8], [0.3, 0.46, 0.04, 0.2], strict=True))
    cost = {x: sum(q * (x - y) ** 2 for y, q in y_atoms) for x in [*xs, -0.9, 0.9, 0.8]}
    profit = {y: sum(p * (x - y) ** 2 for x, p in x_atoms) for y in [*ys, -0.5, 0.7, 0.1]}
    best_x, best_y = min(xs, key=cost.get), max(ys, key=profit.get)
    extent = max((x - y) ** 2 for x, _ in x_atoms for y, _ in y_atoms) - min(
        (x - y) ** 2 for x, _ in x_atoms for y, _ in y_atoms
    )
    gain_x = min(cost[x] for x in (-0.9, 0.9, 0.8)) - cost[best_x]  # the atom of weight 0.04 does not count
    gain_y = profit[best_y] - max(profit[y] for y in (-0.5, 0.7, 0.1))
    assert (float(births[0].gain), float(births[1].gain)) == pytest.approx((gain_x, gain_y))
    m, n = min(gain_x / extent, 0.4), min(gain_y / extent, 0.4)
    assert 1e-3 < m < 0.4
    assert 1e-3 < n < 0.4
    assert births[0].population.params[VECTOR].flatten().tolist() == [-0.9, 0.9, best_x, 0.8]
    assert births[1].population.params[VECTOR].flatten().tolist() == [-0.5, 0.7, best_y]
    rest = (1 - m) / 0.96
    assert births[0].population.log_weights.exp().tolist() == pytest.approx([0.3 * rest, 0.46 * rest, m, 0.2 * rest])
    rest = (1 - n) / 0.8
    assert births[1].population.log_weights.exp().tolist() == pytest.approx([0.5 * rest, 0.3 * rest, n])


def test_a_newcomer_gets_no_more_than_the_largest_weight():
    profile = Profile(vectors([-0.9], [0.9], weights=[0.4, 0.6]), vectors([0.0], [0.01]))
    oracle = VectorOracle(SquaredDistance())
    rule = RULE._replace(largest_weight=0.125)
    birth, _ = bear(rule, profile, oracle.feedback(profile, BOTH), deviations(0.1, 0.1), oracle, make_rng(3))
    assert birth.population.log_weights.exp().tolist() == pytest.approx([0.125, 0.875])


def test_only_the_games_of_a_batch_in_which_a_candidate_gains_change():
    # In the second game each player has what no candidate can beat.
    x = torch.tensor([[[-0.9], [0.9]], [[0.0], [0.0]]], dtype=DOUBLE)
    y = torch.tensor([[[0.3], [0.2], [0.1]], [[-1.0], [1.0], [1.0]]], dtype=DOUBLE)
    uneven = torch.tensor([[0.3, 0.7], [0.4, 0.6]], dtype=DOUBLE).log()
    even_ones = torch.tensor([[0.2, 0.5, 0.3], [0.5, 0.3, 0.2]], dtype=DOUBLE).log()
    profile = Profile(Population({VECTOR: x}, uneven), Population({VECTOR: y}, even_ones))
    oracle = VectorOracle(SquaredDistance())
    noise = torch.tensor([0.1, 0.1], dtype=DOUBLE)
    births = bear(RULE, profile, oracle.feedback(profile, BOTH), (noise, noise), oracle, make_rng(4))
    for birth, old in zip(births, profile, strict=True):
        assert birth.born.tolist() == [True, False]
        assert float(birth.gain[1]) <= 0
        assert torch.equal(birth.population.log_weights[1], old.log_weights[1])
        assert torch.equal(birth.population.params[VECTOR][1], old.params[VECTOR][1])
        assert int((birth.population.params[VECTOR][0] != old.params[VECTOR][0]).sum()) == 1
        torch.testing.assert_close(birth.population.log_weights.logsumexp(-1), torch.zeros(2, dtype=DOUBLE))


def test_half_of_the_candidates_are_fresh_and_the_others_noisy_copies_in_the_domain():
    rule = RULE._replace(candidates=2001)
    box = Box([-1.0], [3.0])
    profile = Profile(vectors([2.0], [2.5], weights=[0.01, 0.99]), vectors([0.0]))
    oracle = SpyOracle(VectorOracle(SquaredDistance(1, box, box)))
    bear(rule, profile, oracle.feedback(profile, BOTH), deviations(0.02, 0.1), oracle, make_rng(5))
    points = oracle.profiles[1].generators.params[VECTOR].flatten()
    fresh, copies = points[:1001], points[1001:]
    assert float(fresh.mean()) == pytest.approx(1.0, abs=5 * 4 / math.sqrt(12 * 1000))
    assert float(fresh.min()) < -0.9
    assert float(fresh.max()) > 2.9
    near = (copies - 2.0).abs() < 0.25
    assert float(near.double().mean()) == pytest.approx(0.5, abs=5 * 0.5 / math.sqrt(1000))  # whatever the weights
    assert float((copies[near] - 2.0).std()) == pytest.approx(0.02, rel=0.2)


def test_networks_and_unbounded_domains_have_copies_only():
    unbounded = Bilinear([[1.0]])
    profile = Profile(vectors([1.0], [2.0]), vectors([0.5], [5.0]))
    for oracle, players in (
        (SpyOracle(VectorOracle(unbounded)), profile),
        (gan_oracle(tanh_problem(2, 3), Hinge()), tanh_problem(2, 3).profile),
    ):
        seen = oracle.feedback(players, BOTH)
        births = bear(RULE, players, seen, deviations(0.0, 0.0), oracle, make_rng(6))
        name, leaf = next(iter(players.generators.params.items()))
        candidates = oracle.profiles[1].generators.params[name]
        assert candidates.shape == (9, *leaf.shape[1:])
        assert all(any(torch.equal(one, atom) for atom in leaf) for one in candidates)
        assert not any(bool(birth.born) for birth in births)  # copies gain nothing


def test_births_come_at_their_interval_and_are_counted():
    dynamics = AdaptiveConicMirrorProx(birth_interval=3, candidates=6)
    oracle = SpyOracle(VectorOracle(FourierCounterexample()))
    states, _ = run(dynamics, oracle, START, 7)
    assert oracle.calls.count(NOBODY) == 4
    assert oracle.calls.count("propose") == 4
    born = [int(state.births.sum()) for state in states]
    assert born[:4] == [0, 0, 0, 0]
    assert 0 < born[4] == born[5] == born[6] <= born[7] <= 4
    shown = dynamics.diagnostics(states[-1])
    assert shown["generators/births"] + shown["critics/births"] == born[7]
    assert shown["generators/gain"] == float(states[-1].gains[0])


def test_births_depend_on_the_generator_of_random_numbers_alone():
    dynamics = AdaptiveConicMirrorProx(birth_interval=1, candidates=6)
    ends = [run(dynamics, VectorOracle(FourierCounterexample()), START, 5, make_rng(key))[0][-1] for key in (1, 1, 2)]
    assert same(ends[0], ends[1])
    assert not same(ends[0], ends[2])


def test_a_single_atom_is_never_replaced():
    start = Profile(vectors([0.9]), vectors([-0.4], [0.3]))
    states, _ = run(AdaptiveConicMirrorProx(birth_interval=1), VectorOracle(SquaredDistance()), start, 8)
    assert states[-1].births.tolist()[0] == 0
    assert states[-1].profile.generators.log_weights.tolist() == [0.0]
    assert float(states[2].gains[0]) > 0.1


def test_births_on_a_finite_oracle_are_refused():
    start = Profile(vectors([0.0], [1.0]), vectors([0.0], [1.0], [2.0]))
    oracle = FiniteOracle(normal(2, 3))
    with pytest.raises(InvalidInputError, match="finite oracle cannot evaluate new strategies"):
        run(AdaptiveConicMirrorProx(birth_interval=1), oracle, start, 2)
    run(AdaptiveConicMirrorProx(birth_interval=0), oracle, start, 2)


# ---------------------------------------------------------------------- what oracles offer for this


def test_payoffs_alone_are_those_of_the_full_feedback_and_need_no_noise():
    profile = Profile(vectors([0.1], [0.6], weights=[0.3, 0.7]), vectors([0.2], [0.5], [0.9], weights=[0.2, 0.5, 0.3]))
    oracle = VectorOracle(SquaredDistance(), 0.5, make_rng(7))
    full, lean = oracle.feedback(profile, BOTH), oracle.feedback(profile, NOBODY)
    assert lean.generator_grads is None
    assert lean.critic_grads is None
    for name in ("values", "generator_losses", "critic_losses"):
        torch.testing.assert_close(getattr(lean, name), getattr(full, name))
    # The noise that was drawn for two generators does not stand in the way of one.
    assert oracle.feedback(Profile(vectors([0.1]), profile.critics), NOBODY).values.shape == (1, 3)


def test_proposals_are_uniform_in_the_domain_of_the_player():
    game = SquaredDistance(2, Box([0.0, 5.0], [1.0, 7.0]), Simplex(2))
    for oracle in (VectorOracle(game), GameOracle(game, VECTOR_NETWORKS, lambda _: vector_batch(1, 2))):
        x = oracle.propose(Player.GENERATOR, (3, 400), make_rng(8))[VECTOR]
        y = oracle.propose(Player.CRITIC, (5,), make_rng(8))[VECTOR]
        assert x.shape == (3, 400, 2)
        assert y.shape == (5, 2)
        assert game.minimiser.contains(x).all()
        assert game.maximiser.contains(y).all()
        assert x.mean((0, 1)).tolist() == pytest.approx([0.5, 6.0], abs=0.1)
        assert not torch.equal(x[0], x[1])
    assert VectorOracle(Bilinear([[1.0]])).propose(Player.CRITIC, (5,), make_rng(8)) is None
    assert gan_oracle(tanh_problem(2, 3), Hinge()).propose(Player.CRITIC, (5,), make_rng(8)) is None


def test_a_recording_oracle_passes_everything_on_and_counts_payoffs_as_no_gradient():
    oracle = RecordingOracle(VectorOracle(FourierCounterexample()))
    got = oracle.propose(Player.CRITIC, (4,), make_rng(9))[VECTOR]
    assert torch.equal(got, VectorOracle(FourierCounterexample()).propose(Player.CRITIC, (4,), make_rng(9))[VECTOR])
    far = {VECTOR: got + 3}
    torch.testing.assert_close(oracle.unwrap(Player.CRITIC, {VECTOR: got}, far)[VECTOR], far[VECTOR])
    states, _ = run(AdaptiveConicMirrorProx(birth_interval=1, candidates=4), oracle, START, 2)
    births = bool(states[-1].births.any())
    assert oracle.gradient_calls == 2 + births + sum(float(state.trials) for state in states[1:])


def test_points_of_the_torus_are_unwrapped_to_their_names_nearest_to_the_reference():
    wrapped, free = {VECTOR: torch.tensor([[0.1], [0.9], [0.4]])}, {VECTOR: torch.tensor([[3.1], [-0.1], [0.5]])}
    game = FourierCounterexample()
    assert isinstance(game.minimiser, Torus)
    got = VectorOracle(game).unwrap(Player.GENERATOR, wrapped, free)[VECTOR]
    assert got.flatten().tolist() == pytest.approx([3.1, -0.1, 0.4])
    box = VectorOracle(SquaredDistance()).unwrap(Player.GENERATOR, wrapped, free)[VECTOR]
    assert torch.equal(box, wrapped[VECTOR])
