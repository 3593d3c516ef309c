"""The mirror-Langevin loops: by hand, in their special cases, and out of the trap of the weird saddle."""

import pytest
import torch

from mixnash.core.domains import Box
from mixnash.core.dynamics.extragradient import Extragradient
from mixnash.core.dynamics.mirror_langevin import MirrorLangevin
from mixnash.core.dynamics.mirror_prox_langevin import MirrorProxLangevin
from mixnash.core.dynamics.simultaneous import Simultaneous
from mixnash.core.errors import InvalidInputError
from mixnash.core.games.bilinear import Bilinear
from mixnash.core.games.hinge import Hinge
from mixnash.core.games.matrix import Matrix
from mixnash.core.games.vectors import VECTOR
from mixnash.core.games.weird_saddle import WeirdSaddle
from mixnash.core.rules.adam import Adam
from mixnash.core.rules.base import PlayerRules
from mixnash.core.rules.entropic import EntropicMirrorDescent
from mixnash.core.rules.langevin import Langevin
from mixnash.core.rules.sgd import SGD
from mixnash.core.rules.still import Still
from mixnash.core.schedules import Growth, Polynomial
from mixnash.core.types import CRITICS, GENERATORS, Player, Population, Profile
from mixnash.core.vector_oracle import VectorOracle
from plugins import same
from problems import (
    DOUBLE,
    MATRIX_GAMES,
    SpyOracle,
    descend,
    frozen,
    gan_oracle,
    positions,
    run,
    tanh_problem,
    vectors,
)

BOTH_KINDS = pytest.mark.parametrize("kind", [MirrorLangevin, MirrorProxLangevin])
CURVED = WeirdSaddle()
"""x y - x^2 y^2: the field is (1 - 2 x y) (y, -x)."""
X_STEP, Y_STEP = 0.2, 0.3


def endpoints(dynamics, game, start, steps):
    states, _ = run(dynamics, VectorOracle(game), Profile(vectors([start[0]]), vectors([start[1]])), steps)
    x, y = positions(dynamics, states[-1])
    return float(x), float(y)


def push(x, y, against_x, against_y):
    """One gradient step of each player against given opponents."""
    return (
        x - X_STEP * (1 - 2 * x * against_y) * against_y,
        y + Y_STEP * (1 - 2 * against_x * y) * against_x,
    )


def chain(start, length, damping, opponents):
    """The running means of a chain; `opponents` None: each other."""
    (x, y), (mean_x, mean_y) = start, start
    for _ in range(length):
        x, y = push(x, y, *((x, y) if opponents is None else opponents))
        mean_x, mean_y = (1 - damping) * mean_x + damping * x, (1 - damping) * mean_y + damping * y
    return mean_x, mean_y


def damped(old, new, share):
    return tuple((1 - share) * a + share * b for a, b in zip(old, new, strict=True))


@pytest.mark.parametrize("co_evolving", [True, False])
def test_the_loop_follows_the_equations_written_out(co_evolving):
    dynamics = MirrorLangevin(frozen(Langevin(X_STEP, 0.0)), frozen(SGD(Y_STEP)), 3, 0.5, 0.7, co_evolving=co_evolving)
    point = (0.8, -0.4)
    for _ in range(4):
        point = damped(point, chain(point, 3, 0.5, None if co_evolving else point), 0.7)
    assert endpoints(dynamics, CURVED, (0.8, -0.4), 4) == pytest.approx(point, abs=1e-14)


def test_one_step_of_the_loop_by_hand_on_xy():
    # eta = 1/2, K = 3, beta = 1/2, from (1, 0). Co-evolving: (1, 1/2), (3/4, 1), (1/4, 11/8) with means (1, 1/4),
    # (7/8, 5/8), (9/16, 1). Against the outer point x stays at 1; y goes 1/2, 1, 3/2 with means 1/4, 5/8, 17/16.
    for co_evolving, mean in ((True, (9 / 16, 1.0)), (False, (1.0, 17 / 16))):
        dynamics = MirrorLangevin(frozen(SGD(0.5)), frozen(SGD(0.5)), 3, 0.5, 0.5, co_evolving)
        got = endpoints(dynamics, Bilinear([[1.0]]), (1.0, 0.0), 1)
        assert got == pytest.approx(damped((1.0, 0.0), mean, 0.5), abs=1e-15)


def test_the_prox_loop_follows_the_equations_written_out():
    dynamics = MirrorProxLangevin(frozen(SGD(X_STEP)), frozen(SGD(Y_STEP)), 3, 0.5, 0.7)
    point = (0.8, -0.4)
    for _ in range(4):
        ahead = chain(point, 3, 0.5, point)
        point = damped(point, chain(point, 3, 0.5, ahead), 0.7)
    assert endpoints(dynamics, CURVED, (0.8, -0.4), 4) == pytest.approx(point, abs=1e-14)


