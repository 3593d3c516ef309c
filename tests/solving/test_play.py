"""The record of a run: positions, what was played, averages, and what it cost."""

import math

import pytest
import torch

from mixnash.core.dynamics.alternating import Alternating
from mixnash.core.dynamics.consensus import Consensus
from mixnash.core.dynamics.extragradient import Extragradient
from mixnash.core.dynamics.optimistic import Optimistic
from mixnash.core.dynamics.past_extragradient import PastExtragradient
from mixnash.core.dynamics.reflected import Reflected
from mixnash.core.dynamics.simultaneous import Simultaneous
from mixnash.core.errors import InvalidInputError
from mixnash.core.games.bilinear import Bilinear
from mixnash.core.games.matrix import Matrix
from mixnash.core.games.vectors import VECTOR, AbstractVectorGame
from mixnash.core.population import weights
from mixnash.core.rules.base import PlayerRules
from mixnash.core.rules.entropic import EntropicMirrorDescent
from mixnash.core.rules.langevin import Langevin
from mixnash.core.rules.sgd import SGD
from mixnash.core.rules.still import Still
from mixnash.core.types import BOTH, CRITICS, Player, Point, Population, Profile
from mixnash.core.vector_oracle import FiniteOracle, VectorOracle
from mixnash.solving.history import DivergedError, mean_profile, mean_weights, mixture, take
from mixnash.solving.play import play
from mixnash.solving.recording import RecordingOracle
from problems import DOUBLE, descend, frozen, make_rng, normal, vectors

XY = Bilinear([[1.0]])
UNEQUAL = (frozen(SGD(0.1)), frozen(SGD(0.2)))


def start(x=1.0, y=0.5):
    return Profile(vectors([x]), vectors([y]))


def path(profiles):
    return torch.cat([player.params[VECTOR][:, 0] for player in profiles], 1)


def test_history_of_alternating_descent_is_the_one_computed_by_hand():
    history = play(Alternating(*UNEQUAL), VectorOracle(XY), start(), 2, make_rng(0))
    # y <- y + 0.2 x, then x <- x - 0.1 y.
    expected = torch.tensor([[1.0, 0.5], [0.93, 0.7], [0.8414, 0.886]], dtype=DOUBLE)
    torch.testing.assert_close(path(history.profiles), expected, atol=1e-15, rtol=0)
    torch.testing.assert_close(history.values, expected.prod(1), atol=1e-15, rtol=0)
    assert history.steps.tolist() == [0, 1, 2]
    # The last evaluation sees the new y with the old x.
    played = torch.tensor([[1.0, 0.5], [1.0, 0.7], [0.93, 0.886]], dtype=DOUBLE)
    torch.testing.assert_close(path(history.played), played, atol=1e-15, rtol=0)


def test_played_profile_of_extragradient_is_the_look_ahead():
    history = play(Extragradient(*UNEQUAL), VectorOracle(XY), start(), 1, make_rng(0))
    ahead = torch.tensor([1 - 0.1 * 0.5, 0.5 + 0.2 * 1], dtype=DOUBLE)
    torch.testing.assert_close(path(history.played)[1], ahead)
    torch.testing.assert_close(
        path(history.profiles)[1], torch.stack([1 - 0.1 * ahead[1], 0.5 + 0.2 * ahead[0]]), atol=1e-15, rtol=0
    )


def test_records_are_made_every_so_often_and_at_the_end_and_change_nothing():
    every, some = (
        play(Simultaneous(*UNEQUAL), VectorOracle(XY), start(), 10, make_rng(0), record_every=n) for n in (1, 4)
    )
    assert some.steps.tolist() == [0, 4, 8, 10]
    assert torch.equal(path(some.profiles), path(every.profiles)[some.steps])
    assert torch.equal(path(some.played), path(every.played)[some.steps])
    assert torch.equal(some.gradient_calls, every.gradient_calls[some.steps])
    assert (some.seconds.diff() > 0).all()


def test_records_do_not_disturb_noisy_runs():
    noisy = PlayerRules(Langevin(0.05, 0.3), EntropicMirrorDescent(0.3))
    histories = [
        play(
            Extragradient(noisy, noisy),
            VectorOracle(XY, 0.4, make_rng(1)),
            Profile(vectors([0.3], [1.0]), vectors([-0.2], [0.4], [2.0])),
            9,
            make_rng(2),
            record_every=n,
        )
        for n in (1, 3)
    ]
    last = [take(one.profiles, -1) for one in histories]
    for one, other in zip(*last, strict=True):
        assert torch.equal(one.params[VECTOR], other.params[VECTOR])
        assert torch.equal(one.log_weights, other.log_weights)


