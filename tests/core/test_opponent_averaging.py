"""Averaging the opponent's past: the law of the reservoirs, the averaged recursion, and what is left without memory."""

import math

import pytest
import torch

from mixnash.core.dynamics.opponent_averaging import OpponentAveraging, refill
from mixnash.core.dynamics.simultaneous import Simultaneous
from mixnash.core.errors import InvalidInputError
from mixnash.core.games.bilinear import Bilinear
from mixnash.core.games.hinge import Hinge
from mixnash.core.games.matrix import Matrix
from mixnash.core.games.vectors import VECTOR
from mixnash.core.rules.base import PlayerRules
from mixnash.core.rules.entropic import EntropicMirrorDescent
from mixnash.core.rules.sgd import SGD
from mixnash.core.rules.still import Still
from mixnash.core.schedules import Cosine, Polynomial
from mixnash.core.types import BOTH, CRITICS, GENERATORS, Player, Population, Profile
from mixnash.core.vector_oracle import VectorOracle
from problems import (
    DOUBLE,
    MATRIX_GAMES,
    SpyOracle,
    frozen,
    gan_oracle,
    make_rng,
    normal,
    positions,
    run,
    tanh_problem,
    vectors,
)

GAME = Bilinear([[1.0, -2.0], [0.5, 3.0]], [0.3, -0.2], [1.0, 0.4])
START = Profile(vectors([0.5, 1.0], [-0.4, 0.1], weights=[0.3, 0.7]), vectors([0.2, 0.9], [1.0, -1.0], [0.3, 0.0]))


@pytest.mark.parametrize("capacity", [1, 4])
def test_without_memory_and_with_one_particle_each_it_is_simultaneous_descent(capacity):
    start = Profile(vectors([0.5, 1.0]), vectors([0.2, 0.9]))
    players = frozen(SGD(0.1)), frozen(SGD(0.05))
    dynamics, plain = OpponentAveraging(*players, 1.0, capacity), Simultaneous(*players)
    ours, theirs = (run(one, VectorOracle(GAME), start, 8)[0][-1] for one in (dynamics, plain))
    torch.testing.assert_close(positions(dynamics, ours), positions(plain, theirs), rtol=0, atol=1e-14)


def shares(schedule, steps):
    """How much each of the steps counts in the average after the last of them: b_0 = 1, then the recursion."""
    counts = [1.0]
    for step in range(1, steps):
        counts = [one * (1 - schedule(step)) for one in counts] + [schedule(step)]
    return torch.tensor(counts, dtype=DOUBLE)


def test_inverse_steps_weigh_alike_and_longer_timescales_weigh_like_powers():
    uniform = shares(Polynomial(1.0, 1.0), 9)
    torch.testing.assert_close(uniform, torch.full((9,), 1 / 9, dtype=DOUBLE))
    powers = torch.tensor([(s + 1.0) * (s + 2.0) for s in range(9)], dtype=DOUBLE)
    torch.testing.assert_close(shares(Polynomial(1.0, 1.0, 3.0), 9), powers / powers.sum())


@pytest.mark.parametrize("schedule", [Polynomial(1.0, 1.0), Polynomial(1.0, 1.0, 3.0), lambda step: 0.2])
def test_slots_hold_past_particles_as_often_as_their_weighted_average_says(schedule):
    # Rows and columns stay where they are, only weights move: a slot shows which particle it holds.
    known, capacity, steps = MATRIX_GAMES["biased rock-paper-scissors"], 20_000, 12
    game = Matrix(known.payoff)
    player = PlayerRules(Still(), EntropicMirrorDescent(0.02))
    replacement = schedule if isinstance(schedule, Polynomial) else 0.2
    dynamics = OpponentAveraging(player, player, replacement, capacity)
    start = Profile(game.pure_strategies(Player.GENERATOR), game.pure_strategies(Player.CRITIC))
    states, seen = run(dynamics, VectorOracle(game), start, steps)
    counts = shares(schedule, steps)
    averages = dynamics.averages(states[-1])
    for player in (0, 1):
        path = torch.stack([dynamics.profile(state)[player].log_weights.exp() for state in states[:steps]])
        assert float((path[-1] - path[0]).abs().max()) > 0.3  # the average is none of the mixtures on the way
        law = counts @ path
        held = averages[player].params[VECTOR].mean(0)
        # Five standard errors of a share among independent slots.
        assert bool(((held - law).abs() < 5 * (law * (1 - law) / capacity).sqrt()).all())
        torch.testing.assert_close(averages[player].log_weights.exp().sum(), torch.tensor(1.0, dtype=DOUBLE))
    torch.testing.assert_close(
        seen[-1].generator_losses, game.matrix @ averages.critics.params[VECTOR].mean(0), rtol=0, atol=1e-9
    )


def test_a_slot_draws_by_weight_and_keeps_what_it_holds_otherwise():
    slots, capacity = {"a": torch.full((40_000, 2), -1.0, dtype=DOUBLE)}, 40_000
    mixture = Population(
        {"a": torch.arange(3, dtype=DOUBLE).unsqueeze(-1).expand(3, 2)},
        torch.tensor([0.1, 0.2, 0.7], dtype=DOUBLE).log(),
    )
    new = refill(slots, mixture, 0.25, make_rng(1))["a"]
    assert torch.equal(new[:, 0], new[:, 1])  # whole particles
    for held, share in ((-1, 0.75), (0, 0.025), (1, 0.05), (2, 0.175)):
        found = float((new[:, 0] == held).double().mean())
        assert abs(found - share) < 5 * math.sqrt(share * (1 - share) / capacity)
    assert bool((slots["a"] == -1).all())


