"""Particles of both players: the stationary law of interacting Langevin dynamics, and the two halves of WFR.

On a quadratic payoff a x^2 / 2 + b x y - c y^2 / 2 Langevin dynamics is a linear recursion z' = M z + noise of all
particles together, so its stationary law is Gaussian with the covariance S = M S M' + Q, step sizes included.
"""

import math

import pytest
import torch

from mixnash.core.dynamics.simultaneous import Simultaneous
from mixnash.core.games.polynomial import PolynomialGame
from mixnash.core.games.vectors import VECTOR
from mixnash.core.rules.base import PlayerRules
from mixnash.core.rules.entropic import EntropicMirrorDescent
from mixnash.core.rules.langevin import Langevin
from mixnash.core.rules.sgd import SGD
from mixnash.core.rules.still import Still
from mixnash.core.types import Population, Profile
from mixnash.core.vector_oracle import FiniteOracle, VectorOracle
from problems import DOUBLE, frozen, positions, run, vectors

A, B, C = 1.0, 0.7, 0.8
QUADRATIC = PolynomialGame([[0.0, 0.0, -C / 2], [0.0, B, 0.0], [A / 2, 0.0, 0.0]])
X_STEP, Y_STEP, X_TEMPERATURE, Y_TEMPERATURE = 0.4, 0.5, 0.3, 1.7
P, Q = torch.tensor([0.5, 0.3, 0.2], dtype=DOUBLE), torch.tensor([0.9, 0.1], dtype=DOUBLE)
GAMES = 20_000


def batch(start, weights):
    """The same player in many independent games."""
    return Population({VECTOR: start.expand(GAMES, len(start), 1)}, weights.log().expand(GAMES, -1))


def ends(dynamics, steps):
    start = Profile(batch(torch.zeros(3, 1, dtype=DOUBLE), P), batch(torch.tensor([[1.0], [3.0]], dtype=DOUBLE), Q))
    state, oracle, rng = dynamics.init(start), VectorOracle(QUADRATIC), torch.Generator().manual_seed(3)
    for _ in range(steps):
        state, _ = dynamics.step(state, oracle, rng)
    return torch.cat([one.squeeze(-1) for one in positions(dynamics, state)], dim=1)


def stationary_covariance():
    """The solution S [5, 5] of S = M S M' + Q for three generators and two critics of unequal weights."""
    jacobian = torch.diag(torch.tensor([A] * 3 + [C] * 2, dtype=DOUBLE))
    jacobian[:3, 3:] = B * Q  # every generator feels the critics' mean
    jacobian[3:, :3] = -B * P
    steps = torch.tensor([X_STEP] * 3 + [Y_STEP] * 2, dtype=DOUBLE)
    temperatures = torch.tensor([X_TEMPERATURE] * 3 + [Y_TEMPERATURE] * 2, dtype=DOUBLE)
    move = torch.eye(5, dtype=DOUBLE) - steps.unsqueeze(1) * jacobian
    noise = torch.diag(2 * steps * temperatures)
    system = torch.eye(25, dtype=DOUBLE) - torch.kron(move, move)
    return torch.linalg.solve(system, noise.flatten()).reshape(5, 5)


def test_interacting_langevin_has_its_gaussian_stationary_law():
    dynamics = Simultaneous(frozen(Langevin(X_STEP, X_TEMPERATURE)), frozen(Langevin(Y_STEP, Y_TEMPERATURE)))
    samples, exact = ends(dynamics, 40), stationary_covariance()
    variances = exact.diagonal()
    # Standard errors over independent games: of a mean, and of a covariance (Isserlis).
    assert bool((samples.mean(0).abs() < 5 * (variances / GAMES).sqrt()).all())
    error = ((variances.unsqueeze(1) * variances + exact.square()) / GAMES).sqrt()
    assert bool(((torch.cov(samples.T) - exact).abs() < 5 * error).all())
    # The interaction shows: generators that share one force are correlated.
    assert float(exact[0, 1]) > 20 * float(error[0, 1])


def test_differences_of_particles_forget_the_opponent():
    # Both feel the same force, so the difference is a chain of its own, with variance 2 T / (a (1 - eta a / 2)).
    covariance = stationary_covariance()
    for (i, j), step, temperature, curvature in (
        ((0, 2), X_STEP, X_TEMPERATURE, A), ((3, 4), Y_STEP, Y_TEMPERATURE, C)
    ):  # fmt: skip
        exact = 2 * temperature / (curvature * (1 - step * curvature / 2))
        assert float(covariance[i, i] + covariance[j, j] - 2 * covariance[i, j]) == pytest.approx(exact)


