"""Optimistic, past and reflected gradients, extragradient and alternation: multipliers and golden trajectories."""

import cmath
import math

import pytest
import torch

from mixnash.core.dynamics.alternating import Alternating
from mixnash.core.dynamics.base import StepRange
from mixnash.core.dynamics.extragradient import Extragradient
from mixnash.core.dynamics.interpolation import interpolate
from mixnash.core.dynamics.optimistic import Optimistic
from mixnash.core.dynamics.past_extragradient import PastExtragradient
from mixnash.core.dynamics.reflected import Reflected
from mixnash.core.dynamics.simultaneous import Simultaneous
from mixnash.core.errors import InvalidInputError
from mixnash.core.games.bilinear import Bilinear
from mixnash.core.games.matrix import Matrix
from mixnash.core.games.vectors import VECTOR
from mixnash.core.rules.base import PlayerRules
from mixnash.core.rules.entropic import EntropicMirrorDescent
from mixnash.core.rules.sgd import SGD
from mixnash.core.rules.still import Still
from mixnash.core.types import BOTH, GENERATORS, Player, Profile
from mixnash.core.vector_oracle import FiniteOracle, VectorOracle
from problems import (
    DOUBLE,
    MATRIX_GAMES,
    descend,
    frozen,
    make_rng,
    normal,
    positions,
    run,
    vector_oracle,
    vectors,
)
from toys import FORSAKEN, XY, end, radius, walk

SINGLE_CALL = [Optimistic, PastExtragradient, Reflected]


# ---------------------------------------------------------------------- exact multipliers on xy


def roots(step_size):
    """The solutions mu of mu^2 - (1 - 2 i h) mu - i h = 0, larger modulus first."""
    middle, root = 1 - 2j * step_size, cmath.sqrt((1 - 2j * step_size) ** 2 + 4j * step_size)
    return sorted(((middle + root) / 2, (middle - root) / 2), key=abs, reverse=True)


@pytest.mark.parametrize("kind", SINGLE_CALL)
@pytest.mark.parametrize("step_size", [0.1, 0.45, 0.57, 0.6])
def test_every_step_solves_the_recursion_of_the_characteristic_polynomial(kind, step_size):
    points = walk(descend(kind, step_size), [0.8], [-0.5], 30)
    z = torch.complex(points[:, 0], points[:, 1])  # V(z) = -i z
    large, small = roots(step_size)
    # On xy, z_{t+1} = (mu_1 + mu_2) z_t - mu_1 mu_2 z_{t-1}, with the conjugates, as z' = +i h z.
    expected = (large + small).conjugate() * z[1:-1] - (large * small).conjugate() * z[:-2]
    torch.testing.assert_close(z[2:], expected, rtol=0, atol=1e-12 * float(z.abs().max()))


@pytest.mark.parametrize("kind", SINGLE_CALL)
def test_the_measured_rate_is_the_larger_root(kind):
    norms = walk(descend(kind, 0.4), [0.8], [-0.5], 120).norm(dim=1)
    assert float(norms[120] / norms[60]) ** (1 / 60) == pytest.approx(abs(roots(0.4)[0]), abs=1e-9)


@pytest.mark.parametrize("kind", SINGLE_CALL)
def test_the_threshold_is_one_over_the_root_of_three(kind):
    threshold = 1 / math.sqrt(3)
    for step_size in (threshold, threshold - 1e-6, threshold + 1e-6):
        norms = walk(descend(kind, step_size), [0.8], [-0.5], 90).norm(dim=1)
        growth = float(norms[90] / norms[60]) ** (1 / 30) - 1
        assert growth == pytest.approx(abs(roots(step_size)[0]) - 1, abs=1e-9)
        assert growth == pytest.approx(0, abs=1e-11) if step_size == threshold else abs(growth) > 1e-7
        assert (growth > 1e-7) == (step_size > threshold)


