"""Entropic weights on matrix games: regret bounds, rates of averages, and who converges in the last iterate.

With payoffs in [-1, 1], and D the divergence of the start from the equilibrium, mirror descent with step sqrt(D / T)
has an averaged gap of at most 2 sqrt(D / T), mirror prox with step 1 one of at most D / T. From equal weights D is at
most log K + log L.
"""

import itertools
import math

import pytest
import torch

from mixnash.core.dynamics.alternating import Alternating
from mixnash.core.dynamics.extragradient import Extragradient
from mixnash.core.dynamics.simultaneous import Simultaneous
from mixnash.core.games.matrix import Matrix
from mixnash.core.rules.base import PlayerRules
from mixnash.core.rules.entropic import EntropicMirrorDescent
from mixnash.core.rules.still import Still
from mixnash.core.schedules import Polynomial
from mixnash.core.types import Player, Profile
from problems import DOUBLE, MATRIX_GAMES, matrix_gap, run, vector_oracle

HARD = ["asymmetric pennies", "biased rock-paper-scissors", "slow last iterate"]
KNOWN = pytest.mark.parametrize("known", [MATRIX_GAMES[name] for name in HARD], ids=HARD)


def payoff(known):
    """Scaled to [-1, 1]."""
    raw = torch.tensor(known.payoff, dtype=DOUBLE)
    return raw / raw.abs().max()


def play(kind, known, step_size, steps, start=None):
    """All pure strategies of both players, their weights moved by the entropic rule."""
    game = Matrix(payoff(known).tolist())
    profile = Profile(game.pure_strategies(Player.GENERATOR), game.pure_strategies(Player.CRITIC))
    if start is not None:
        profile = Profile(*(one._replace(log_weights=w.log()) for one, w in zip(profile, start, strict=True)))
    player = PlayerRules(Still(), EntropicMirrorDescent(step_size))
    dynamics = kind(player, player)
    states, seen = run(dynamics, vector_oracle(game, len(known.row), len(known.row)), profile, steps)
    return [dynamics.profile(state) for state in states], seen


def averaged_gap(seen):
    """Gap of the averages of the strategies on which the players moved (the look-aheads, for mirror prox)."""
    return matrix_gap(
        sum(one.generator_losses for one in seen) / len(seen), sum(one.critic_losses for one in seen) / len(seen)
    )


def divergence(known, profile):
    """KL from the equilibrium to the profile, of both players together."""
    total = 0.0
    for exact, population in zip((known.row, known.column), profile, strict=True):
        target = torch.tensor(exact, dtype=DOUBLE)
        total += float((target * (target.log() - population.log_weights)).sum())
    return total


@KNOWN
def test_the_average_of_mirror_descent_obeys_its_bound_and_decays_like_an_inverse_root(known):
    distance, scaled = 2 * math.log(len(known.row)), []
    for steps in (32, 64, 128, 256):
        gap = averaged_gap(play(Simultaneous, known, math.sqrt(distance / steps), steps)[1])
        assert 0 < gap <= 2 * math.sqrt(distance / steps)
        scaled.append(math.sqrt(steps) * gap)
    # At the rates 1 and 1 / T the extremes would differ by the root of 8.
    assert max(scaled) < 2 * min(scaled)


@KNOWN
def test_the_average_of_mirror_prox_obeys_its_bound_and_decays_like_an_inverse(known):
    distance, (_, seen) = 2 * math.log(len(known.row)), play(Extragradient, known, 1.0, 500)
    gaps = {steps: averaged_gap(seen[:steps]) for steps in (5, 20, 100, 300, 400, 500)}
    assert all(0 < gap <= distance / steps for steps, gap in gaps.items())
    assert [steps * gaps[steps] for steps in (300, 400)] == pytest.approx([500 * gaps[500]] * 2, rel=0.06)


@KNOWN
def test_mirror_descent_moves_away_from_the_equilibrium_at_every_step_and_mirror_prox_towards_it(known):
    start = [0.9 * torch.tensor(one, dtype=DOUBLE) + 0.1 / len(one) for one in (known.row, known.column)]
    away, _ = play(Simultaneous, known, 0.3, 100, start)
    towards, _ = play(Extragradient, known, 0.3, 100, start)
    away, towards = ([divergence(known, profile) for profile in path] for path in (away, towards))
    assert all(later > earlier for earlier, later in itertools.pairwise(away))
    assert all(later < earlier for earlier, later in itertools.pairwise(towards))


def test_the_last_iterate_of_mirror_prox_converges_and_that_of_mirror_descent_does_not():
    known = MATRIX_GAMES["asymmetric pennies"]
    last = play(Extragradient, known, 0.5, 600)[0][-1]
    assert last.generators.log_weights.exp().tolist() == pytest.approx(known.row, abs=1e-9)
    assert last.critics.log_weights.exp().tolist() == pytest.approx(known.column, abs=1e-9)
    assert divergence(known, play(Simultaneous, known, 0.5, 600)[0][-1]) > 1


@KNOWN
def test_averages_enclose_the_value_of_the_game(known):
    _, seen = play(Extragradient, known, 1.0, 200)
    value = known.value / float(torch.tensor(known.payoff).abs().max())
    lowest = float(sum(one.generator_losses for one in seen).min()) / len(seen)
    highest = -float(sum(one.critic_losses for one in seen).min()) / len(seen)
    assert lowest <= value <= highest
    assert highest - lowest < 0.03


def hedge(matrix, step_sizes, look_ahead):
    """Mirror descent or mirror prox on the weights, written out."""
    p, q = (torch.full((n,), 1 / n, dtype=DOUBLE) for n in matrix.shape)

    def move(cost, gain, h):
        new_p, new_q = p * torch.exp(-h * cost), q * torch.exp(h * gain)
        return new_p / new_p.sum(), new_q / new_q.sum()

    for h in step_sizes:
        here = move(matrix @ q, p @ matrix, h)
        p, q = move(matrix @ here[1], here[0] @ matrix, h) if look_ahead else here
    return p, q


@pytest.mark.parametrize(("kind", "look_ahead"), [(Simultaneous, False), (Extragradient, True)])
@KNOWN
def test_weights_follow_multiplicative_weights_written_out(known, kind, look_ahead):
    schedule = Polynomial(0.8, 0.5, 3.0)
    profiles, _ = play(kind, known, schedule, 60)
    expected = hedge(payoff(known), [0.8 / math.sqrt(1 + t / 3) for t in range(60)], look_ahead)
    torch.testing.assert_close([one.log_weights.exp() for one in profiles[-1]], list(expected), rtol=0, atol=1e-12)


def test_alternating_generators_answer_the_new_critics():
    known = MATRIX_GAMES["biased rock-paper-scissors"]
    profiles, _ = play(Alternating, known, 0.4, 3)
    matrix = payoff(known)
    p = q = torch.full((3,), 1 / 3, dtype=DOUBLE)
    for _ in range(3):
        q = torch.softmax(q.log() + 0.4 * (p @ matrix), 0)
        p = torch.softmax(p.log() - 0.4 * (matrix @ q), 0)
    torch.testing.assert_close([one.log_weights.exp() for one in profiles[-1]], [p, q], rtol=0, atol=1e-12)
