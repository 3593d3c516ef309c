"""Weights by exact solutions: linear programs of finite games, critics of the past as opponents, averaged matrices."""

import pytest
import torch

from mixnash.core.dynamics.exact_weights import ExactWeights
from mixnash.core.dynamics.optimistic import Optimistic
from mixnash.core.dynamics.simultaneous import Simultaneous
from mixnash.core.errors import InvalidInputError
from mixnash.core.games.bilinear import Bilinear
from mixnash.core.games.matrix import Matrix
from mixnash.core.games.squared_distance import SquaredDistance
from mixnash.core.games.vectors import VECTOR
from mixnash.core.population import weights
from mixnash.core.rules.sgd import SGD
from mixnash.core.rules.still import Still
from mixnash.core.types import NOBODY, AbstractOracle, Player, Profile
from mixnash.core.vector_oracle import FiniteOracle, VectorOracle
from mixnash.equilibrium.linear_program import LinearProgram
from plugins import same
from problems import (
    DOUBLE,
    MATRIX_GAMES,
    EnumeratedSupports,
    SpyOracle,
    descend,
    frozen,
    matrix_gap,
    normal,
    run,
    vectors,
)

STILL = Simultaneous(frozen(Still()), frozen(Still()))


def some(count, given=None):
    """Particles of a finite game, which are nowhere."""
    return vectors(*([0.0] for _ in range(count)), weights=given)


def found(dynamics, state):
    return tuple(weights(one) for one in dynamics.profile(state))


# ---------------------------------------------------------------------- finite games


@pytest.mark.parametrize("solver", [EnumeratedSupports(), LinearProgram()], ids=["supports", "program"])
@pytest.mark.parametrize("name", MATRIX_GAMES)
def test_one_solution_has_the_weights_and_the_value_of_the_matrix_game(name, solver):
    known = MATRIX_GAMES[name]
    payoff, dynamics = torch.tensor(known.payoff, dtype=DOUBLE), ExactWeights(STILL, solver, every=1)
    count = len(payoff)
    states, _ = run(dynamics, FiniteOracle(payoff), Profile(some(count), some(count)), 2)
    p, q = found(dynamics, states[1])
    assert (p.tolist(), q.tolist()) == (pytest.approx(known.row, abs=1e-9), pytest.approx(known.column, abs=1e-9))
    shown = dynamics.diagnostics(states[1])
    uniform = torch.full((count,), 1 / count, dtype=DOUBLE)
    assert shown["exact/value"] == pytest.approx(known.value)
    assert shown["exact/gap"] == pytest.approx(matrix_gap(payoff @ uniform, -(uniform @ payoff)))
    assert dynamics.diagnostics(states[2])["exact/gap"] == pytest.approx(0, abs=1e-9)  # of the weights just found


def test_weights_go_part_of_the_way_every_so_many_steps():
    known = MATRIX_GAMES["asymmetric pennies"]
    dynamics = ExactWeights(STILL, EnumeratedSupports(), every=3, damping=0.25)
    start = Profile(some(2, [0.2, 0.8]), some(2, [0.9, 0.1]))
    states, _ = run(dynamics, FiniteOracle(torch.tensor(known.payoff, dtype=DOUBLE)), start, 7)
    first = [float(found(dynamics, state)[0][0]) for state in states]
    assert first == pytest.approx([0.2] * 3 + [0.3] * 3 + [0.375] * 2)  # 3/4 of the distance to 3/5 is left
    second = [float(found(dynamics, state)[1][0]) for state in states]
    assert second == pytest.approx([0.9] * 3 + [0.775] * 3 + [0.68125] * 2)  # to 2/5
    assert states[-1].solutions == 2


def test_rectangular_games_have_no_gap_and_log_weights_stay_finite():
    payoff = normal(5, 3)
    dynamics = ExactWeights(STILL, LinearProgram(), every=1)
    states, _ = run(dynamics, FiniteOracle(payoff), Profile(some(5), some(3)), 1)
    p, q = found(dynamics, states[-1])
    assert matrix_gap(payoff @ q, -(p @ payoff)) == pytest.approx(0, abs=1e-9)
    assert float(p.min()) < 1e-20  # five rows against three columns: two at least are idle
    assert all(bool(torch.isfinite(one.log_weights).all()) for one in dynamics.profile(states[-1]))


# ---------------------------------------------------------------------- critics of the past