@pytest.mark.parametrize("kind", SINGLE_CALL)
def test_the_best_step_is_one_half_with_a_double_root_of_modulus_one_over_root_two(kind):
    large, small = roots(0.5)
    assert abs(large - small) < 1e-7
    points = walk(descend(kind, 0.5), [0.8], [-0.5], 30)
    z = torch.complex(points[:, 0], points[:, 1])
    # A double root mu = (1 - i) / 2 leaves z_t = (a + b t) conj(mu)^t.
    mu = ((1 - 1j) / 2).conjugate()
    scaled = z / torch.tensor([mu**t for t in range(31)])
    slopes = scaled[2:] - scaled[1:-1]
    torch.testing.assert_close(slopes, slopes[:1].expand_as(slopes), rtol=0, atol=1e-9)
    assert abs(mu) == pytest.approx(1 / math.sqrt(2), abs=1e-12)


# ---------------------------------------------------------------------- golden trajectories

BILINEAR_GOLDEN = {
    Optimistic: (-0.486620854877, -0.36467448977),
    PastExtragradient: (-0.481704985968, -0.360990529314),
    Reflected: (-0.486620854877, -0.36467448977),
}
FORSAKEN_GOLDEN = {
    Simultaneous: (0.725775659308, 1.42496806932),
    Extragradient: (0.542052693587, 1.40580943467),
    Optimistic: (0.54728915122, 1.40680258479),
    PastExtragradient: (0.545323321375, 1.40644580593),
    Reflected: (0.550602177129, 1.40699713863),
}


@pytest.mark.parametrize("kind", BILINEAR_GOLDEN)
def test_a_dynamics_follows_its_golden_trajectory_on_xy(kind):
    assert end(descend(kind, 0.1), [1.0], [0.0], 100) == pytest.approx(BILINEAR_GOLDEN[kind], abs=1e-11)


@pytest.mark.parametrize("kind", FORSAKEN_GOLDEN)
def test_a_dynamics_follows_its_golden_trajectory_on_the_forsaken_game(kind):
    found = end(descend(kind, 0.05), [1.0], [-0.8], 200, FORSAKEN)
    assert found == pytest.approx(FORSAKEN_GOLDEN[kind], abs=1e-10)


@pytest.mark.parametrize(
    ("game", "x", "y", "step_size", "steps", "golden"),
    [
        (XY, 1.0, 0.0, 0.1, 100, (-0.864205033088, -0.548202119544)),
        (FORSAKEN, 1.0, -0.8, 0.05, 200, (0.688862048148, 1.41735596918)),
    ],
    ids=["xy", "forsaken"],
)
def test_alternating_with_the_generators_first_follows_its_golden_trajectory(game, x, y, step_size, steps, golden):
    dynamics = descend(Alternating, step_size, generators_first=True)
    assert end(dynamics, [x], [y], steps, game) == pytest.approx(golden, abs=1e-10)


def test_200_optimistic_steps_do_not_alias_the_remembered_gradient():
    # With the gradients of both steps in one buffer optimism is lost: 1.01^100 = 2.70, as simultaneous descent.
    # A first step of double size, the other classical mistake, ends at 0.3679.
    assert radius(descend(Optimistic, 0.1), [1.0], [0.0], 200) == pytest.approx(0.3660136067132911, abs=1e-12)
    assert radius(descend(Simultaneous, 0.1), [1.0], [0.0], 200) == pytest.approx(1.01**100, abs=1e-10)


# ---------------------------------------------------------------------- what distinguishes the schemes


def test_the_look_aheads_of_past_extragradient_are_the_iterates_of_optimistic_descent():
    oracle = vector_oracle(FORSAKEN)
    start = Profile(vectors([1.0]), vectors([-0.8]))
    run(descend(PastExtragradient, 0.05), oracle, start, 40)
    ahead = torch.stack([torch.cat([one.params[VECTOR][0] for one in profile]) for profile in oracle.profiles[1:]])
    # Both first gradients are V(z_0): past extragradient's first look-ahead is the first step of optimistic descent.
    optimistic = walk(descend(Optimistic, 0.05), [1.0], [-0.8], 40, FORSAKEN)
    torch.testing.assert_close(ahead, optimistic[1:], rtol=0, atol=1e-12)


