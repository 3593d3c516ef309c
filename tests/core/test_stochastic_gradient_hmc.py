"""Stochastic gradient HMC: the exact stationary law of its discretisation, and its two special cases."""

import math

import pytest
import torch

from mixnash.core.errors import InvalidInputError
from mixnash.core.rules.langevin import Langevin
from mixnash.core.rules.momentum import Momentum
from mixnash.core.rules.stochastic_gradient_hmc import StochasticGradientHMC
from mixnash.core.schedules import Cosine, Exponential
from problems import DOUBLE, make_rng, normal

CHAINS = 40000
BAND = 4 * math.sqrt(2 / CHAINS)
"""Four standard errors of a Gaussian's variance, relative."""


def stationary(rule, curvature, centre, steps):
    """Many one-dimensional chains on the loss curvature (x - centre)^2 / 2: positions and velocities."""
    rng, params = make_rng(11), {"x": torch.full((CHAINS, 1), 0.5, dtype=DOUBLE)}
    state = rule.init(params)
    for _ in range(steps):
        params, state = rule.update(params, {"x": curvature * (params["x"] - centre)}, state, rng)
    return params["x"], state.velocity["x"]


@pytest.mark.parametrize(
    ("step_size", "friction", "temperature", "precision"),
    [(0.1, 0.3, 0.4, 0.0), (0.3, 0.5, 0.4, 3.0), (0.4, 0.8, 3.0, 0.2), (0.02, 0.2, 0.05, 20.0)],
)
def test_positions_and_velocities_have_the_stationary_law_of_the_discretisation(
    step_size, friction, temperature, precision
):
    curvature, centre = 2.5, 0.7
    rule = StochasticGradientHMC(step_size, friction, temperature, precision)
    x, v = stationary(rule, curvature, centre, 150)
    k = curvature + temperature * precision
    discretisation = 1 - step_size * k / (2 * (2 - friction))
    assert float(x.var()) / (temperature / k / discretisation) == pytest.approx(1, abs=BAND)
    variance = 2 * step_size * temperature / (2 - friction) / discretisation
    assert float(v.var()) / variance == pytest.approx(1, abs=BAND)
    mean = curvature * centre / k
    assert float(x.mean()) == pytest.approx(mean, abs=4 * math.sqrt(temperature / k / discretisation / CHAINS))


def test_small_steps_sample_the_tempered_likelihood_times_the_untempered_prior():
    # exp(-c x^2 / (2 T)) exp(-lambda x^2 / 2) has the variance 1 / (c / T + lambda), not T / (c + lambda).
    x, _ = stationary(StochasticGradientHMC(0.01, 0.2, 0.4, 5.0), 2.5, 0.0, 300)
    assert float(x.var()) == pytest.approx(1 / (2.5 / 0.4 + 5.0), rel=BAND + 0.02)
    assert float((x**4).mean() / x.var() ** 2) == pytest.approx(3, abs=4 * math.sqrt(96 / CHAINS))


def test_two_steps_by_hand_with_a_prior_and_without_noise_of_their_own():
    # The noise of a step is known from the same stream at temperature 2, without gradient and prior, from rest.
    start, rng = {"w": torch.tensor([[1.0, -2.0]], dtype=DOUBLE)}, make_rng(3)
    still = {"w": torch.zeros(1, 2, dtype=DOUBLE)}
    noise_rule = StochasticGradientHMC(0.1, 1.0, 2.0, 0.0)
    noises = []
    for _ in range(2):
        noises.append(noise_rule.update(still, still, noise_rule.init(still), rng)[0]["w"] * math.sqrt(0.3))
    rule, rng = StochasticGradientHMC(0.1, 0.3, 2.0, 0.5), make_rng(3)
    one, state = rule.update(start, {"w": torch.tensor([[3.0, 1.0]], dtype=DOUBLE)}, rule.init(start), rng)
    # v = -0.1 (g + 2 * 0.5 theta) + noise = -0.1 (4, -1)
    velocity = torch.tensor([[-0.4, 0.1]], dtype=DOUBLE) + noises[0]
    torch.testing.assert_close(one["w"], start["w"] + velocity, rtol=0, atol=1e-14)
    two, state = rule.update(one, {"w": torch.tensor([[-1.0, 2.0]], dtype=DOUBLE)}, state, rng)
    pushed = 0.7 * velocity - 0.1 * (torch.tensor([[-1.0, 2.0]], dtype=DOUBLE) + one["w"]) + noises[1]
    torch.testing.assert_close(two["w"], one["w"] + pushed, rtol=0, atol=1e-14)
    assert state.updates == 2


def walk(rule, steps=20):
    params, rng = {"w": normal(3, 2, 4), "b": normal(3, 5)}, make_rng(1)
    state = rule.init(params)
    for _ in range(steps):
        grads = {name: (leaf - 0.3).sin() for name, leaf in params.items()}
        params, state = rule.update(params, grads, state, rng)
    return params


@pytest.mark.parametrize(
    ("special", "plain"),
    [
        (StochasticGradientHMC(Exponential(0.2, 0.9), 1.0, 0.3, 0.0), Langevin(Exponential(0.2, 0.9), 0.3)),
        (StochasticGradientHMC(Exponential(0.2, 0.9), 0.4, 0.0, 3.0), Momentum(Exponential(0.2, 0.9), 0.6)),
    ],
    ids=["friction 1 is Langevin", "temperature 0 is heavy ball"],
)
def test_the_special_cases_are_the_rules_they_are_said_to_be(special, plain):
    got, expected = walk(special), walk(plain)
    for name, leaf in expected.items():
        torch.testing.assert_close(got[name], leaf, rtol=0, atol=1e-13)


def test_step_size_and_temperature_follow_their_schedules():
    rule = StochasticGradientHMC(Exponential(0.4, 0.5), 0.3, Cosine(0.8, 0.2, 2), 0.0)
    params = {"x": torch.zeros(CHAINS, 1, dtype=DOUBLE)}
    state, rng, kept = rule.init(params), make_rng(3), 0.0
    for step_size, temperature in [(0.4, 0.8), (0.2, 0.5), (0.1, 0.2)]:
        assert rule.diagnostics(state) == pytest.approx({"step_size": step_size, "temperature": temperature})
        _, state = rule.update(params, params, state, rng)
        kept = 0.49 * kept + 2 * 0.3 * step_size * temperature
        assert float(state.velocity["x"].var()) / kept == pytest.approx(1, abs=BAND)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: StochasticGradientHMC(0.0, 0.1, 0.1), "step size of stochastic gradient HMC must be positive"),
        (lambda: StochasticGradientHMC(0.1, 0.0, 0.1), r"friction of .* must lie in \(0, 1\], found 0.0"),
        (lambda: StochasticGradientHMC(0.1, 1.5, 0.1), r"friction of .* must lie in \(0, 1\], found 1.5"),
        (lambda: StochasticGradientHMC(0.1, 0.1, -0.1), "temperature of stochastic gradient HMC must be at least 0"),
        (lambda: StochasticGradientHMC(0.1, 0.1, 0.1, -1.0), "prior precision of .* at least 0 and finite, found -1.0"),
    ],
)
def test_arguments_outside_their_range_are_refused(build, message):
    with pytest.raises(InvalidInputError, match=message):
        build()
