"""Conic particle mirror prox against loops written out, its special cases, and the game that one sweep leaves."""

import math

import pytest
import torch

from mixnash.core.dynamics.conic_mirror_prox import ConicMirrorProx
from mixnash.core.dynamics.extragradient import Extragradient
from mixnash.core.dynamics.simultaneous import Simultaneous
from mixnash.core.errors import InvalidInputError
from mixnash.core.games.fourier_counterexample import FourierCounterexample
from mixnash.core.games.hinge import Hinge
from mixnash.core.games.vectors import VECTOR
from mixnash.core.population import make_population
from mixnash.core.rules.adam import Adam
from mixnash.core.rules.base import PlayerRules
from mixnash.core.rules.entropic import EntropicMirrorDescent
from mixnash.core.rules.langevin import Langevin
from mixnash.core.rules.sgd import SGD
from mixnash.core.types import Population, Profile
from mixnash.core.vector_oracle import VectorOracle
from plugins import same
from problems import DOUBLE, SpyOracle, gan_oracle, positions, run, tanh_problem, vectors

X_STEP, Y_STEP, P_STEP, Q_STEP = 2e-3, 1e-3, 0.05, 0.03
RULES = (
    PlayerRules(SGD(X_STEP), EntropicMirrorDescent(P_STEP)),
    PlayerRules(SGD(Y_STEP), EntropicMirrorDescent(Q_STEP)),
)
START = Profile(vectors([0.1], [0.6], weights=[0.3, 0.7]), vectors([0.2], [0.5], [0.85], weights=[0.2, 0.5, 0.3]))


def payoff(x, y):
    return math.sin(4 * math.pi * x) + math.sin(4 * math.pi * y) + 2 * math.cos(2 * math.pi * (x + y))


def slope(u, other):
    """The derivative of the payoff in its argument u; the payoff is symmetric."""
    return 4 * math.pi * math.cos(4 * math.pi * u) - 4 * math.pi * math.sin(2 * math.pi * (u + other))


def normalised(weights):
    return [one / sum(weights) for one in weights]


def written_out(steps, sweeps, proximal):
    """The algorithm on numbers, pair by pair."""
    xs, ps, ys, qs = [0.1, 0.6], [0.3, 0.7], [0.2, 0.5, 0.85], [0.2, 0.5, 0.3]
    for _ in range(steps):
        x, p, y, q = xs, ps, ys, qs
        for _ in range(sweeps):
            force_x = [sum(q[j] * slope(x[i], y[j]) for j in range(3)) for i in range(2)]
            force_y = [sum(p[i] * slope(y[j], x[i]) for i in range(2)) for j in range(3)]
            cost = [sum(q[j] * payoff(x[i], y[j]) for j in range(3)) for i in range(2)]
            gain = [sum(p[i] * payoff(x[i], y[j]) for i in range(2)) for j in range(3)]
            ratio_x = [p[i] / ps[i] if proximal else 1.0 for i in range(2)]
            ratio_y = [q[j] / qs[j] if proximal else 1.0 for j in range(3)]
            x = [(xs[i] - X_STEP * ratio_x[i] * force_x[i]) % 1 for i in range(2)]
            y = [(ys[j] + Y_STEP * ratio_y[j] * force_y[j]) % 1 for j in range(3)]
            p = normalised([ps[i] * math.exp(-P_STEP * cost[i]) for i in range(2)])
            q = normalised([qs[j] * math.exp(Q_STEP * gain[j]) for j in range(3)])
        xs, ps, ys, qs = x, p, y, q
    return xs + ps + ys + qs


def end(dynamics, profile, steps, game=None):
    states, _ = run(dynamics, VectorOracle(game or FourierCounterexample()), profile, steps)
    return dynamics.profile(states[-1])


def numbers(profile):
    return [
        one for population in profile for leaf in (population.params[VECTOR], population.log_weights.exp())
        for one in leaf.flatten().tolist()
    ]  # fmt: skip


@pytest.mark.parametrize("sweeps", [1, 2, 3])
@pytest.mark.parametrize("proximal", [True, False])
def test_weights_and_positions_follow_the_algorithm_written_out(sweeps, proximal):
    got = end(ConicMirrorProx(*RULES, proximal=proximal, sweeps=sweeps), START, 20)
    assert numbers(got) == pytest.approx(written_out(20, sweeps, proximal), abs=1e-11)


def test_the_ratio_and_the_number_of_sweeps_make_a_difference():
    ends = [written_out(20, sweeps, proximal) for sweeps, proximal in ((1, False), (2, False), (2, True), (3, True))]
    gaps = [max(abs(a - b) for a, b in zip(one, other, strict=True)) for one in ends for other in ends if one != other]
    assert min(gaps) > 1e-5


