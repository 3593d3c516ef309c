"""Lookahead: multipliers and thresholds on xy, golden trajectories, both players at once, nested levels."""

import pytest
import torch

from mixnash.core.domains import Sphere
from mixnash.core.dynamics.extragradient import Extragradient
from mixnash.core.dynamics.lookahead import Lookahead
from mixnash.core.dynamics.optimistic import Optimistic
from mixnash.core.dynamics.simultaneous import Simultaneous
from mixnash.core.errors import InvalidInputError
from mixnash.core.games.bilinear import Bilinear
from mixnash.core.rules.adam import Adam
from mixnash.core.rules.base import PlayerRules
from mixnash.core.rules.entropic import EntropicMirrorDescent
from mixnash.core.rules.sgd import SGD
from mixnash.core.rules.still import Still
from mixnash.core.types import BOTH, Player, Profile
from mixnash.core.vector_oracle import FiniteOracle, VectorOracle
from problems import DOUBLE, descend, frozen, make_rng, positions, run, vector_oracle, vectors
from toys import FORSAKEN, XY, end, walk


def multiplier(step_size, period, relaxation):
    """1 - a + a (1 - i h)^k: the complex factor of one cycle with gradient descent-ascent inside."""
    return 1 - relaxation + relaxation * (1 - 1j * step_size) ** period


def lookahead(step_size, period=5, relaxation=0.5, kind=Simultaneous):
    return Lookahead(descend(kind, step_size), period, relaxation)


# ---------------------------------------------------------------------- exact multipliers and golden trajectories


@pytest.mark.parametrize(
    ("step_size", "period", "relaxation"), [(0.1, 2, 0.5), (0.7, 3, 0.5), (0.3, 5, 0.25), (0.4, 10, 0.8), (0.2, 1, 0.3)]
)
def test_a_cycle_multiplies_by_its_known_complex_factor(step_size, period, relaxation):
    points = walk(lookahead(step_size, period, relaxation), [0.8], [-0.5], 4 * period)
    z = torch.complex(points[:, 0], points[:, 1])[::period]
    factor = multiplier(step_size, period, relaxation).conjugate()  # V(z) = -i z, so a step is z + i h z
    torch.testing.assert_close(z[1:], z[:-1] * factor, rtol=0, atol=1e-12)


# The smallest positive roots of |1/2 + (1 - i h)^k / 2| = 1; for k = 3 it is ((sqrt(21) - 3) / 2)^(1/2).
THRESHOLDS = {
    3: 0.889543618,
    4: 0.840487911,
    5: 0.742579752,
    6: 0.654767335,
    8: 0.524076542,
    10: 0.436002374,
    20: 0.239362179,
}


@pytest.mark.parametrize("period", THRESHOLDS)
def test_the_largest_stable_step_is_the_root_of_the_multiplier(period):
    def growth(step_size):
        return float(walk(lookahead(step_size, period), [0.6], [-0.8], period)[-1].norm()) - 1

    threshold = THRESHOLDS[period]
    below, above = growth(threshold - 1e-5), growth(threshold + 1e-5)
    assert below < 0 < above
    assert threshold - 1e-5 * (above + below) / (above - below) == pytest.approx(threshold, abs=1e-8)


@pytest.mark.parametrize("step_size", [0.001, 0.1, 0.5, 1.0, 1.5])
def test_a_period_of_two_with_relaxation_one_half_never_converges(step_size):
    grown = float(walk(lookahead(step_size, 2), [0.6], [-0.8], 2)[-1].norm())
    assert grown == pytest.approx(abs(multiplier(step_size, 2, 0.5)), abs=1e-13)
    assert grown > 1


GOLDEN = {
    Simultaneous: (0.225081577229, -0.647939908334),
    Extragradient: (0.10470237011, -0.39824389197),
}


@pytest.mark.parametrize("kind", GOLDEN)
def test_the_golden_trajectory_on_xy_is_followed(kind):
    assert end(lookahead(0.1, kind=kind), [1.0], [0.0], 100) == pytest.approx(GOLDEN[kind], abs=1e-10)


def test_the_golden_trajectory_on_the_forsaken_game_is_followed():
    found = end(lookahead(0.05), [1.0], [-0.8], 200, FORSAKEN)
    assert found == pytest.approx((-1.29082378326, 0.295348718536), abs=1e-10)


# ---------------------------------------------------------------------- slow and fast players


def test_slow_players_are_shown_and_move_together_every_period_from_the_start_on():
    points = walk(lookahead(0.1, 3), [0.8], [-0.5], 7)
    assert torch.equal(points[0], points[2])
    assert torch.equal(points[3], points[5])
    for before, after in ((2, 3), (5, 6)):
        assert bool((points[after] != points[before]).all())  # both coordinates, so both players


def test_fast_players_restart_from_the_slow_ones():
    oracle = vector_oracle(XY)
    dynamics = lookahead(0.1, 2, 0.25)
    states, _ = run(dynamics, oracle, Profile(vectors([0.8]), vectors([-0.5])), 5)
    visited = [[float(next(iter(one.params.values()))) for one in profile] for profile in oracle.profiles]
    slow = [[float(one) for one in positions(dynamics, states[t])] for t in (0, 2, 4)]
    assert [visited[0], visited[2], visited[4]] == slow