class MovingCritic(AbstractOracle):
    """(x - y)^2 with generators that stay, and a critic that is at given places one after the other."""

    def __init__(self, places):
        self._places, self._steps, self._inner = places, 0, VectorOracle(SquaredDistance())

    def resample(self):
        self._inner.resample()

    def feedback(self, profile, players):
        return self._inner.feedback(profile, players)

    def linearise(self, profile):
        return self._inner.linearise(profile)

    def project(self, player, params):
        if player is Player.GENERATOR:
            return params
        self._steps += 1
        return {VECTOR: torch.full_like(params[VECTOR], self._places[self._steps - 1])}


PLACES = [0.8, -1.0, 0.3, 1.0]
GENERATORS = [-0.9, -0.1, 0.4, 0.7]


def against(critics):
    """The weights of the linear program against critics in these places."""
    x, y = torch.tensor(GENERATORS, dtype=DOUBLE), torch.tensor(critics, dtype=DOUBLE)
    return LinearProgram().solve((x.unsqueeze(1) - y).square())[0].tolist()


@pytest.mark.parametrize(("memory", "seen"), [(0, PLACES[3:]), (1, PLACES[2:]), (2, PLACES[1:]), (9, PLACES)])
def test_a_single_critic_is_answered_together_with_its_past(memory, seen):
    dynamics = ExactWeights(STILL, LinearProgram(), every=1, memory=memory)
    start = Profile(vectors(*([one] for one in GENERATORS)), vectors([0.1]))
    states, _ = run(dynamics, MovingCritic(PLACES), start, 4)
    p, q = found(dynamics, states[-1])
    assert p.tolist() == pytest.approx(against(seen), abs=1e-9)
    assert q.tolist() == [1.0]
    assert states[-1].past[VECTOR].flatten().tolist()[:4] == pytest.approx((PLACES[::-1] + [0.0] * 9)[:memory][:4])
    assert states[-1].past[VECTOR].shape == (memory, 1)


def test_only_a_memory_makes_a_mixture_of_generators_the_answer_to_one_critic():
    assert sum(one > 1e-9 for one in against(PLACES[3:])) == 1
    assert sum(one > 1e-9 for one in against(PLACES)) == 2


def test_present_critics_share_what_the_solution_gives_them():
    # Columns: the present critics 1, -1/2, 0 and, from the first solution, the same moved from elsewhere.
    critics = descend(Simultaneous, 1e-3)
    dynamics = ExactWeights(critics, LinearProgram(), every=1, memory=1)
    spy = SpyOracle(VectorOracle(SquaredDistance()))
    start = Profile(vectors([-0.9], [-0.1], [0.4]), vectors([0.9], [-0.5], [0.0], weights=[0.2, 0.3, 0.5]))
    states, _ = run(dynamics, spy, start, 2)
    asked = spy.profiles[-1]
    assert asked.critics.log_weights.shape == (6,)
    payoff = VectorOracle(SquaredDistance()).feedback(asked, NOBODY).values
    p, q = LinearProgram().solve(payoff)
    assert 0 < float(q[:3].sum()) <= 1
    own, other = found(dynamics, states[-1])
    torch.testing.assert_close(own, p, rtol=0, atol=1e-12)
    torch.testing.assert_close(other, q[:3] / q[:3].sum(), rtol=0, atol=1e-12)


def test_critics_keep_their_weights_where_the_past_alone_matters():
    # The present columns pay -9 in every row: the solution has the past ones alone.
    class Fixed(FiniteOracle):
        """Zero payoffs for the present, pennies for the past."""

        def feedback(self, profile, players):
            return self.both if profile.critics.log_weights.shape[0] == 4 else super().feedback(profile, players)

    oracle = Fixed(torch.zeros(2, 2, dtype=DOUBLE))
    full = FiniteOracle(torch.tensor([[-9.0, -9.0, 1.0, -1.0], [-9.0, -9.0, -2.0, 1.0]], dtype=DOUBLE))
    oracle.both = full.feedback(Profile(some(2), some(4)), NOBODY)
    dynamics = ExactWeights(STILL, LinearProgram(), every=1, memory=1)
    states, _ = run(dynamics, oracle, Profile(some(2, [0.3, 0.7]), some(2, [0.2, 0.8])), 2)
    first, second = (found(dynamics, state)[1] for state in states[1:])
    assert second.tolist() == pytest.approx(first.tolist())
    # Rows (1, -1), (-2, 1): p = 3/5 makes both columns pay -1/5.
    assert found(dynamics, states[-1])[0].tolist() == pytest.approx([3 / 5, 2 / 5])


# ---------------------------------------------------------------------- draws, and what the base sees