def test_one_sweep_is_simultaneous_and_two_without_the_ratio_are_extragradient():
    adam = PlayerRules(Adam(0.01, 0.5), EntropicMirrorDescent(0.2)), PlayerRules(Langevin(0.01, 0.3), RULES[1].weights)
    for ours, theirs in (
        (ConicMirrorProx(*adam, sweeps=1), Simultaneous(*adam)),
        (ConicMirrorProx(*adam, proximal=False), Extragradient(*adam)),
    ):
        problem = tanh_problem(2, 3)
        states = [run(one, gan_oracle(problem, Hinge()), problem.profile, 4)[0][-1] for one in (ours, theirs)]
        assert same(*states)


def test_networks_carry_the_ratio_in_every_leaf():
    problem = tanh_problem(2, 3)
    players = PlayerRules(SGD(0.1), EntropicMirrorDescent(1.0)), PlayerRules(SGD(0.2), EntropicMirrorDescent(2.0))
    oracle = gan_oracle(problem, Hinge())
    states, (seen,) = run(ConicMirrorProx(*players), oracle, problem.profile, 1)
    base, probe = oracle.profiles
    for before, ahead, after, grads, step in zip(
        base, probe, states[-1].profile, (seen.generator_grads, seen.critic_grads), (0.1, 0.2), strict=True
    ):
        ratio = ahead.log_weights.exp() / before.log_weights.exp()
        assert float((ratio - 1).abs().max()) > 0.05
        for name, leaf in before.params.items():
            scale = ratio.reshape(-1, *(1 for _ in leaf.shape[1:]))
            torch.testing.assert_close(after.params[name], leaf - step * scale * grads[name], rtol=0, atol=1e-12)


def test_a_batch_of_games_moves_like_each_game_alone():
    starts = [START, Profile(vectors([0.7], [0.3], weights=[0.6, 0.4]), vectors([0.1], [0.9], [0.4]))]
    batch = Profile(
        *(
            Population(
                {VECTOR: torch.stack([one.params[VECTOR] for one in players])},
                torch.stack([one.log_weights for one in players]),
            )
            for players in zip(*starts, strict=True)
        )
    )
    dynamics = ConicMirrorProx(*RULES)
    together = end(dynamics, batch, 15)
    for game, start in enumerate(starts):
        for many, one in zip(together, end(dynamics, start, 15), strict=True):
            torch.testing.assert_close(many.params[VECTOR][game], one.params[VECTOR])
            torch.testing.assert_close(many.log_weights[game], one.log_weights)


def gap(profile):
    """Nikaido-Isoda error on a grid of step 1e-3."""
    game, grid = FourierCounterexample(), torch.arange(1000, dtype=DOUBLE).unsqueeze(-1) / 1000
    x, y = (one.params[VECTOR] for one in profile)
    p, q = (one.log_weights.exp() for one in profile)
    best = (p @ game.payoff(x.unsqueeze(1), grid)).max() - (
        game.payoff(grid.unsqueeze(1), y.squeeze(-1)[:, None]) @ q
    ).min()
    return float(best)


def test_two_sweeps_converge_on_the_counterexample_and_one_sweep_leaves_the_solution():
    # 10 and 11 atoms on uniform grids; the errors that an independent trial found after 100 and 500 steps.
    start = Profile(*(make_population({VECTOR: torch.arange(n, dtype=DOUBLE).unsqueeze(-1) / n}) for n in (10, 11)))
    player = PlayerRules(SGD(1e-3), EntropicMirrorDescent(0.04))
    oracle = VectorOracle(FourierCounterexample())
    ends = {}
    for sweeps in (1, 2):
        dynamics = ConicMirrorProx(player, player, sweeps=sweeps)
        states, _ = run(dynamics, oracle, start, 500)
        ends[sweeps] = [gap(dynamics.profile(states[step])) for step in (100, 500)]
    assert ends[1] == pytest.approx([0.061, 0.222], abs=1e-3)
    assert ends[2] == pytest.approx([0.0425, 0.00998], rel=0.01)


def test_draws_are_fresh_for_every_sweep_or_shared():
    for same_sample, expected in ((False, 3), (True, 1)):
        dynamics = ConicMirrorProx(*RULES, sweeps=3, same_sample=same_sample)
        oracle = SpyOracle(VectorOracle(FourierCounterexample()))
        run(dynamics, oracle, START, 1)
        assert oracle.calls.count("resample") == dynamics.draws_per_step == expected


def test_positions_stay_in_the_domain():
    dynamics = ConicMirrorProx(PlayerRules(SGD(0.5), RULES[0].weights), RULES[1])
    states, _ = run(dynamics, VectorOracle(FourierCounterexample()), START, 20)
    points = torch.cat([one for state in states for one in positions(dynamics, state)])
    assert bool(((points >= 0) & (points < 1)).all())


def test_no_sweep_is_refused():
    with pytest.raises(InvalidInputError, match="needs at least 1 sweep, found 0"):
        ConicMirrorProx(*RULES, sweeps=0)