def test_log_weights_are_averaged_as_logarithms_and_normalised():
    payoff = torch.tensor([[1.0, -2.0, 0.5], [0.0, 1.0, -1.0]], dtype=DOUBLE)
    rules = PlayerRules(Still(), EntropicMirrorDescent(0.4))
    start = Profile(vectors([0.0], [0.0], weights=[0.7, 0.3]), vectors([0.0], [0.0], [0.0], weights=[0.2, 0.5, 0.3]))
    fast, _ = run(Simultaneous(rules, rules), FiniteOracle(payoff), start, 2)
    dynamics = Lookahead(Simultaneous(rules, rules), 2, 0.3)
    states, _ = run(dynamics, FiniteOracle(payoff), start, 2)
    for old, new, found in zip(start, fast[-1].profile, dynamics.profile(states[-1]), strict=True):
        p, q = old.log_weights.exp(), new.log_weights.exp()
        expected = p**0.7 * q**0.3
        torch.testing.assert_close(found.log_weights.exp(), expected / expected.sum())


def test_the_average_is_projected():
    game = Bilinear([[1.0, -2.0], [0.5, 3.0]], None, None, Sphere(2), Sphere(2))
    points = walk(lookahead(0.3, 4), [1.0, 0.0], [0.6, 0.8], 8, game)
    torch.testing.assert_close(points.reshape(9, 2, 2).norm(dim=2), torch.ones(9, 2, dtype=DOUBLE))


def test_rule_states_of_the_base_go_on_across_averages():
    dynamics = Lookahead(Simultaneous(frozen(Adam(0.01, 0.5)), frozen(Adam(0.02, 0.5))), 2)
    states, _ = run(dynamics, VectorOracle(XY), Profile(vectors([1.0]), vectors([0.5])), 6)
    assert states[-1].base.critics.position.updates == 6
    mean = float(states[2].base.generators.position.mean["vector"])
    assert mean != 0.0
    seen = VectorOracle(XY).feedback(dynamics.profile(states[2]), BOTH).generator_grads["vector"]
    assert float(states[3].base.generators.position.mean["vector"]) == pytest.approx(0.5 * mean + 0.5 * float(seen))


def test_a_relaxation_of_one_is_the_base_seen_every_period():
    base = walk(descend(Extragradient, 0.1), [1.0], [-0.8], 12, FORSAKEN)
    ahead = walk(lookahead(0.1, 4, 1.0, Extragradient), [1.0], [-0.8], 12, FORSAKEN)
    torch.testing.assert_close(ahead[::4], base[::4], rtol=0, atol=1e-13)


def test_the_first_step_after_an_average_is_a_first_optimistic_step():
    points = walk(lookahead(0.1, 1, 0.5, Optimistic), [0.8], [-0.5], 5)
    plain = walk(lookahead(0.1, 1, 0.5, Simultaneous), [0.8], [-0.5], 5)
    torch.testing.assert_close(points, plain)


# ---------------------------------------------------------------------- nested levels


def test_two_levels_multiply_as_written_out():
    inner, outer, step_size = 3, 2, 0.2
    dynamics = Lookahead(lookahead(step_size, inner, 0.5), inner * outer, 0.25)
    points = walk(dynamics, [0.8], [-0.5], 2 * inner * outer)
    z = torch.complex(points[:, 0], points[:, 1])
    factor = 1 - 0.25 + 0.25 * multiplier(step_size, inner, 0.5).conjugate() ** outer
    expected = z[0] * torch.tensor([1.0, factor, factor**2], dtype=torch.complex128)
    torch.testing.assert_close(z[:: inner * outer], expected, rtol=0, atol=1e-12)
    assert torch.equal(points[0], points[inner * outer - 1])  # the inner level is not shown


# ---------------------------------------------------------------------- contracts


def test_a_lookahead_draws_as_its_base_and_shows_its_numbers():
    dynamics = lookahead(0.3, kind=Extragradient)
    assert dynamics.draws_per_step == 2
    state = dynamics.init(Profile(vectors([1.0]), vectors([0.5])))
    assert dynamics.diagnostics(state) == {"generators/step_size": 0.3, "critics/step_size": 0.3}
    assert dynamics.proven_steps(1.0, 0.0) is None


def test_only_the_average_projects_besides_the_base():
    oracle = vector_oracle(XY)
    run(lookahead(0.1, 2), oracle, Profile(vectors([1.0]), vectors([0.5])), 2)
    moves = [Player.GENERATOR, Player.CRITIC]
    assert oracle.calls == ["resample", BOTH, *moves] * 2 + moves


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"period": 0}, "period of Lookahead must be at least 1 step, found 0"),
        ({"relaxation": 0.0}, r"relaxation of Lookahead must lie in \(0, 1\], found 0\.0"),
        ({"relaxation": 1.5}, r"must lie in \(0, 1\], found 1\.5"),
    ],
    ids=["period", "none", "beyond"],
)
def test_impossible_averages_are_refused(arguments, message):
    with pytest.raises(InvalidInputError, match=message):
        Lookahead(descend(Simultaneous, 0.1), **arguments)


def test_players_put_elsewhere_are_fast_and_slow_there():
    dynamics = Lookahead(Simultaneous(frozen(SGD(0.1)), frozen(SGD(0.3))), 2)
    states, _ = run(dynamics, VectorOracle(XY), Profile(vectors([1.0]), vectors([0.5])), 3)
    there = Profile(vectors([-0.2]), vectors([2.0]))
    state = dynamics.replace_profile(states[-1], there)
    moved, _ = dynamics.step(state, VectorOracle(XY), make_rng(0))  # the fourth step: half way
    assert [float(one) for one in positions(dynamics, state)] == [-0.2, 2.0]
    expected = [-0.2 - 0.5 * 0.1 * 2.0, 2.0 + 0.5 * 0.3 * -0.2]
    assert [float(one) for one in positions(dynamics, moved)] == pytest.approx(expected)