def test_optimistic_and_reflected_descent_part_on_a_nonlinear_field():
    ends = [end(descend(kind, 0.05), [1.0], [-0.8], 200, FORSAKEN) for kind in (Optimistic, Reflected)]
    assert max(abs(a - b) for a, b in zip(*ends, strict=True)) > 1e-3


def test_optimism_scales_the_correction_and_zero_is_simultaneous_descent():
    game, arguments = Bilinear([[1.0, -2.0], [0.5, 3.0]]), ([0.3, -1.0], [0.2, 0.7], 6)
    plain = walk(descend(Simultaneous, 0.1), *arguments, game)
    torch.testing.assert_close(walk(descend(Optimistic, 0.1, optimism=0.0), *arguments, game), plain)
    x, y = torch.tensor([0.3, -1.0], dtype=DOUBLE), torch.tensor([0.2, 0.7], dtype=DOUBLE)
    matrix = torch.tensor([[1.0, -2.0], [0.5, 3.0]], dtype=DOUBLE)
    before = None
    for point in walk(descend(Optimistic, 0.1, optimism=0.7), *arguments, game):
        torch.testing.assert_close(point, torch.cat([x, y]))
        now = torch.cat([matrix @ y, -(x @ matrix)])
        before = now if before is None else before
        x, y = (torch.cat([x, y]) - 0.1 * (now + 0.7 * (now - before))).split(2)
        before = now


def test_a_negative_optimism_is_refused():
    with pytest.raises(InvalidInputError, match=r"optimism must be at least 0, found -0\.5"):
        descend(Optimistic, 0.1, optimism=-0.5)


# ---------------------------------------------------------------------- weights, populations, domains


def weights_only(kind, step_size, **arguments):
    rules = PlayerRules(Still(), EntropicMirrorDescent(step_size))
    return kind(rules, rules, **arguments)


@pytest.mark.parametrize("kind", SINGLE_CALL)
def test_the_weights_of_a_matrix_game_converge_in_last_iterate(kind):
    known = MATRIX_GAMES["asymmetric pennies"]
    start = Profile(vectors([0.0], [0.0], weights=[0.9, 0.1]), vectors([0.0], [0.0], weights=[0.2, 0.8]))
    states, _ = run(weights_only(kind, 0.15), FiniteOracle(torch.tensor(known.payoff, dtype=DOUBLE)), start, 500)
    profile = weights_only(kind, 0.15).profile(states[-1])
    found = torch.cat([one.log_weights.exp() for one in profile]).tolist()
    assert found == pytest.approx(known.row + known.column, abs=3e-4)


def test_weights_are_extrapolated_in_the_losses_by_optimistic_and_in_the_logarithms_by_reflected():
    payoff = torch.tensor([[1.0, -2.0, 0.5], [0.0, 1.0, -1.0]], dtype=DOUBLE)
    start = Profile(vectors([0.0], [0.0], weights=[0.7, 0.3]), vectors([0.0], [0.0], [0.0], weights=[0.2, 0.5, 0.3]))

    def ahead(p, q):  # the field: losses of both
        return payoff @ q, -(p @ payoff)

    def move(p, q, losses):
        return tuple(torch.softmax(one.log() - 0.4 * loss, 0) for one, loss in zip((p, q), losses, strict=True))

    first = tuple(one.log_weights.exp() for one in start)
    second = move(*first, ahead(*first))
    lines = [2 * new - old for old, new in zip(ahead(*first), ahead(*second), strict=True)]
    optimistic = move(*second, lines)
    reflected = move(*second, ahead(*((b**2 / a) / (b**2 / a).sum() for a, b in zip(first, second, strict=True))))
    for kind, expected in ((Optimistic, optimistic), (Reflected, reflected)):
        dynamics = weights_only(kind, 0.4)
        states, _ = run(dynamics, FiniteOracle(payoff), start, 2)
        for population, one in zip(dynamics.profile(states[-1]), expected, strict=True):
            torch.testing.assert_close(population.log_weights.exp(), one)


