"""Dynamics ask, draw, move and count in the order that their equations say; and their noise."""

import math

import pytest
import torch

from mixnash.core.dynamics.alternating import Alternating
from mixnash.core.dynamics.extragradient import Extragradient
from mixnash.core.dynamics.simultaneous import Simultaneous
from mixnash.core.errors import InvalidInputError
from mixnash.core.feedback import GameOracle, feedback
from mixnash.core.games.bilinear import Bilinear
from mixnash.core.games.vectors import VECTOR, VECTOR_NETWORKS
from mixnash.core.population import make_population
from mixnash.core.rules.adam import Adam
from mixnash.core.rules.base import PlayerRules
from mixnash.core.rules.entropic import EntropicMirrorDescent
from mixnash.core.rules.frozen import Frozen
from mixnash.core.rules.langevin import Langevin
from mixnash.core.rules.sgd import SGD
from mixnash.core.schedules import Exponential
from mixnash.core.types import BOTH, CRITICS, GENERATORS, Player, Profile
from problems import (
    DOUBLE,
    SpyOracle,
    descend,
    frozen,
    make_rng,
    positions,
    run,
    vector_batch,
    vector_oracle,
    vectors,
)

XY = Bilinear([[1.0]])


G, D = Player.GENERATOR, Player.CRITIC
CALLS = {
    "simultaneous": (descend(Simultaneous, 0.1), ["resample", BOTH, G, D]),
    "alternating": (descend(Alternating, 0.1), ["resample", CRITICS, D, "resample", GENERATORS, G]),
    "alternating, 3": (
        descend(Alternating, 0.1, critic_steps=3),
        ["resample", CRITICS, D] * 3 + ["resample", GENERATORS, G],
    ),
    "extragradient": (descend(Extragradient, 0.1), ["resample", BOTH, G, D, "resample", BOTH, G, D]),
    "extragradient, same": (
        descend(Extragradient, 0.1, same_sample=True),
        ["resample", BOTH, G, D, BOTH, G, D],
    ),
}


@pytest.mark.parametrize(("dynamics", "calls"), CALLS.values(), ids=CALLS)
def test_a_step_resamples_evaluates_and_projects_in_this_order(dynamics, calls):
    oracle = vector_oracle(XY)
    run(dynamics, oracle, Profile(vectors([1.0]), vectors([2.0])), 2)
    assert oracle.calls == calls * 2


@pytest.mark.parametrize(("dynamics", "calls"), CALLS.values(), ids=CALLS)
def test_a_step_consumes_the_draws_it_announces(dynamics, calls):
    drawn, used = [], []

    def draw(players):
        drawn.append(vector_batch(1, 1))
        return drawn[-1]

    def evaluate(game, networks, profile, batch, players):
        used.append(next(i for i, one in enumerate(drawn) if one is batch))
        return feedback(game, networks, profile, batch, players)

    oracle = SpyOracle(GameOracle(XY, VECTOR_NETWORKS, draw, evaluate=evaluate))
    run(dynamics, oracle, Profile(vectors([1.0]), vectors([2.0])), 3)
    assert len(drawn) == 3 * dynamics.draws_per_step == 3 * calls.count("resample")
    assert used == sorted(used)
    assert set(used) == set(range(len(drawn)))  # every set of draws is used, the newest always


def test_extragradient_evaluates_at_the_look_ahead_and_moves_from_where_it_was():
    oracle = vector_oracle(XY)
    run(descend(Extragradient, 0.25), oracle, Profile(vectors([1.0]), vectors([2.0])), 1)
    here, ahead = ([float(one.params[VECTOR]) for one in profile] for profile in oracle.profiles)
    assert here == [1.0, 2.0]
    assert ahead == pytest.approx([1 - 0.25 * 2, 2 + 0.25 * 1])


def test_the_look_ahead_of_extragradient_does_not_advance_the_state_of_its_frozen():
    rate = Exponential(0.1, 0.5)
    dynamics = Extragradient(frozen(Adam(rate, 0.5, 0.8)), frozen(SGD(rate)))
    states, _ = run(dynamics, vector_oracle(XY), Profile(vectors([1.0]), vectors([2.0])), 2)
    x, y, mean, square = 1.0, 2.0, 0.0, 0.0

    def adam(gradient, step):
        m, v = 0.5 * mean + 0.5 * gradient, 0.8 * square + 0.2 * gradient**2
        corrected = (v / (1 - 0.8 ** (step + 1))) ** 0.5 + 1e-8
        return x - 0.1 * 0.5**step * m / (1 - 0.5 ** (step + 1)) / corrected, m, v

    for step in range(2):
        assert states[step].generators.position.updates == states[step].critics.position.updates == step
        ahead_x, ahead_y = adam(y, step)[0], y + 0.1 * 0.5**step * x
        (x, mean, square), y = adam(ahead_y, step), y + 0.1 * 0.5**step * ahead_x
        got = positions(dynamics, states[step + 1])
        assert (float(got[0]), float(got[1])) == pytest.approx((x, y), abs=1e-14)


