"""Dynamics that put a generator in another one's place say where; who averages over time relies on it."""

import pytest
import torch

from mixnash.core.dynamics.adaptive_conic_mirror_prox import AdaptiveConicMirrorProx
from mixnash.core.dynamics.alternating import Alternating
from mixnash.core.dynamics.birth_death import BirthDeath
from mixnash.core.dynamics.double_oracle import DoubleOracle
from mixnash.core.dynamics.exact_weights import ExactWeights
from mixnash.core.dynamics.lookahead import Lookahead
from mixnash.core.dynamics.simultaneous import Simultaneous
from mixnash.core.games.fourier import FourierGame
from mixnash.core.games.vectors import VECTOR
from mixnash.core.population import make_population
from mixnash.core.rules.base import PlayerRules
from mixnash.core.rules.entropic import EntropicMirrorDescent
from mixnash.core.rules.sgd import SGD
from mixnash.core.rules.still import Still
from mixnash.core.types import Profile
from mixnash.core.vector_oracle import VectorOracle
from mixnash.equilibrium.linear_program import LinearProgram
from problems import make_rng

STILL = PlayerRules(Still(), EntropicMirrorDescent(0.5)), PlayerRules(Still(), EntropicMirrorDescent(0.5))


def births(every=1):
    return BirthDeath(Simultaneous(*STILL), every, 0.1, jitter=0.2)


def oracle_dynamics():
    return DoubleOracle(SGD(0.05), SGD(0.05), LinearProgram(), 10, 0.1)


def start(games=()):
    rng = make_rng(3)

    def some(count):
        positions = torch.rand(*games, count, 1, generator=rng, dtype=torch.float64)
        heights = torch.rand(*games, count, generator=rng, dtype=torch.float64)
        return torch.log_softmax(4 * heights, -1), positions

    (p, x), (q, y) = some(4), some(5)
    if games:
        make = type(make_population({VECTOR: x[0]}))
        return Profile(make({VECTOR: x}, p), make({VECTOR: y}, q))
    return Profile(make_population({VECTOR: x}, p), make_population({VECTOR: y}, q))


def play(dynamics, game, steps, games=()):
    """Before and after each step."""
    oracle, rng = VectorOracle(game), make_rng(1)
    state = dynamics.init(start(games))
    for _ in range(steps):
        new, _ = dynamics.step(state, oracle, rng)
        yield state, new
        state = new


@pytest.mark.parametrize(
    "make",
    [
        births,
        lambda: births(2),
        oracle_dynamics,
        lambda: Lookahead(births(), 1, 1.0),
        lambda: ExactWeights(births(), LinearProgram(), 3, damping=0.5),
        lambda: BirthDeath(oracle_dynamics(), 2, 0.05, jitter=0.3),
    ],
    ids=["births", "births every other step", "double oracle", "Lookahead", "ExactWeights", "births in an oracle"],
)
def test_where_nobody_moves_the_places_that_change_are_those_of_newcomers(make):
    dynamics, seen = make(), 0
    for before, after in play(dynamics, FourierGame.random(3, 0), 8):
        old, new = (dynamics.profile(one).generators.params[VECTOR] for one in (before, after))
        found = dynamics.newcomers(before, after)
        assert torch.equal(found, (old != new).any(-1))
        seen += int(found.sum())
    assert seen > 0


@pytest.mark.parametrize("games", [(), (6,)], ids=["one game", "a batch"])
def test_births_of_conic_mirror_prox_are_where_positions_jump(games):
    dynamics = AdaptiveConicMirrorProx(position_step=1e-4, birth_interval=2, candidates=64, growth=1.0)
    seen = 0
    for before, after in play(dynamics, FourierGame.random(3, 0, games=games), 8, games):
        old, new = (dynamics.profile(one).generators.params[VECTOR] for one in (before, after))
        found = dynamics.newcomers(before, after)
        assert found.shape == (*games, 4)
        assert torch.equal(found.any(-1), after.births[0] > before.births[0])
        moved = (new - old).abs().squeeze(-1)
        moved = torch.minimum(moved, 1 - moved)  # on a torus
        if bool(found.any()):
            assert float(moved[found].max()) > float(moved[~found].max())
        seen += int(found.sum())
    assert seen > 0


def test_dynamics_that_keep_their_particles_say_that_nobody_comes():
    for dynamics in (Alternating(*STILL), Lookahead(Simultaneous(*STILL))):
        ((before, after),) = play(dynamics, FourierGame.random(3, 0), 1)
        assert dynamics.newcomers(before, after) is None