@pytest.mark.parametrize("kind", [*SINGLE_CALL, Extragradient])
def test_the_means_of_populations_move_like_single_particles(kind):
    p, q = [0.2, 0.5, 0.3], [0.9, 0.1]
    x, y = normal(3, 2), normal(2, 2, key=1)
    game = Bilinear([[1.0, -2.0], [0.5, 3.0]], [0.3, -0.2], [1.0, 0.4])
    dynamics = descend(kind, 0.1)
    start = Profile(vectors(*x.tolist(), weights=p), vectors(*y.tolist(), weights=q))
    states, _ = run(dynamics, vector_oracle(game, 3, 2), start, 15)
    p, q = torch.tensor(p, dtype=DOUBLE), torch.tensor(q, dtype=DOUBLE)
    single = walk(dynamics, (p @ x).tolist(), (q @ y).tolist(), 15, game)
    many_x, many_y = positions(dynamics, states[-1])
    torch.testing.assert_close(torch.cat([p @ many_x, q @ many_y]), single[-1])
    torch.testing.assert_close(many_x - many_x[0], x - x[0])


@pytest.mark.parametrize("kind", SINGLE_CALL)
def test_a_batch_of_games_moves_like_each_of_them_alone(kind):
    game, dynamics = Bilinear([[1.0, -2.0], [0.5, 3.0]]), descend(kind, 0.1)
    x, y = normal(4, 3, 2), normal(4, 2, 2, key=1)
    a, b = torch.log_softmax(normal(4, 3), -1), torch.log_softmax(normal(4, 2), -1)

    def profile(which):
        many = Profile(vectors([0.0]), vectors([0.0]))
        pairs = zip(many, (x, y), (a, b), strict=True)
        return Profile(*(one._replace(params={VECTOR: z[which]}, log_weights=w[which]) for one, z, w in pairs))

    together, _ = run(dynamics, VectorOracle(game), profile(slice(None)), 5)
    for k in range(4):
        alone, _ = run(dynamics, VectorOracle(game), profile(k), 5)
        for many, one in zip(positions(dynamics, together[-1]), positions(dynamics, alone[-1]), strict=True):
            torch.testing.assert_close(many[k], one)


@pytest.mark.parametrize("kind", SINGLE_CALL)
def test_projected_steps_solve_a_matrix_game_in_pure_vectors(kind):
    known = MATRIX_GAMES["asymmetric pennies"]
    found = end(descend(kind, 0.1), [0.9, 0.1], [0.2, 0.8], 300, Matrix(known.payoff))
    assert found == pytest.approx(known.row + known.column, abs=3e-4)


# ---------------------------------------------------------------------- who is asked what, and memory

G, D = Player.GENERATOR, Player.CRITIC
FIRST = {Optimistic: [BOTH, G, D], PastExtragradient: [BOTH, G, D, BOTH, G, D], Reflected: [BOTH, G, D]}
LATER = {Optimistic: [BOTH, G, D], PastExtragradient: [G, D, BOTH, G, D], Reflected: [BOTH, G, D]}


@pytest.mark.parametrize("kind", SINGLE_CALL)
def test_a_step_takes_one_gradient_on_one_set_of_draws_after_the_first(kind):
    oracle = vector_oracle(XY)
    run(descend(kind, 0.1), oracle, Profile(vectors([1.0]), vectors([2.0])), 3)
    assert oracle.calls == ["resample", *FIRST[kind], *["resample", *LATER[kind]] * 2]


def test_a_step_with_the_generators_first_asks_them_first():
    oracle = vector_oracle(XY)
    _, seen = run(
        descend(Alternating, 0.1, critic_steps=2, generators_first=True),
        oracle,
        Profile(vectors([1.0]), vectors([2.0])),
        1,
    )
    assert [one for one in oracle.calls if one in (G, D)] == [G, D, D]
    assert oracle.calls[:3] == ["resample", GENERATORS, G]
    assert float(seen[0].generator_losses) == 2.0
    assert float(seen[0].critic_losses) == pytest.approx(-(1.0 - 0.1 * 2.0) * (2.0 + 0.1 * 0.8))


