"""BCSEG+: two steps by hand with noise, the bias of its uncorrected form, and what it does without noise."""

import math

import pytest
import torch

from mixnash.core.domains import Box
from mixnash.core.dynamics.bias_corrected_extragradient_plus import BiasCorrectedExtragradientPlus
from mixnash.core.dynamics.extragradient_plus import ExtragradientPlus
from mixnash.core.errors import InvalidInputError
from mixnash.core.games.bilinear import Bilinear
from mixnash.core.games.vectors import VECTOR
from mixnash.core.games.weak_minty_quadratic import WeakMintyQuadratic
from mixnash.core.joint import add, field
from mixnash.core.schedules import Polynomial
from mixnash.core.types import AbstractOracle, Point, Population, Profile
from mixnash.core.vector_oracle import VectorOracle
from problems import DOUBLE, make_rng, normal, positions, run, vectors

BOX = Box([-1.0], [1.0])
IN_A_BOX = Bilinear([[1.0]], [0.9], [0.9], BOX, BOX)  # V = (y - 0.9, 0.9 - x)


class Scripted(AbstractOracle):
    """An oracle whose noise is written down: one vector per set of draws."""

    def __init__(self, game, noise):
        self.oracle, self.noise, self.asked = VectorOracle(game), iter(noise), []
        self.drawn = None

    def resample(self):
        self.drawn = next(self.noise)

    def feedback(self, profile, players):
        self.asked.append([float(one.params[VECTOR]) for one in profile])
        seen = self.oracle.feedback(profile, players)
        noise = Point(*({VECTOR: torch.tensor([[one]], dtype=DOUBLE)} for one in self.drawn))
        noisy = add(field(seen), 1.0, noise)
        return seen._replace(generator_grads=noisy.generators, critic_grads=noisy.critics)

    def linearise(self, profile):
        raise AssertionError("Not needed.")

    def project(self, player, params):
        return self.oracle.project(player, params)


def by_hand(z, g, alphas, noise):
    """The recursion of the card, with V = (y - 0.9, 0.9 - x) and the box, in plain numbers."""

    def slope(z, xi):
        return z[1] - 0.9 + xi[0], 0.9 - z[0] + xi[1]

    h = before = z
    path, asked = [z], []
    for t, alpha in enumerate(alphas):
        first, second = noise[2 * t : 2 * t + 2]
        now, old = slope(z, first), slope(before, first)
        h = tuple(z[i] - g * now[i] + (1 - alpha) * (h[i] - before[i] + g * old[i]) for i in range(2))
        w = tuple(min(max(one, -1.0), 1.0) for one in h)
        there = slope(w, second)
        asked += [z, before, w]
        before, z = z, tuple(z[i] - alpha * (h[i] - w[i] + g * there[i]) for i in range(2))
        path.append(z)
    return path, asked


def test_steps_with_noise_are_those_written_out():
    g, alphas = 0.5, [0.8, 0.4, 0.8 / 3, 0.2]
    noise = [tuple(one) for one in (1.5 * normal(8, 2)).tolist()]
    path, asked = by_hand((0.7, -0.8), g, alphas, noise)
    oracle = Scripted(IN_A_BOX, noise)
    dynamics = BiasCorrectedExtragradientPlus(g, Polynomial(0.8, 1.0))
    states, _ = run(dynamics, oracle, Profile(vectors([0.7]), vectors([-0.8])), 4)
    for state, z in zip(states, path, strict=True):
        assert [float(own[VECTOR]) for own in state.players.base] == pytest.approx(z, abs=1e-13)
        assert [float(own) for own in positions(dynamics, state)] == pytest.approx(
            [min(max(one, -1.0), 1.0) for one in z], abs=1e-13
        )
    assert len(oracle.asked) == 12
    for got, expected in zip(oracle.asked, asked, strict=True):
        assert got == pytest.approx(expected, abs=1e-13)
    assert any(abs(one) == 1 for got in oracle.asked for one in got)  # the box was felt
    assert next(oracle.noise, None) is None  # two sets of draws per step
    shown = dynamics.diagnostics(states[-1])
    assert shown["generators/relaxation"] == shown["critics/relaxation"] == pytest.approx(0.2)
    assert shown["generators/step_size"] == 0.5


def test_the_first_step_written_out_in_numbers():
    # V(z) + xi = (-1.9 + 0.4, 0.1 - 0.2) = (-1.5, -0.1); from h = z the correction is g times that, so
    # h = z - alpha g (-1.5, -0.1) = (1.1, -0.98), w = (1, -0.98), V(w) + xi' = (-1.88 + 0.1, -0.1 + 0.3);
    # z + alpha (w - h) - alpha g (-1.78, 0.2) = (0.8 - 0.04 + 0.356, -1 - 0.04).
    dynamics = BiasCorrectedExtragradientPlus(0.5, 0.4)
    oracle = Scripted(IN_A_BOX, [(0.4, -0.2), (0.1, 0.3)])
    states, seen = run(dynamics, oracle, Profile(vectors([0.8]), vectors([-1.0])), 1)
    assert [float(own[VECTOR]) for own in states[1].players.base] == pytest.approx([1.116, -1.04], abs=1e-14)
    assert [float(own) for own in positions(dynamics, states[1])] == [1.0, -1.0]
    assert float(seen[0].generator_grads[VECTOR]) == pytest.approx(-1.78, abs=1e-14)