def test_critics_count_their_own_updates():
    dynamics = Alternating(frozen(SGD(0.1)), frozen(SGD(Exponential(0.1, 0.5))), critic_steps=3)
    states, _ = run(dynamics, vector_oracle(XY), Profile(vectors([1.0]), vectors([0.0])), 1)
    assert states[1].generators.position.updates == 1
    assert states[1].critics.position.updates == 3
    assert float(positions(dynamics, states[1])[1]) == pytest.approx(0.1 + 0.05 + 0.025)
    assert dynamics.diagnostics(states[1]) == pytest.approx({"generators/step_size": 0.1, "critics/step_size": 0.0125})


def test_alternating_reports_the_values_generators_saw_and_the_losses_critics_saw():
    dynamics = descend(Alternating, 0.5, critic_steps=2)
    _, (seen,) = run(dynamics, vector_oracle(XY), Profile(vectors([1.0]), vectors([2.0])), 1)
    assert float(seen.values) == 3.0  # x = 1, y = 2 + 0.5 + 0.5
    assert float(seen.generator_losses) == 3.0
    assert float(seen.critic_losses) == -2.5  # before their second update
    assert float(seen.critic_grads[VECTOR]) == -1.0


def test_weights_and_positions_move_on_one_feedback():
    both = PlayerRules(SGD(0.1), EntropicMirrorDescent(0.3))
    dynamics = Simultaneous(both, both)
    profile = Profile(vectors([1.0], [-2.0], weights=[0.25, 0.75]), vectors([3.0]))
    states, _ = run(dynamics, vector_oracle(XY, 2), profile, 1)
    x, y = positions(dynamics, states[1])
    assert x.flatten().tolist() == pytest.approx([1 - 0.3, -2 - 0.3])
    assert float(y) == pytest.approx(3 + 0.1 * (0.25 - 1.5))
    raw = [0.25 * math.exp(-0.3 * 3), 0.75 * math.exp(0.3 * 6)]  # losses x y at the old positions
    got = dynamics.profile(states[1]).generators.log_weights.exp().tolist()
    assert got == pytest.approx([one / sum(raw) for one in raw], abs=1e-14)


# ---------------------------------------------------------------------- randomness

HOT = PlayerRules(Langevin(0.02, 0.5), Frozen())


def test_generators_draw_their_noise_first():
    states, _ = run(Simultaneous(HOT, HOT), vector_oracle(XY), Profile(vectors([0.0]), vectors([0.0])), 1, make_rng(5))
    first, second = torch.randn(2, generator=make_rng(5), dtype=DOUBLE).tolist()
    scale = math.sqrt(2 * 0.02 * 0.5)
    x, y = positions(Simultaneous(HOT, HOT), states[1])
    assert (float(x), float(y)) == pytest.approx((scale * first, scale * second), abs=1e-14)


def test_both_updates_of_extragradient_have_noise_of_their_own():
    count, dynamics = 4000, Extragradient(HOT, HOT)
    still = Profile(make_population({VECTOR: torch.zeros(count, 1, dtype=DOUBLE)}), vectors([0.0]))
    oracle = vector_oracle(Bilinear([[1e-9]]), count)
    states, _ = run(dynamics, oracle, still, 1, make_rng(6))
    ahead, after = oracle.profiles[1].generators.params[VECTOR].flatten(), positions(dynamics, states[1])[0].flatten()
    variance = 2 * 0.02 * 0.5
    for one in (ahead, after):
        assert float(one.var()) / variance == pytest.approx(1, abs=4 * math.sqrt(2 / count))
    assert abs(float((ahead * after).mean())) / variance < 4 / math.sqrt(count)


# ---------------------------------------------------------------------- refusals


def test_alternating_refuses_critics_that_never_move():
    with pytest.raises(InvalidInputError, match="need at least 1 critic step, found 0"):
        descend(Alternating, 0.1, critic_steps=0)