@pytest.mark.parametrize("kind", [*SINGLE_CALL, Extragradient, Alternating])
def test_players_put_elsewhere_go_on_from_there_without_memory_of_the_jump(kind):
    dynamics, oracle = descend(kind, 0.05), vector_oracle(FORSAKEN)
    there = Profile(vectors([1.0]), vectors([-0.8]))
    states, _ = run(dynamics, oracle, Profile(vectors([0.1]), vectors([0.3])), 4)
    state = dynamics.replace_profile(states[-1], there)
    assert dynamics.profile(state) is there or torch.equal(positions(dynamics, state)[0], vectors([1.0]).params[VECTOR])
    found = [state]
    for _ in range(3):
        found.append(dynamics.step(found[-1], oracle, make_rng(0))[0])
    fresh, _ = run(dynamics, oracle, there, 3)
    for one, other in zip(found, fresh, strict=True):
        assert torch.equal(torch.cat(positions(dynamics, one)), torch.cat(positions(dynamics, other)))


def test_interpolation_extrapolates_positions_and_normalises_weights():
    one = Profile(vectors([1.0], [3.0], weights=[0.5, 0.5]), vectors([0.0]))
    other = Profile(vectors([2.0], [0.0], weights=[0.8, 0.2]), vectors([4.0]))
    found = interpolate(one, other, 2.0)
    assert found.generators.params[VECTOR].flatten().tolist() == [3.0, -3.0]
    assert found.critics.params[VECTOR].flatten().tolist() == [8.0]
    assert found.generators.log_weights.exp().tolist() == pytest.approx([0.64 / 0.68, 0.04 / 0.68])


# ---------------------------------------------------------------------- proven steps


@pytest.mark.parametrize(
    ("dynamics", "high"),
    [
        (descend(Extragradient, 0.1), 1 / 4),
        (descend(PastExtragradient, 0.1), 1 / 8),
        (descend(Optimistic, 0.1), 1 / 8),
        (descend(Reflected, 0.1), (math.sqrt(2) - 1) / 4),
    ],
    ids=["extragradient", "past", "optimistic", "reflected"],
)
def test_proven_steps_are_those_of_monotone_fields(dynamics, high):
    assert dynamics.proven_steps(4.0, 0.0) == pytest.approx(StepRange(0.0, high))
    assert dynamics.proven_steps(4.0, -0.01) is None


def test_nothing_is_proven_for_unusual_optimism_and_for_plain_descent():
    assert descend(Optimistic, 0.1, optimism=0.5).proven_steps(4.0, 0.0) is None
    assert descend(Simultaneous, 0.1).proven_steps(4.0, 0.0) is None


@pytest.mark.parametrize("kind", [*SINGLE_CALL, Extragradient])
def test_a_step_within_the_proven_range_converges_on_a_monotone_game(kind):
    matrix = [[1.0, -2.0], [0.5, 3.0]]
    lipschitz = float(torch.linalg.matrix_norm(torch.tensor(matrix, dtype=DOUBLE), 2))
    high = descend(kind, 0.1).proven_steps(lipschitz, 0.0).high
    assert radius(descend(kind, 0.99 * high), [0.4, -1.0], [0.3, 0.8], 300, Bilinear(matrix)) < 0.1


def test_unequal_rules_extrapolate_each_player_with_its_own_step():
    dynamics = Optimistic(frozen(SGD(0.2)), frozen(SGD(0.05)))
    points = walk(dynamics, [1.0], [-0.4], 8)
    x, y, before = 1.0, -0.4, (-0.4, -1.0)
    for t in range(8):
        now = (y, -x)
        x, y = x - 0.2 * (2 * now[0] - before[0]), y - 0.05 * (2 * now[1] - before[1])
        before = now
        assert points[t + 1].tolist() == pytest.approx([x, y], abs=1e-13)
