"""Fictitious play with a queue: steps by hand, the ring, sampled snapshots, and averages that approach equilibrium."""

import itertools

import pytest
import torch

from mixnash.core.dynamics.opponent_averaging import OpponentAveraging
from mixnash.core.dynamics.snapshot_play import SnapshotPlay
from mixnash.core.errors import InvalidInputError
from mixnash.core.games.bilinear import Bilinear
from mixnash.core.games.hinge import Hinge
from mixnash.core.games.matrix import Matrix
from mixnash.core.games.vectors import VECTOR
from mixnash.core.population import weights
from mixnash.core.rules.adam import Adam
from mixnash.core.rules.base import PlayerRules
from mixnash.core.rules.entropic import EntropicMirrorDescent
from mixnash.core.rules.sgd import SGD
from mixnash.core.tree import map_params
from mixnash.core.types import CRITICS, GENERATORS, Player, Population, Profile
from mixnash.core.vector_oracle import VectorOracle
from problems import (
    DOUBLE,
    MATRIX_GAMES,
    SpyOracle,
    frozen,
    gan_oracle,
    make_rng,
    matrix_gap,
    normal,
    positions,
    run,
    tanh_problem,
    vectors,
)

XY = Bilinear([[1.0]])
GAME = Bilinear([[1.0, -2.0], [0.5, 3.0]], [0.3, -0.2], [1.0, 0.4])
START = Profile(vectors([0.5, 1.0], [-0.4, 0.1], weights=[0.3, 0.7]), vectors([0.2, 0.9], [1.0, -1.0], [0.3, 0.0]))
WEIGHTED = (
    PlayerRules(SGD(0.1), EntropicMirrorDescent(0.3)),
    PlayerRules(Adam(0.1, 0.5), EntropicMirrorDescent(0.2)),
)


def numbers(dynamics, state):
    """The points (x, y) of single particles on the line."""
    return [float(one) for one in positions(dynamics, state)]


def test_four_steps_by_hand_with_two_places():
    # x y with steps 1/2 and 1/4 from (1, 2); the averages hold 1, 2, 3 and 3 points, the last without the start.
    dynamics = SnapshotPlay(frozen(SGD(0.5)), frozen(SGD(0.25)), capacity=2)
    states, _ = run(dynamics, VectorOracle(XY), Profile(vectors([1.0]), vectors([2.0])), 4)
    assert numbers(dynamics, states[1]) == pytest.approx([0.0, 2.25])
    assert numbers(dynamics, states[2]) == pytest.approx([-0.5 * (2 + 2.25) / 2, 2.25 + 0.25 * (1 + 0) / 2])
    x3, y3 = -1.0625 - 0.5 * (2 + 2.25 + 2.375) / 3, 2.375 + 0.25 * (1 + 0 - 1.0625) / 3
    assert numbers(dynamics, states[3]) == pytest.approx([x3, y3])
    x4, y4 = x3 - 0.5 * (2.25 + 2.375 + y3) / 3, y3 + 0.25 * (0 - 1.0625 + x3) / 3
    assert numbers(dynamics, states[4]) == pytest.approx([x4, y4])


def test_one_place_and_a_snapshot_per_step_is_play_against_the_previous_and_the_present_iterate():
    dynamics = SnapshotPlay(frozen(SGD(0.1)), frozen(SGD(0.2)), capacity=1)
    states, _ = run(dynamics, VectorOracle(XY), Profile(vectors([1.0]), vectors([-0.5])), 7)
    path = [numbers(dynamics, state) for state in states]
    x, y = path[1]
    for (x_before, y_before), (x_now, y_now) in itertools.pairwise(path[:-1]):
        assert (x_now, y_now) == pytest.approx((x, y), abs=1e-14)
        x, y = x_now - 0.1 * (y_before + y_now) / 2, y_now + 0.2 * (x_before + x_now) / 2
    assert path[-1] == pytest.approx([x, y], abs=1e-14)


def test_snapshots_are_kept_with_their_weights_and_the_oldest_makes_room():
    dynamics = SnapshotPlay(*WEIGHTED, capacity=2, snapshot_every=2)
    states, _ = run(dynamics, VectorOracle(GAME), START, 7)
    taken = {0: [], 1: [0], 2: [0], 3: [0, 2], 4: [0, 2], 5: [4, 2], 6: [4, 2], 7: [4, 6]}  # by place in the ring
    for step, of_steps in taken.items():
        averages = dynamics.averages(states[step])
        whole = [dynamics.profile(states[one]) for one in (*of_steps, step)]
        for player in (0, 1):
            shares = torch.cat([weights(one[player]) / len(whole) for one in whole])
            torch.testing.assert_close(weights(averages[player]), shares, rtol=0, atol=1e-14)
            points = torch.cat([one[player].params[VECTOR] for one in whole])
            assert torch.equal(averages[player].params[VECTOR], points)


