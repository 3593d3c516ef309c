"""Entropic mirror descent and mirror prox on finite games and on grids: bounds, rates, last iterates.

For a payoff in [c - M, c + M] and D the divergence of the equilibrium from the start, T steps of mirror descent with
step sqrt(D / T) / M leave an averaged gap of at most 2 M sqrt(D / T), steps of mirror prox with step 1 / M one of at
most M D / T. From equal weights D <= log K + log L. Averages are of the strategies that were played, which for mirror
prox are the look-aheads: those of the feedback.
"""

import math

import pytest
import torch

from mixnash.core.dynamics.extragradient import Extragradient
from mixnash.core.dynamics.simultaneous import Simultaneous
from mixnash.core.games.squared_distance import SquaredDistance
from mixnash.core.games.vectors import VECTOR
from mixnash.core.population import make_population
from mixnash.core.rules.base import PlayerRules
from mixnash.core.rules.entropic import EntropicMirrorDescent
from mixnash.core.rules.still import Still
from mixnash.core.types import Population, Profile
from mixnash.core.vector_oracle import FiniteOracle
from problems import DOUBLE, MATRIX_GAMES, matrix_gap, normal, run

GAMES = {
    "biased rock-paper-scissors": torch.tensor(MATRIX_GAMES["biased rock-paper-scissors"].payoff, dtype=DOUBLE),
    "slow last iterate": torch.tensor(MATRIX_GAMES["slow last iterate"].payoff, dtype=DOUBLE),
    "random 4 x 6": normal(4, 6, key=31),
}
OVER_GAMES = pytest.mark.parametrize("payoff", GAMES.values(), ids=GAMES)


def pure(*counts):
    """Equal weights on strategies that cannot move."""
    return Profile(*(make_population({VECTOR: torch.zeros(count, 1, dtype=DOUBLE)}) for count in counts))


def size(payoff):
    """M and the bound on D."""
    return float(payoff.max() - payoff.min()) / 2, math.log(payoff.shape[0] * payoff.shape[1])


def averaged_gaps(kind, payoff, step_size, steps, at):
    """The gaps of the averages of the first strategies played."""
    player = PlayerRules(Still(), EntropicMirrorDescent(step_size))
    _, seen = run(kind(player, player), FiniteOracle(payoff), pure(*payoff.shape), steps)
    own, other = (
        torch.stack([one[index] for one in seen]).cumsum(0) / torch.arange(1, steps + 1).unsqueeze(1)
        for index in (1, 2)
    )
    return [matrix_gap(own[t - 1], other[t - 1]) for t in at]


def slope(steps, gaps):
    """Least squares in logarithms."""
    x, y = (torch.tensor(one, dtype=DOUBLE).log() for one in (steps, gaps))
    x, y = x - x.mean(), y - y.mean()
    return float((x @ y) / (x @ x))


@OVER_GAMES
def test_averages_of_mirror_descent_obey_the_bound_and_decay_like_an_inverse_root(payoff):
    half_range, distance = size(payoff)
    horizons = [32, 64, 128, 256, 512]
    gaps = [averaged_gaps(Simultaneous, payoff, math.sqrt(distance / t) / half_range, t, [t])[0] for t in horizons]
    assert all(0 < gap <= 2 * half_range * math.sqrt(distance / t) for t, gap in zip(horizons, gaps, strict=True))
    assert slope(horizons, gaps) == pytest.approx(-1 / 2, abs=0.2)  # the horizons are short


@OVER_GAMES
def test_averages_of_mirror_prox_obey_the_bound_and_decay_like_an_inverse(payoff):
    half_range, distance = size(payoff)
    horizons = [100, 200, 400, 800]
    gaps = averaged_gaps(Extragradient, payoff, 1 / half_range, 800, horizons)
    assert all(0 < gap <= half_range * distance / t for t, gap in zip(horizons, gaps, strict=True))
    assert slope(horizons, gaps) == pytest.approx(-1, abs=0.2)