def test_against_a_fixed_opponent_particles_sample_the_gibbs_law():
    # Critics at 1 and 3 with mean 1.2: the density exp(-(a x^2 / 2 + 1.2 b x) / T), widened by the step size.
    dynamics = Simultaneous(frozen(Langevin(X_STEP, X_TEMPERATURE)), frozen(Still()))
    samples = ends(dynamics, 40)[:, :3].flatten()
    mean, variance = -1.2 * B / A, X_TEMPERATURE / (A * (1 - X_STEP * A / 2))
    count = len(samples)
    assert float(samples.mean()) == pytest.approx(mean, abs=5 * math.sqrt(variance / count))
    assert float(samples.var()) == pytest.approx(variance, abs=5 * variance * math.sqrt(2 / count))


# ---------------------------------------------------------------------- Wasserstein-Fisher-Rao


START = Profile(vectors([0.4], [-0.9], weights=[0.3, 0.7]), vectors([0.2], [1.1], [-0.5], weights=[0.2, 0.5, 0.3]))
WEIGHTS = EntropicMirrorDescent(0.6), EntropicMirrorDescent(0.25)


def end(generators, critics, steps=15, oracle=None):
    states, _ = run(Simultaneous(generators, critics), oracle or VectorOracle(QUADRATIC), START, steps)
    return states[-1].profile


def test_a_step_moves_positions_and_weights_on_the_same_feedback():
    got = end(PlayerRules(SGD(0.1), WEIGHTS[0]), PlayerRules(SGD(0.2), WEIGHTS[1]), steps=1)
    x, p, y, q = [0.4, -0.9], [0.3, 0.7], [0.2, 1.1, -0.5], [0.2, 0.5, 0.3]

    def payoff(u, v):
        return A * u * u / 2 + B * u * v - C * v * v / 2

    new_x = [u - 0.1 * sum(w * (A * u + B * v) for v, w in zip(y, q, strict=True)) for u in x]
    new_y = [v + 0.2 * sum(w * (B * u - C * v) for u, w in zip(x, p, strict=True)) for v in y]
    raw_p = [
        w * math.exp(-0.6 * sum(b * payoff(u, v) for v, b in zip(y, q, strict=True))) for u, w in zip(x, p, strict=True)
    ]
    raw_q = [
        w * math.exp(0.25 * sum(a * payoff(u, v) for u, a in zip(x, p, strict=True))) for v, w in zip(y, q, strict=True)
    ]
    assert got.generators.params[VECTOR].flatten().tolist() == pytest.approx(new_x)
    assert got.critics.params[VECTOR].flatten().tolist() == pytest.approx(new_y)
    assert got.generators.log_weights.exp().tolist() == pytest.approx([one / sum(raw_p) for one in raw_p])
    assert got.critics.log_weights.exp().tolist() == pytest.approx([one / sum(raw_q) for one in raw_q])


def test_without_position_steps_it_is_multiplicative_weights_on_the_matrix_of_the_particles():
    still = [PlayerRules(Still(), one) for one in WEIGHTS]
    ours, theirs = end(*still), end(*still, oracle=FiniteOracle.on(QUADRATIC, START))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-13)
    payoff = FiniteOracle.on(QUADRATIC, START).payoff
    p, q = (one.log_weights.exp() for one in START)
    for _ in range(15):
        p, q = p * torch.exp(-0.6 * (payoff @ q)), q * torch.exp(0.25 * (p @ payoff))
        p, q = p / p.sum(), q / q.sum()
    torch.testing.assert_close(ours.generators.log_weights.exp(), p)
    torch.testing.assert_close(ours.critics.log_weights.exp(), q)


def test_weight_steps_of_almost_nothing_are_wasserstein_descent():
    tiny = EntropicMirrorDescent(1e-14)
    moving = end(PlayerRules(SGD(0.1), tiny), PlayerRules(SGD(0.2), tiny))
    fixed = end(frozen(SGD(0.1)), frozen(SGD(0.2)))
    torch.testing.assert_close(moving, fixed, rtol=0, atol=1e-12)
    assert torch.equal(fixed.generators.log_weights, START.generators.log_weights)


def test_one_particle_each_is_gradient_descent_ascent_whatever_the_weight_rule():
    start = Profile(vectors([0.4]), vectors([1.1]))
    ends = [
        run(Simultaneous(PlayerRules(SGD(0.1), rule), frozen(SGD(0.2))), VectorOracle(QUADRATIC), start, 9)[0][-1]
        for rule in (WEIGHTS[0], frozen(Still()).weights)
    ]
    torch.testing.assert_close(ends[0].profile, ends[1].profile, rtol=0, atol=0)