def test_a_step_answers_the_averages_which_stand_still_and_draws_anew_for_every_update():
    dynamics = SnapshotPlay(*WEIGHTED, capacity=3, generator_steps=2, critic_steps=3)
    oracle = SpyOracle(VectorOracle(GAME, 0.1, make_rng(5)))
    states, _ = run(dynamics, oracle, START, 3)
    asked = [call for call in oracle.calls if not isinstance(call, Player)]
    assert asked == ["resample", CRITICS] * 3 + ["resample", GENERATORS] * 2 + asked[10:]
    assert len(asked) == 2 * 3 * dynamics.draws_per_step == 30
    averages = dynamics.averages(states[2])
    for seen in oracle.profiles[10:13]:
        assert torch.equal(seen.generators.params[VECTOR], averages.generators.params[VECTOR])
        assert torch.equal(seen.generators.log_weights, averages.generators.log_weights)
    for seen in oracle.profiles[13:15]:
        assert torch.equal(seen.critics.params[VECTOR], averages.critics.params[VECTOR])
    own = [seen.generators.params[VECTOR] for seen in oracle.profiles[13:15]]
    assert torch.equal(own[0], positions(dynamics, states[2])[0])
    assert not torch.equal(own[1], own[0])


def best_responses(payoff, x, y, rounds):
    """Fictitious play as Brown has it: both players' exact answers to the averages of all before, and the averages."""
    sum_x, sum_y = x.clone(), y.clone()
    for _ in range(rounds):
        row, column = (payoff @ sum_y).argmin(), (sum_x @ payoff).argmax()
        sum_x[row] += 1
        sum_y[column] += 1
    return sum_x / (rounds + 1), sum_y / (rounds + 1)


@pytest.mark.parametrize(
    ("name", "gap"), [("matching pennies", 0.2), ("asymmetric pennies", 0.2), ("biased rock-paper-scissors", 7.0)]
)
def test_averages_are_those_of_fictitious_play_and_approach_the_equilibrium_while_the_players_do_not(name, gap):
    # A step so long that its projection is the best pure strategy.
    known, rounds = MATRIX_GAMES[name], 120
    game, dynamics = Matrix(known.payoff), SnapshotPlay(frozen(SGD(1e6)), frozen(SGD(1e6)), capacity=120)
    x, y = ([0.83, 0.17], [0.31, 0.69]) if len(known.row) == 2 else ([0.53, 0.3, 0.17], [0.21, 0.5, 0.29])
    states, _ = run(dynamics, VectorOracle(game), Profile(vectors(x), vectors(y)), rounds)
    average_x, average_y = (weights(one) @ one.params[VECTOR] for one in dynamics.averages(states[-1]))
    expected = best_responses(game.matrix, torch.tensor(x, dtype=DOUBLE), torch.tensor(y, dtype=DOUBLE), rounds)
    torch.testing.assert_close((average_x, average_y), expected, rtol=0, atol=1e-12)
    assert matrix_gap(game.matrix @ average_y, -(average_x @ game.matrix)) < gap
    last_x, last_y = (one[0] for one in positions(dynamics, states[-1]))
    assert matrix_gap(game.matrix @ last_y, -(last_x @ game.matrix)) > 5 * gap


def test_sampled_snapshots_stand_for_the_whole_queue_in_the_mean():
    plain = SnapshotPlay(*WEIGHTED, capacity=4)
    state = run(plain, VectorOracle(GAME), START, 4)[0][-1]
    whole = plain.averages(state)
    means, kinds = torch.zeros(2, dtype=DOUBLE), set()
    for seed in range(300):
        sampled, oracle = SnapshotPlay(*WEIGHTED, capacity=4, sampled=2), SpyOracle(VectorOracle(GAME))
        sampled.step(state, oracle, make_rng(seed))
        past = oracle.profiles[0].generators
        # The present counts 1/5, the two that are drawn 2/5 each.
        assert weights(past).reshape(3, 2).sum(1).tolist() == pytest.approx([0.4, 0.4, 0.2])
        assert torch.equal(past.params[VECTOR][-2:], positions(plain, state)[0])
        means += weights(past) @ past.params[VECTOR] / 300
        kinds.add(tuple(sorted(past.params[VECTOR][:4:2, 0].tolist())))
    assert len(kinds) == 6
    expected = weights(whole.generators) @ whole.generators.params[VECTOR]
    spread = whole.generators.params[VECTOR].std(0)
    assert bool(((means - expected).abs() < 0.15 * spread).all())