def test_the_last_iterate_of_mirror_descent_leaves_matching_pennies_for_the_corners():
    payoff = torch.tensor(MATRIX_GAMES["matching pennies"].payoff, dtype=DOUBLE)
    player = PlayerRules(Still(), EntropicMirrorDescent(0.2))
    near = Profile(
        *(one._replace(log_weights=torch.tensor([w, 1 - w], dtype=DOUBLE).log())
          for one, w in zip(pure(2, 2), (0.52, 0.49), strict=True))
    )  # fmt: skip
    ends = {}
    for kind in (Simultaneous, Extragradient):
        states, seen = run(kind(player, player), FiniteOracle(payoff), near, 600)
        weights = torch.stack([state.profile.generators.log_weights.exp() for state in states])
        ends[kind] = [float((weights[t] - 0.5).abs().max()) for t in (0, 300, 600)], weights, seen
    away, path, seen = ends[Simultaneous]
    assert away[0] < away[1]
    assert float((path[-100:] - 0.5).abs().max()) > 0.45
    assert ends[Extragradient][0][2] < 1e-3
    # Its average nevertheless approaches the equilibrium, by the regret bound D / (eta T) + eta M^2 for any step size.
    gap = matrix_gap(*(sum(one[index] for one in seen) / len(seen) for index in (1, 2)))
    assert gap <= 2 * math.log(2) / (0.2 * 600) + 0.2


# ---------------------------------------------------------------------- a continuous game on a grid


def location_grid():
    """(x - y)^2 on 21 and 31 points of [-1, 1], 0 and both ends among them: value 1, as of the continuous game."""
    grids = Profile(
        *(make_population({VECTOR: torch.linspace(-1, 1, n, dtype=DOUBLE).unsqueeze(-1)}) for n in (21, 31))
    )
    return grids, FiniteOracle.on(SquaredDistance(), grids)


def test_a_grid_game_has_the_payoffs_of_its_points():
    grids, oracle = location_grid()
    assert oracle.payoff.shape == (21, 31)
    assert float(oracle.payoff[3, 8]) == pytest.approx((-0.7 - (-1 + 16 / 30)) ** 2)
    assert float(grids.generators.params[VECTOR][10]) == pytest.approx(0, abs=1e-15)


def test_mirror_prox_on_a_grid_solves_the_continuous_game_at_its_rate():
    grids, oracle = location_grid()
    half_range, distance = size(oracle.payoff)
    player = PlayerRules(Still(), EntropicMirrorDescent(1 / half_range))
    dynamics = Extragradient(player, player)
    states, seen = run(dynamics, oracle, grids, 800)
    gaps = []
    for steps in (200, 400, 800):
        own, other = (sum(one[index] for one in seen[:steps]) / steps for index in (1, 2))
        gaps.append(matrix_gap(own, other))
        assert 0 < gaps[-1] <= half_range * distance / steps
        assert -float(other.min()) - gaps[-1] <= 1 <= -float(other.min())  # encloses the value
    assert slope([200, 400, 800], gaps) == pytest.approx(-1, abs=0.15)
    p, q = (one.log_weights.exp() for one in dynamics.profile(states[-1]))
    assert float(p[9:12].sum()) > 0.99
    assert (float(q[0]), float(q[-1])) == pytest.approx((0.5, 0.5), abs=0.01)


def test_every_game_of_a_batch_moves_as_it_would_alone():
    payoffs = normal(5, 4, 6, key=32)
    player = PlayerRules(Still(), EntropicMirrorDescent(0.3))
    dynamics = Extragradient(player, player)
    shared = Profile(
        *(
            Population(
                {VECTOR: one.params[VECTOR].expand(5, -1, 1)}, torch.log_softmax(normal(5, len(one.log_weights)), -1)
            )
            for one in pure(4, 6)
        )
    )
    together = run(dynamics, FiniteOracle(payoffs), shared, 20)[0][-1].profile
    for game in range(5):
        own = Profile(*(Population({VECTOR: one.params[VECTOR][game]}, one.log_weights[game]) for one in shared))
        alone = run(dynamics, FiniteOracle(payoffs[game]), own, 20)[0][-1].profile
        for many, one in zip(together, alone, strict=True):
            torch.testing.assert_close(many.log_weights[game], one.log_weights, rtol=0, atol=1e-12)