def test_progress_is_told_at_every_record():
    told = []
    play(Simultaneous(*UNEQUAL), VectorOracle(XY), start(), 7, make_rng(0), 3, told.append)
    assert told == [3, 6, 7]


@pytest.mark.parametrize(
    ("dynamics", "calls"),
    [
        (descend(Simultaneous, 0.1), 1.0),
        (descend(Alternating, 0.1), 1.0),
        (descend(Alternating, 0.1, critic_steps=4), 2.5),
        (descend(Extragradient, 0.1), 2.0),
        (descend(Optimistic, 0.1), 1.0),
        (descend(PastExtragradient, 0.1), 1.0),
        (descend(Reflected, 0.1), 1.0),
        (Consensus(0.1, 0.5), 3.0),  # the field, its derivative, one product with it
    ],
    ids=lambda one: type(one).__name__,
)
def test_gradient_calls_of_a_step(dynamics, calls):
    history = play(dynamics, VectorOracle(XY), start(), 50, make_rng(0), record_every=10)
    # The first step of a scheme with memory may need one evaluation more.
    torch.testing.assert_close(
        history.gradient_calls.diff(), torch.full((5,), 10 * calls, dtype=DOUBLE), atol=1, rtol=0
    )
    assert history.gradient_calls.diff()[1:].tolist() == [10 * calls] * 4
    assert history.gradient_calls[0] == 0


def test_recording_oracle_counts_halves_and_products_and_answers_like_the_other():
    profile = Profile(vectors([0.3], [1.0]), vectors([-0.2], [0.4], [2.0], weights=[0.2, 0.5, 0.3]))
    oracle = RecordingOracle(VectorOracle(XY))
    seen = oracle.feedback(profile, CRITICS)
    assert oracle.gradient_calls == 0.5
    assert oracle.played() is profile
    assert torch.equal(seen.critic_grads[VECTOR], VectorOracle(XY).feedback(profile, BOTH).critic_grads[VECTOR])
    assert seen.generator_grads is None
    linearisation, plain = oracle.linearise(profile), VectorOracle(XY).linearise(profile)
    assert oracle.gradient_calls == 1.5
    point = Point({VECTOR: normal(2, 1)}, {VECTOR: normal(3, 1)})
    for one, other in (
        (linearisation.pullback(point), plain.pullback(point)),
        (linearisation.pushforward(point), plain.pushforward(point)),
    ):
        assert torch.equal(one.generators[VECTOR], other.generators[VECTOR])
        assert torch.equal(one.critics[VECTOR], other.critics[VECTOR])
    assert oracle.gradient_calls == 3.5


def test_played_profile_prefers_the_last_one_for_both_players_of_the_step():
    first, second = start(), start(2.0)
    oracle = RecordingOracle(VectorOracle(XY))
    oracle.feedback(first, BOTH)
    oracle.feedback(second, CRITICS)
    assert oracle.played() is first
    oracle.forget()
    assert oracle.played() is None
    oracle.feedback(second, CRITICS)
    assert oracle.played() is second


# ---------------------------------------------------------------------- averages


GAME = Matrix([[-1.0, 1.0, 0.3], [2.0, -1.0, 0.1]])


def finite_run(kind, steps, record_every=1):
    rules = PlayerRules(Still(), EntropicMirrorDescent(0.2)), PlayerRules(Still(), EntropicMirrorDescent(0.1))
    profile = Profile(*(GAME.pure_strategies(player) for player in (Player.GENERATOR, Player.CRITIC)))
    return play(kind(*rules), FiniteOracle(GAME.matrix), profile, steps, make_rng(0), record_every)


def test_averages_are_those_of_the_weights_played_in_all_steps_whatever_is_recorded():
    every, some = finite_run(Extragradient, 12), finite_run(Extragradient, 12, 5)
    for player, averages in zip(every.played, every.averages, strict=True):
        played = weights(player)[1:]
        means = played.cumsum(0) / torch.arange(1, 13, dtype=DOUBLE).unsqueeze(1)
        torch.testing.assert_close(averages[1:], means, atol=1e-15, rtol=0)
        torch.testing.assert_close(averages[0], weights(player)[0], atol=1e-15, rtol=0)
    assert all(torch.equal(a, b[some.steps]) for a, b in zip(some.averages, every.averages, strict=True))
    for player, averages in zip(mean_weights(some), some.averages, strict=True):
        torch.testing.assert_close(weights(player), averages[-1], atol=1e-15, rtol=0)


def test_values_of_a_finite_game_are_its_payoffs():
    history = finite_run(Simultaneous, 6)
    p, q = (weights(player) for player in history.profiles)
    torch.testing.assert_close(history.values, torch.einsum("rk,kl,rl->r", p, GAME.matrix, q), atol=1e-15, rtol=0)