def test_snapshots_are_drawn_anew_for_every_update():
    state = run(SnapshotPlay(*WEIGHTED, capacity=9), VectorOracle(GAME), START, 9)[0][-1]
    oracle = SpyOracle(VectorOracle(GAME))
    SnapshotPlay(*WEIGHTED, capacity=9, critic_steps=8, sampled=1).step(state, oracle, make_rng(1))
    assert len({float(seen.generators.params[VECTOR][0, 0]) for seen in oracle.profiles[:8]}) > 2


def test_a_queue_that_is_never_full_and_a_reservoir_of_all_the_past_are_the_same_game_in_the_mean():
    # On a linear game positions are linear in what is averaged, so expectations obey one recursion.
    queue = SnapshotPlay(frozen(SGD(0.3)), frozen(SGD(0.2)), capacity=20)
    reservoir = OpponentAveraging(frozen(SGD(0.3)), frozen(SGD(0.2)), 1.0, capacity=1)
    start = Profile(vectors([1.0]), vectors([-0.5]))
    assert numbers(queue, run(queue, VectorOracle(XY), start, 1)[0][-1]) == pytest.approx(
        numbers(reservoir, run(reservoir, VectorOracle(XY), start, 1)[0][-1])
    )


def test_a_batch_of_games_is_played_like_the_games_alone():
    x, y = normal(5, 2, 2, key=1), normal(5, 3, 2, key=2)
    p, q = normal(5, 2, key=3).log_softmax(-1), normal(5, 3, key=4).log_softmax(-1)
    dynamics = SnapshotPlay(*WEIGHTED, capacity=2, snapshot_every=2, critic_steps=2)
    together = run(dynamics, VectorOracle(GAME), Profile(Population({VECTOR: x}, p), Population({VECTOR: y}, q)), 6)
    for game in range(5):
        start = Profile(Population({VECTOR: x[game]}, p[game]), Population({VECTOR: y[game]}, q[game]))
        alone = run(dynamics, VectorOracle(GAME), start, 6)
        for got, expected in zip(positions(dynamics, together[0][-1]), positions(dynamics, alone[0][-1]), strict=True):
            torch.testing.assert_close(got[game], expected, rtol=0, atol=1e-12)


def test_networks_answer_their_opponents_past():
    problem = tanh_problem(2, 3)
    dynamics = SnapshotPlay(frozen(SGD(0.1)), frozen(SGD(0.1)), capacity=3)
    oracle = gan_oracle(problem, Hinge())
    states, (_, seen) = run(dynamics, oracle, problem.profile, 2)
    again = gan_oracle(problem, Hinge()).feedback(
        Profile(dynamics.profile(states[1]).generators, dynamics.averages(states[1]).critics), GENERATORS
    )
    torch.testing.assert_close(seen.generator_losses, again.generator_losses)
    assert torch.equal(seen.values, seen.generator_losses.unsqueeze(1).expand(2, 3))
    moved = map_params(lambda leaf, grad: leaf - 0.1 * grad, dynamics.profile(states[1]).generators.params, again[3])
    for name, leaf in dynamics.profile(states[2]).generators.params.items():
        torch.testing.assert_close(leaf, moved[name], rtol=0, atol=1e-12)


def test_copies_are_announced():
    assert SnapshotPlay(*WEIGHTED, capacity=5).extra_particles(2, 3) == (10, 15)


def test_the_players_can_be_put_elsewhere_and_keep_their_past():
    dynamics = SnapshotPlay(*WEIGHTED, capacity=4)
    states, _ = run(dynamics, VectorOracle(GAME), START, 3)
    moved = dynamics.replace_profile(states[-1], START)
    assert torch.equal(dynamics.profile(moved).critics.params[VECTOR], START.critics.params[VECTOR])
    assert moved.critic_snapshots is states[-1].critic_snapshots
    assert moved.steps == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"capacity": 0}, "needs at least 1 place, found a capacity of 0"),
        ({"snapshot_every": 0}, "must be at least 1 step apart, found 0"),
        ({"generator_steps": 0}, "at least 1 generator step, found 0"),
        ({"critic_steps": -1}, "at least 1 critic step, found -1"),
        ({"sampled": 0}, "From 1 to 4 snapshots, the capacity of the queue, can be sampled, found 0"),
        ({"sampled": 5}, "can be sampled, found 5"),
    ],
)
def test_arguments_outside_their_range_are_refused(arguments, message):
    with pytest.raises(InvalidInputError, match=message):
        SnapshotPlay(*WEIGHTED, **{"capacity": 4, **arguments})