@pytest.mark.parametrize("relaxation", [0.3, 1.0])
def test_without_noise_it_tends_to_extragradient_plus_on_the_bilinear_game(relaxation):
    # With h = z - g V(z) on a linear field the correction keeps h there but for the first steps' memory.
    game, start, g = Bilinear([[1.0]]), complex(1.0, -0.4), 0.6
    dynamics = BiasCorrectedExtragradientPlus(g, relaxation)
    states, _ = run(dynamics, VectorOracle(game), Profile(vectors([1.0]), vectors([-0.4])), 60)
    norms = torch.tensor([math.hypot(*(float(own) for own in positions(dynamics, state))) for state in states])
    # h - z + g V(z) = (1 - alpha)^(t+1) times g V(z_0): V(x, y) = (y, -x) = -i z.
    z, memory = start, g * -1j * start
    for norm in norms[1:]:
        memory *= 1 - relaxation
        w = z + 1j * g * z + memory
        z += 1j * relaxation * g * w
        assert float(norm) == pytest.approx(abs(z), abs=1e-6)
    factor = math.sqrt((1 - relaxation * g**2) ** 2 + (relaxation * g) ** 2)
    assert float(norms[-1] / norms[-2]) == pytest.approx(factor, abs=1e-5)


def distance_of_the_mean(dynamics, games, steps):
    """From (0.9, 0.9), of the players' mean over games with noise 1 that are played side by side."""
    populations = (Population({VECTOR: torch.zeros(games, 1, 1, dtype=DOUBLE)}, torch.zeros(games, 1, dtype=DOUBLE)),)
    oracle = VectorOracle(IN_A_BOX, 1.0, make_rng(3))
    states, _ = run(dynamics, oracle, Profile(*2 * populations), steps)
    return math.hypot(*(float(own.mean()) - 0.9 for own in positions(dynamics, states[-1])))


def test_the_correction_removes_the_bias_of_noise_at_an_active_box():
    relaxation = Polynomial(0.5, 1.0, 20.0)
    assert distance_of_the_mean(BiasCorrectedExtragradientPlus(0.5, relaxation), 128, 250) < 0.45
    assert distance_of_the_mean(ExtragradientPlus(0.5, relaxation), 128, 250) > 0.75


def test_put_elsewhere_it_forgets_what_it_corrects_with():
    dynamics = BiasCorrectedExtragradientPlus(0.5, Polynomial(0.8, 1.0))
    oracle, there = VectorOracle(IN_A_BOX), Profile(vectors([0.3]), vectors([0.2]))
    states, _ = run(dynamics, oracle, Profile(vectors([0.8]), vectors([-1.0])), 2)
    moved, _ = dynamics.step(dynamics.replace_profile(states[-1], there), oracle, make_rng(0))
    fresh = BiasCorrectedExtragradientPlus(0.5, 0.8 / 3)
    expected, _ = fresh.step(fresh.init(there), oracle, make_rng(0))
    assert [float(own) for own in positions(dynamics, moved)] == pytest.approx(
        [float(own) for own in positions(fresh, expected)], abs=1e-14
    )


def test_the_proven_steps_are_those_of_the_theory():
    dynamics = BiasCorrectedExtragradientPlus(0.5, Polynomial(0.8, 1.0))
    assert dynamics.proven_steps(2.0, 0.0) == (0.0, 0.5)
    assert dynamics.proven_steps(2.0, -0.1) == pytest.approx((0.2, 0.5))
    low, high = dynamics.proven_steps(2.0, -0.26)
    assert low > high


def test_constant_relaxations_are_not_said_to_converge_where_they_diverge():
    dynamics = BiasCorrectedExtragradientPlus(0.9, 0.9)  # step in (-2 rho, 1/L) of the game below
    assert dynamics.proven_steps(1.0, -0.25) is None
    states, _ = run(dynamics, VectorOracle(WeakMintyQuadratic(1.0, 0.25)), Profile(vectors([1.0]), vectors([0.5])), 50)
    assert sum(float(own) ** 2 for own in positions(dynamics, states[-1])) > 1e6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.0, 0.5), "step size of BCSEG\\+ must be positive and finite, found 0.0"),
        ((math.inf, 0.5), "step size of BCSEG\\+ must be positive and finite, found inf"),
        ((0.1, 1.5), "relaxation of BCSEG\\+ must be at most 1 at every step, found up to 1.5"),
        ((0.1, 0.0), "relaxation of BCSEG\\+ must be positive"),
    ],
)
def test_arguments_outside_their_range_are_refused(arguments, message):
    with pytest.raises(InvalidInputError, match=message):
        BiasCorrectedExtragradientPlus(*arguments)