def test_mean_profile_is_the_mean_of_the_points_that_were_played():
    history = play(Extragradient(*UNEQUAL), VectorOracle(XY), start(), 20, make_rng(0))
    mean = mean_profile(history)
    expected = path(history.played)[1:].mean(0)
    assert torch.equal(torch.cat([player.params[VECTOR][0] for player in mean]), expected)


def test_mixture_holds_every_played_particle_with_its_share_of_the_weight():
    moving = PlayerRules(SGD(0.1), EntropicMirrorDescent(0.3))
    profile = Profile(vectors([0.3], [1.0], weights=[0.3, 0.7]), vectors([-0.2], [0.4], [2.0]))
    history = play(Simultaneous(moving, moving), VectorOracle(XY), profile, 4, make_rng(0))
    for player, played in zip(mixture(history), history.played, strict=True):
        assert torch.equal(player.params[VECTOR], played.params[VECTOR][1:].flatten(0, 1))
        torch.testing.assert_close(weights(player), weights(played)[1:].flatten() / 4)


def test_long_mixture_is_thinned_evenly():
    history = play(Simultaneous(*UNEQUAL), VectorOracle(XY), start(), 1000, make_rng(0))
    positions = mixture(history).generators.params[VECTOR]
    assert 200 <= len(positions) <= 500
    played = history.played.generators.params[VECTOR][:, 0]
    assert torch.equal(positions[0], played[1])
    assert torch.equal(positions[-1], played[-1])


def test_without_steps_the_averages_are_the_start():
    history = play(Simultaneous(*UNEQUAL), VectorOracle(XY), start(), 0, make_rng(0))
    assert mean_profile(history).generators.params[VECTOR].item() == 1.0
    assert mixture(history).critics.params[VECTOR].item() == 0.5


# ---------------------------------------------------------------------- batches, and the end of the numbers


def test_batch_of_games_is_every_game_by_itself():
    x, y = normal(5, 2, 1, key=1), normal(5, 3, 1, key=2)
    log_weights = [torch.log_softmax(normal(5, n, key=3), -1) for n in (2, 3)]
    rules = PlayerRules(SGD(0.1), EntropicMirrorDescent(0.3)), PlayerRules(SGD(0.2), EntropicMirrorDescent(0.1))
    dynamics = Extragradient(*rules)

    def run(index):
        profile = Profile(
            Population({VECTOR: x[index]}, log_weights[0][index]), Population({VECTOR: y[index]}, log_weights[1][index])
        )
        return play(dynamics, VectorOracle(XY), profile, 6, make_rng(0), 2)

    together = run(slice(None))
    assert together.values.shape == (4, 5)
    for index in range(5):
        alone = run(index)
        torch.testing.assert_close(alone.values, together.values[:, index])
        torch.testing.assert_close(alone.averages[1], together.averages[1][:, index])
        torch.testing.assert_close(
            alone.profiles.generators.params[VECTOR], together.profiles.generators.params[VECTOR][:, index]
        )


class Blows(AbstractVectorGame):
    """Finite inside the interval (-2, 2), NaN outside."""

    def payoff(self, x, y):
        return torch.where(x.abs() < 2, x * y, torch.nan).squeeze(-1)


def test_dynamics_that_leaves_the_numbers_is_named_with_the_step_and_keeps_its_record():
    game = Blows(XY.minimiser, XY.maximiser)
    with pytest.raises(
        DivergedError, match=r"Simultaneous left the finite numbers by step \d+: .* smaller steps"
    ) as stop:
        play(descend(Simultaneous, 0.5), VectorOracle(game), start(), 50, make_rng(0))
    kept = stop.value.history
    assert 1 < len(kept.steps) < 20
    assert torch.isfinite(path(kept.profiles)).all()
    assert torch.isfinite(kept.values).all()


def test_overflow_is_divergence():
    with pytest.raises(DivergedError, match="Simultaneous left"):
        play(descend(Simultaneous, 1e10), VectorOracle(XY), start(), 100, make_rng(0), record_every=100)


@pytest.mark.parametrize(
    ("steps", "every", "message"), [(-1, 1, "steps must be at least 0"), (1, 0, "record_every must")]
)
def test_counts_out_of_range_are_refused(steps, every, message):
    with pytest.raises(InvalidInputError, match=message):
        play(Simultaneous(*UNEQUAL), VectorOracle(XY), start(), steps, make_rng(0), every)


def test_extragradient_turns_by_its_multiplier():
    history = play(descend(Extragradient, 0.1), VectorOracle(XY), start(), 100, make_rng(0))
    norms = path(history.profiles).norm(dim=1)
    assert norms[-1] / norms[0] == pytest.approx(math.sqrt(1 - 0.01 + 0.0001) ** 100, rel=1e-12)