@pytest.mark.parametrize("co_evolving", [True, False])
def test_chains_of_one_undamped_step_are_simultaneous_langevin_exactly(co_evolving):
    players = (
        PlayerRules(Langevin(Polynomial(0.05, 0.5), 0.3), EntropicMirrorDescent(0.2)),
        PlayerRules(Adam(0.05, 0.5), EntropicMirrorDescent(0.1)),
    )
    problem = tanh_problem(2, 3)
    loop, plain = MirrorLangevin(*players, 1, 1.0, 1.0, co_evolving), Simultaneous(*players)
    ours, theirs = (run(one, gan_oracle(problem, Hinge()), problem.profile, 5)[0][-1] for one in (loop, plain))
    assert same(ours.players, theirs)


def test_prox_chains_of_one_undamped_step_are_extragradient_where_payoffs_are_linear():
    game = Bilinear([[1.0, -2.0], [0.5, 3.0]], [0.3, -0.2], [1.0, 0.4])
    start = Profile(vectors([0.5, 1.0], [-0.4, 0.1], weights=[0.3, 0.7]), vectors([0.2, 0.9]))
    players = frozen(SGD(0.1)), frozen(SGD(0.05))
    loop, plain = MirrorProxLangevin(*players, 1, 1.0, 1.0), Extragradient(*players)
    ours, theirs = (run(one, VectorOracle(game), start, 9)[0][-1] for one in (loop, plain))
    torch.testing.assert_close(loop.profile(ours), plain.profile(theirs), rtol=0, atol=1e-13)


def test_prox_chains_of_one_step_are_mirror_prox_on_the_weights_of_a_finite_game():
    game = Matrix(MATRIX_GAMES["slow last iterate"].payoff)
    start = Profile(game.pure_strategies(Player.GENERATOR), game.pure_strategies(Player.CRITIC))
    player = PlayerRules(Still(), EntropicMirrorDescent(0.4))
    loop, plain = MirrorProxLangevin(player, player, 2, 0.5, 0.5), Extragradient(player, player)
    ours, theirs = (run(one, VectorOracle(game), start, 9)[0][-1] for one in (loop, plain))
    torch.testing.assert_close(loop.profile(ours), plain.profile(theirs), rtol=0, atol=1e-13)


@BOTH_KINDS
def test_weights_move_once_on_the_losses_averaged_over_the_chain(kind):
    start = Profile(vectors([0.3], [-0.2], weights=[0.4, 0.6]), vectors([0.5], [0.1], [0.9], weights=[0.2, 0.3, 0.5]))
    player = PlayerRules(SGD(0.1), EntropicMirrorDescent(0.8))
    dynamics, oracle = kind(player, player, 3, 0.5, 0.5), SpyOracle(VectorOracle(CURVED))
    states, _ = run(dynamics, oracle, start, 1)
    calls = [call for call in oracle.calls if isinstance(call, frozenset)]
    plain = VectorOracle(CURVED)
    seen = [plain.feedback(profile, who) for profile, who in zip(oracle.profiles, calls, strict=True)]
    if kind is MirrorLangevin:
        own = [one.generator_losses for one in seen]
    else:
        own = [one.generator_losses for one, who in zip(seen, calls, strict=True) if who == GENERATORS][3:]
    assert len(own) == 3
    moved = torch.log_softmax(start.generators.log_weights - 0.8 * sum(own) / 3, 0)
    torch.testing.assert_close(dynamics.profile(states[-1]).generators.log_weights, moved, rtol=0, atol=1e-14)
    assert states[-1].players.generators.weights.updates == 1
    assert states[-1].players.generators.position.updates == 3


def test_frozen_opponents_are_asked_apart_on_shared_draws():
    dynamics = MirrorLangevin(frozen(SGD(0.1)), frozen(SGD(0.1)), 2, co_evolving=False)
    start, oracle = Profile(vectors([0.3]), vectors([0.5])), SpyOracle(VectorOracle(CURVED))
    run(dynamics, oracle, start, 1)
    assert [one for one in oracle.calls if not isinstance(one, Player)] == ["resample", GENERATORS, CRITICS] * 2
    assert all(torch.equal(oracle.profiles[i].critics.params[VECTOR], start.critics.params[VECTOR]) for i in (0, 2))
    assert all(
        torch.equal(oracle.profiles[i].generators.params[VECTOR], start.generators.params[VECTOR]) for i in (1, 3)
    )