def test_slots_of_a_batch_draw_from_their_own_game_only():
    params = {"a": (10 * torch.arange(4.0).reshape(4, 1) + torch.arange(3)).unsqueeze(-1)}  # [games, K, 1]
    mixture = Population(params, torch.log_softmax(normal(4, 3).float(), -1))
    new = refill({"a": torch.zeros(4, 900, 1)}, mixture, 1.0, make_rng(1))["a"]
    assert torch.equal(new // 10, torch.arange(4.0).reshape(4, 1, 1).expand(4, 900, 1))
    assert all(len(one.unique()) == 3 for one in new)


@pytest.mark.parametrize("replacement", [Polynomial(1.0, 1.0), 0.3])
def test_the_mean_over_many_games_follows_the_averaged_recursion(replacement):
    # On a bilinear game positions are linear in the slots, so expectations obey the recursion without sampling.
    games, steps, x_step, y_step = 4000, 10, 0.3, 0.2
    one = torch.zeros(games, 1, dtype=DOUBLE)
    start = Profile(*(Population({VECTOR: torch.full((games, 1, 1), at, dtype=DOUBLE)}, one) for at in (1.0, -0.5)))
    dynamics = OpponentAveraging(frozen(SGD(x_step)), frozen(SGD(y_step)), replacement, capacity=2)
    states, _ = run(dynamics, VectorOracle(Bilinear([[1.0]])), start, steps)
    x, y, mean_x, mean_y = 1.0, -0.5, 0.0, 0.0
    for t in range(steps):
        share = 1.0 if t == 0 else (1 / (t + 1) if isinstance(replacement, Polynomial) else 0.3)
        mean_x, mean_y = (1 - share) * mean_x + share * x, (1 - share) * mean_y + share * y
        x, y = x - x_step * mean_y, y + y_step * mean_x
    for got, expected in zip(positions(dynamics, states[-1]), (x, y), strict=True):
        assert float(got.std()) > 0.02  # the reservoirs are random
        assert float(got.mean()) == pytest.approx(expected, abs=5 * float(got.std()) / math.sqrt(games))


def test_each_player_sees_the_others_reservoir_on_draws_of_its_own():
    dynamics = OpponentAveraging(frozen(SGD(0.1)), frozen(SGD(0.1)), Cosine(1.0, 0.2, 5), capacity=5)
    oracle = SpyOracle(VectorOracle(GAME, 0.1, make_rng(5)))
    states, (seen,) = run(dynamics, oracle, START, 1)
    asked = [call for call in oracle.calls if not isinstance(call, Player)]
    assert asked == ["resample", GENERATORS, "resample", CRITICS]
    assert [tuple(len(one.log_weights) for one in profile) for profile in oracle.profiles] == [(2, 5), (5, 3)]
    assert torch.equal(oracle.profiles[0].critics.params[VECTOR], states[-1].critic_slots[VECTOR])
    assert torch.equal(oracle.profiles[1].generators.params[VECTOR], states[-1].generator_slots[VECTOR])
    assert torch.equal(seen.values, seen.generator_losses.unsqueeze(1).expand(2, 3))


@pytest.mark.parametrize("capacity", [1, 2, 7])
def test_networks_play_against_reservoirs_of_any_size(capacity):
    problem = tanh_problem(2, 3)
    dynamics = OpponentAveraging(frozen(SGD(0.1)), frozen(SGD(0.1)), 0.5, capacity)
    oracle = gan_oracle(problem, Hinge())
    states, (seen, _) = run(dynamics, oracle, problem.profile, 2)
    # The draws of the two generators serve all slots in turn.
    reservoir = oracle.profiles[1].generators
    alone = [
        gan_oracle(problem, Hinge()).feedback(
            Profile(
                Population({name: leaf[[k, k]] for name, leaf in reservoir.params.items()}, rows),
                problem.profile.critics,
            ),
            BOTH,
        )
        for k in range(capacity)
        for rows in [torch.tensor([0.0, -200.0] if k % 2 == 0 else [-200.0, 0.0], dtype=DOUBLE)]
    ]
    expected = sum(one.critic_losses for one in alone) / capacity
    torch.testing.assert_close(seen.critic_losses, expected, rtol=0, atol=1e-12)
    assert {leaf.shape[0] for leaf in states[-1].critic_slots.values()} == {capacity}


def test_the_players_can_be_put_elsewhere_and_keep_their_past():
    dynamics = OpponentAveraging(frozen(SGD(0.1)), frozen(SGD(0.1)), 0.5, 4)
    states, _ = run(dynamics, VectorOracle(GAME), START, 3)
    moved = dynamics.replace_profile(states[-1], START)
    assert torch.equal(dynamics.profile(moved).critics.params[VECTOR], START.critics.params[VECTOR])
    assert moved.critic_slots is states[-1].critic_slots
    assert moved.steps == 3


@pytest.mark.parametrize(
    ("replacement", "capacity", "message"),
    [
        (1.5, 3, "replacement probability must be at most 1 at every step, found up to 1.5"),
        (-0.1, 3, "replacement probability must be positive"),
        (0.0, 3, "replacement probability must be positive"),
        (0.5, 0, "needs at least 1 slot, found a capacity of 0"),
    ],
)
def test_arguments_outside_their_range_are_refused(replacement, capacity, message):
    with pytest.raises(InvalidInputError, match=message):
        OpponentAveraging(frozen(SGD(0.1)), frozen(SGD(0.1)), replacement, capacity)