class NoisyMatrix(AbstractOracle):
    """A finite game that shows one of several matrices after the other, a new one for each draw."""

    def __init__(self, matrices):
        self._oracles, self._draw = [FiniteOracle(one) for one in matrices], -1

    def resample(self):
        self._draw += 1

    def feedback(self, profile, players):
        return self._oracles[self._draw].feedback(profile, players)

    def linearise(self, profile):
        raise AssertionError

    def project(self, player, params):
        return params


def test_the_matrix_is_averaged_over_fresh_draws():
    matrices = [normal(3, 4, key=key) for key in range(4)]
    dynamics = ExactWeights(STILL, LinearProgram(), every=1, draws=3)
    states, _ = run(dynamics, NoisyMatrix(matrices), Profile(some(3), some(4)), 1)
    p, q = LinearProgram().solve((matrices[1] + matrices[2] + matrices[3]) / 3)  # the first draw is the base's
    for one, expected in zip(found(dynamics, states[-1]), (p, q), strict=True):
        torch.testing.assert_close(one, expected, rtol=0, atol=1e-12)
    assert dynamics.draws_per_step == 4


def test_between_solutions_the_base_does_not_notice_and_at_one_its_memory_starts_anew():
    game, base = Bilinear([[1.0]]), descend(Optimistic, 0.1)
    start = Profile(vectors([1.0], [-0.4], weights=[0.4, 0.6]), vectors([-0.5], [0.7]))
    alone, _ = run(base, VectorOracle(game), start, 3)
    states, seen = run(ExactWeights(base, LinearProgram(), every=4, memory=2), VectorOracle(game), start, 4)
    assert all(same(one.base, other) for one, other in zip(states, alone, strict=False))
    assert [one.base.steps for one in states] == [0, 1, 2, 3, 0]
    assert all(one.values.shape == (2, 2) for one in seen)
    assert same(states[3].base.players.profile.generators.params, alone[3].players.profile.generators.params)


def test_only_payoffs_are_asked_for_on_draws_of_their_own():
    spy = SpyOracle(VectorOracle(SquaredDistance()))
    start = Profile(vectors([-0.9], [0.4]), vectors([0.9], [-0.5], [0.0]))
    run(ExactWeights(descend(Simultaneous, 0.1), LinearProgram(), every=2, draws=2), spy, start, 2)
    calls = [one for one in spy.calls if not isinstance(one, Player)]
    assert calls[-4:] == ["resample", NOBODY, "resample", NOBODY]
    assert calls.count("resample") == 4


def test_players_can_be_put_elsewhere_and_the_state_tells_how_many_critics_it_keeps():
    dynamics = ExactWeights(Simultaneous(frozen(SGD(0.3)), frozen(SGD(0.2))), LinearProgram(), 1, memory=3)
    there = Profile(vectors([0.2], [0.3], weights=[0.4, 0.6]), vectors([0.5]))
    states, _ = run(dynamics, VectorOracle(SquaredDistance()), Profile(vectors([0.1], [0.9]), vectors([0.4])), 2)
    moved = dynamics.replace_profile(states[-1], there)
    assert same(dynamics.profile(moved), there)
    assert same(moved.past, states[-1].past)
    assert dynamics.extra_particles(5, 2) == (0, 6)
    assert dynamics.diagnostics(moved)["critics/step_size"] == 0.2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"every": 0}, "Exact weights must be at least 1 step apart, found 0"),
        ({"memory": -1}, "memory of past critics must be at least 0 solutions long, found -1"),
        ({"damping": 0.0}, r"damping of exact weights must lie in \(0, 1\], found 0\.0"),
        ({"damping": 1.1}, r"damping of exact weights must lie in \(0, 1\], found 1\.1"),
        ({"draws": 0}, "at least 1 draw of the payoff matrix, found 0"),
    ],
)
def test_impossible_arguments_are_refused(arguments, message):
    with pytest.raises(InvalidInputError, match=message):
        ExactWeights(STILL, LinearProgram(), **arguments)


def test_pure_strategies_of_a_matrix_game_on_the_simplex_are_weighed_as_by_its_program():
    known = MATRIX_GAMES["biased rock-paper-scissors"]
    game = Matrix(known.payoff)
    start = Profile(game.pure_strategies(Player.GENERATOR), game.pure_strategies(Player.CRITIC))
    dynamics = ExactWeights(STILL, LinearProgram(), every=1)
    states, _ = run(dynamics, VectorOracle(game), start, 1)
    p, q = found(dynamics, states[-1])
    assert (p.tolist(), q.tolist()) == (pytest.approx(known.row, abs=1e-9), pytest.approx(known.column, abs=1e-9))