@BOTH_KINDS
def test_the_length_of_a_chain_follows_its_schedule_rounded_down(kind):
    dynamics = kind(frozen(SGD(0.01)), frozen(SGD(0.01)), Growth(1.0, 1.5, 3.9))
    oracle = SpyOracle(VectorOracle(CURVED))
    factor = 1 if kind is MirrorLangevin else 2
    state, lengths = dynamics.init(Profile(vectors([0.3]), vectors([0.5]))), []
    for _ in range(6):
        assert dynamics.diagnostics(state)["critics/inner_steps"] == int(min(1.5 ** len(lengths), 3.9))
        before = oracle.calls.count("resample")
        state, _ = dynamics.step(state, oracle, torch.Generator())
        lengths.append((oracle.calls.count("resample") - before) // factor)
    assert lengths == [1, 1, 2, 3, 3, 3]
    assert dynamics.draws_per_step == 3 * factor


def test_the_papers_lengths_grow_when_they_should():
    # floor((1 + 1e-5)^t) reaches 2 after t = 69,315 and is 3 at 109,862, 12 at 250,000.
    lengths = Growth(1.0, 1 + 1e-5, 50.0)
    assert [int(lengths(t)) for t in (0, 69_315, 69_316, 109_862, 250_000, 10**9)] == [1, 1, 2, 3, 12, 50]


def test_growth_reaches_its_limit_and_stays():
    schedule = Growth(0.5, 2.0, 3.0)
    assert [schedule(t) for t in (0, 1, 2, 3, 10**6)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    assert schedule.bounds() == (0.5, 3.0)
    assert Growth(2.0, 1.0, 3.0)(10**6) == 2.0
    assert Growth(2.0, 1.0, 2.0)(5) == 2.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.0, 1.1, 5.0), "needs 0 < start <= limit, found start 0.0 and limit 5.0"),
        ((6.0, 1.1, 5.0), "needs 0 < start <= limit, found start 6.0 and limit 5.0"),
        ((1.0, 0.9, 5.0), "rate of a growing schedule must be at least 1, found 0.9"),
        ((1.0, 1.1, float("inf")), "limit of a schedule must be finite"),
    ],
)
def test_growth_refuses_arguments_outside_their_range(arguments, message):
    with pytest.raises(InvalidInputError, match=message):
        Growth(*arguments)


# ---------------------------------------------------------------------- the trap of -w^2 x^2 + w x


TRAP = WeirdSaddle(Box([-2.0], [2.0]), Box([-2.0], [2.0]))


def reached(dynamics, steps, seeds=50):
    """|payoff| at the end of a batch of runs from (w, x) = (-0.2, -0.6)."""
    at = [torch.full((seeds, 1, 1), start, dtype=DOUBLE) for start in (-0.6, -0.2)]
    start = Profile(*(Population({VECTOR: one}, torch.zeros(seeds, 1, dtype=DOUBLE)) for one in at))
    states, _ = run(dynamics, VectorOracle(TRAP), start, steps)
    x, y = positions(dynamics, states[-1])
    return TRAP.payoff(x, y).abs(), torch.hypot(x, y)


def test_co_evolving_chains_leave_the_trap_that_holds_gradient_descent():
    rules = frozen(Langevin(0.1, 1e-4))  # noise 0.01 in the notation sqrt(2 eta) psi xi
    values, distances = reached(MirrorLangevin(rules, rules, 100, 0.5, 0.5), 20)
    assert int((values < 0.05).sum()) >= 48
    assert float(distances.mean()) < 0.06
    assert float(reached(descend(Simultaneous, 0.05), 1000, 1)[0]) == pytest.approx(0.25, abs=1e-3)


def test_chains_against_the_outer_point_do_not():
    rules = frozen(Langevin(0.1, 1e-4))
    values, _ = reached(MirrorLangevin(rules, rules, 100, 0.5, 0.5, co_evolving=False), 15)
    assert int((values < 0.05).sum()) <= 15


# ---------------------------------------------------------------------- refusals and moves


@BOTH_KINDS
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0,), "inner chain needs at least 1 step at every time, found lengths from 0.0 to 0.0"),
        ((Polynomial(5.0, 0.5),), "inner chain needs at least 1 step at every time, found lengths from 0.0 to 5.0"),
        ((1, 0.0), r"inner damping must lie in \(0, 1\], found 0.0"),
        ((1, 0.5, 1.5), r"outer damping must lie in \(0, 1\], found 1.5"),
    ],
)
def test_arguments_outside_their_range_are_refused(kind, arguments, message):
    with pytest.raises(InvalidInputError, match=message):
        kind(frozen(SGD(0.1)), frozen(SGD(0.1)), *arguments)


@BOTH_KINDS
def test_the_outer_point_can_be_put_elsewhere(kind):
    dynamics = kind(frozen(Adam(0.1)), frozen(SGD(0.1)), 2)
    start = Profile(vectors([0.3]), vectors([0.5]))
    states, _ = run(dynamics, VectorOracle(CURVED), start, 2)
    moved = dynamics.replace_profile(states[-1], start)
    assert same(dynamics.profile(moved), start)
    assert same(moved.players.generators.position, states[-1].players.generators.position)
    assert moved.steps == 2
