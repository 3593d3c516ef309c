"""Position rules: torch.optim where it has the rule, exact stationary laws where it has not."""

import math

import pytest
import torch

from mixnash.core.errors import InvalidInputError
from mixnash.core.rules.adam import Adam
from mixnash.core.rules.langevin import Langevin, LangevinState
from mixnash.core.rules.preconditioned_langevin import PreconditionedLangevin, PreconditionedLangevinState
from mixnash.core.rules.rmsprop import RMSProp
from mixnash.core.rules.sgd import SGD
from mixnash.core.schedules import Constant, Cosine, Exponential, Polynomial
from problems import DOUBLE, make_rng, normal

SCHEDULE = Polynomial(0.3, 0.7, timescale=5.0)
# Ours, torch's, and the schedule that torch's step size of 1 is multiplied with.
PAIRS = {
    "SGD": (SGD(0.07), torch.optim.SGD, {}, Constant(0.07)),
    "SGD, scheduled": (SGD(SCHEDULE), torch.optim.SGD, {}, SCHEDULE),
    "Adam": (Adam(0.03, 0.5, 0.95, 1e-3), torch.optim.Adam, {"betas": (0.5, 0.95), "eps": 1e-3}, Constant(0.03)),
    "Adam without momentum": (Adam(0.03), torch.optim.Adam, {"betas": (0.0, 0.9)}, Constant(0.03)),
    "Adam, scheduled": (Adam(SCHEDULE, 0.9, 0.99), torch.optim.Adam, {"betas": (0.9, 0.99)}, SCHEDULE),
    "RMSProp": (RMSProp(0.02, 0.9, 1e-3), torch.optim.RMSprop, {"alpha": 0.9, "eps": 1e-3}, Constant(0.02)),
    "RMSProp, scheduled": (RMSProp(SCHEDULE), torch.optim.RMSprop, {"alpha": 0.99}, SCHEDULE),
}


def start():
    return {"w": normal(3, 2, 4), "b": normal(3, 5)}


def gradient(params):
    """Of a smooth loss without symmetries, with scales from 1e-2 to 1e2."""
    return {
        name: (leaf - 0.3).sin() * torch.logspace(-2, 2, leaf.numel(), dtype=DOUBLE).reshape(leaf.shape)
        for name, leaf in params.items()
    }


def follow(rule, params, steps, rng=None):
    state, rng = rule.init(params), make_rng(0) if rng is None else rng
    for _ in range(steps):
        params, state = rule.update(params, gradient(params), state, rng)
    return params, state


@pytest.mark.parametrize(("rule", "kind", "arguments", "schedule"), PAIRS.values(), ids=PAIRS)
def test_a_rule_makes_the_steps_of_torch_optim(rule, kind, arguments, schedule):
    leaves = {name: leaf.clone().requires_grad_() for name, leaf in start().items()}
    optimiser = kind(list(leaves.values()), lr=1.0, **arguments)
    for step in range(50):
        optimiser.param_groups[0]["lr"] = schedule(step)
        for name, grad in gradient({name: leaf.detach() for name, leaf in leaves.items()}).items():
            leaves[name].grad = grad
        optimiser.step()
    ours, state = follow(rule, start(), 50)
    assert state.updates == 50
    for name, leaf in ours.items():
        assert not torch.allclose(leaf, start()[name])
        torch.testing.assert_close(leaf, leaves[name].detach(), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(
    "rule", [SGD(0.1), Adam(0.1, 0.5), RMSProp(0.1), Langevin(0.1, 0.0), PreconditionedLangevin(0.1, 0.0)]
)
def test_a_stacked_population_moves_as_its_particles_would_alone(rule):
    grads = [{"w": normal(3, 2, 4, key=1 + t), "b": normal(3, 5, key=1 + t)} for t in range(5)]

    def walk(part):
        params = {name: leaf[part] for name, leaf in start().items()}
        state = rule.init(params)
        for one in grads:
            params, state = rule.update(params, {name: leaf[part] for name, leaf in one.items()}, state, make_rng(0))
        return params

    together = walk(slice(None))
    for k in range(3):
        for name, leaf in walk(slice(k, k + 1)).items():
            torch.testing.assert_close(leaf[0], together[name][k], rtol=0, atol=1e-14)


def test_sgd_with_a_geometric_schedule_stops_at_the_limit_of_the_series():
    rule, params = SGD(Exponential(0.8, 0.5)), {"x": torch.zeros(1, 1, dtype=DOUBLE)}
    state = rule.init(params)
    for _ in range(60):
        params, state = rule.update(params, {"x": torch.ones(1, 1, dtype=DOUBLE)}, state, make_rng(0))
    assert float(params["x"]) == pytest.approx(-1.6, abs=1e-12)


# ---------------------------------------------------------------------- temperature zero


def test_langevin_at_temperature_zero_is_sgd_bit_for_bit():
    sgd, _ = follow(SGD(SCHEDULE), start(), 20)
    cold, _ = follow(Langevin(SCHEDULE, 0.0), start(), 20)
    assert all(torch.equal(sgd[name], cold[name]) for name in sgd)


def test_preconditioned_langevin_at_temperature_zero_is_rmsprop():
    rmsprop, _ = follow(RMSProp(SCHEDULE, 0.8, 1e-3), start(), 20)
    cold, _ = follow(PreconditionedLangevin(SCHEDULE, 0.0, 0.8, 1e-3), start(), 20)
    for name, leaf in rmsprop.items():
        torch.testing.assert_close(leaf, cold[name], rtol=0, atol=1e-14)


# ---------------------------------------------------------------------- stationary laws

CHAINS = 40000
BAND = 4 * math.sqrt(2 / CHAINS)
"""Four standard errors of a Gaussian's variance, relative."""


def stationary(rule, state, curvature, steps, noise=0.0):
    """Many one-dimensional chains on the loss curvature x^2 / 2, with gradient noise of a standard deviation."""
    rng, params = make_rng(11), {"x": torch.full((CHAINS, 1), 0.5, dtype=DOUBLE)}
    for _ in range(steps):
        extra = noise * torch.randn(CHAINS, 1, generator=rng, dtype=DOUBLE)
        params, state = rule.update(params, {"x": curvature * params["x"] + extra}, state, rng)
    return params["x"]


@pytest.mark.parametrize(
    ("curvature", "step_size", "temperature"), [(2.5, 0.3, 0.4), (0.7, 2.0, 3.0), (4.0, 0.1, 0.05)]
)
def test_langevin_has_the_stationary_law_of_its_discretisation(curvature, step_size, temperature):
    assert abs(1 - step_size * curvature) <= 0.6  # 60 steps forget the start
    x = stationary(Langevin(step_size, temperature), LangevinState(0), curvature, 60)
    variance = temperature / (curvature * (1 - step_size * curvature / 2))
    assert float(x.var()) / variance == pytest.approx(1, abs=BAND)
    assert float(x.mean()) == pytest.approx(0, abs=4 * math.sqrt(variance / CHAINS))
    fourth = float((x**4).mean()) / variance**2
    assert fourth == pytest.approx(3, abs=4 * math.sqrt(96 / CHAINS))  # Gaussian: variance of x^4 is 105 - 9


def test_langevin_reaches_its_law_at_the_rate_of_an_autoregression():
    curvature, step_size, temperature, steps = 1.0, 0.1, 2.0, 7
    x = stationary(Langevin(step_size, temperature), LangevinState(0), curvature, steps)
    forget = (1 - step_size * curvature) ** steps
    limit = temperature / (curvature * (1 - step_size * curvature / 2))
    assert float(x.var()) / (limit * (1 - forget**2)) == pytest.approx(1, abs=BAND)
    assert float(x.mean()) == pytest.approx(0.5 * forget, abs=4 * math.sqrt(limit / CHAINS))


def test_gradient_noise_heats_langevin_as_computed():
    curvature, step_size, temperature, noise = 2.5, 0.3, 0.4, 1.5
    x = stationary(Langevin(step_size, temperature), LangevinState(0), curvature, 60, noise)
    variance = (2 + step_size * noise**2 / temperature) * temperature / (curvature * (2 - step_size * curvature))
    assert float(x.var()) / variance == pytest.approx(1, abs=BAND)


def test_preconditioned_langevin_with_a_frozen_preconditioner_has_its_stationary_law():
    curvature, step_size, temperature, epsilon, square = 2.5, 0.4, 0.3, 0.2, 1.69
    rule = PreconditionedLangevin(step_size, temperature, 1 - 1e-12, epsilon)
    state = PreconditionedLangevinState(0, {"x": torch.full((CHAINS, 1), square, dtype=DOUBLE)})
    x = stationary(rule, state, curvature, 80)
    preconditioner = 1 / (math.sqrt(square) + epsilon)
    variance = temperature / (curvature * (1 - step_size * preconditioner * curvature / 2))
    assert float(x.var()) / variance == pytest.approx(1, abs=BAND)


@pytest.mark.parametrize("rule", [Langevin(0.1, 0.5), PreconditionedLangevin(0.1, 0.5, 0.9, 0.1)])
def test_noise_differs_between_particles_leaves_and_updates_and_repeats_with_its_stream(rule):
    params = {"a": torch.zeros(2, 3, dtype=DOUBLE), "b": torch.zeros(2, 3, dtype=DOUBLE)}
    rng = make_rng(1)
    first, state = rule.update(params, params, rule.init(params), rng)
    second, _ = rule.update(params, params, state, rng)
    draws = torch.cat([one[name].flatten() for one in (first, second) for name in ("a", "b")])
    assert len(draws.unique()) == 24
    again, _ = rule.update(params, params, rule.init(params), make_rng(1))
    assert all(torch.equal(first[name], again[name]) for name in params)


def test_the_noise_of_preconditioned_langevin_is_scaled_by_the_root_of_the_preconditioner():
    square = torch.tensor([0.01, 1.0, 25.0], dtype=DOUBLE)
    params = {"x": torch.zeros(CHAINS, 3, dtype=DOUBLE)}
    state = PreconditionedLangevinState(0, {"x": square.expand(CHAINS, 3)})
    rule = PreconditionedLangevin(0.3, 0.7, 1 - 1e-12, 0.5)
    moved, _ = rule.update(params, {"x": torch.zeros(CHAINS, 3, dtype=DOUBLE)}, state, make_rng(2))
    expected = 2 * 0.3 * 0.7 / (square.sqrt() + 0.5)
    assert bool(((moved["x"].var(0) / expected - 1).abs() < BAND).all())


def test_temperature_follows_its_own_schedule():
    rule = Langevin(Exponential(0.4, 0.5), Cosine(0.8, 0.2, 2))
    params = {"x": torch.zeros(CHAINS, 1, dtype=DOUBLE)}
    state, rng = rule.init(params), make_rng(3)
    for step_size, temperature in [(0.4, 0.8), (0.2, 0.5), (0.1, 0.2)]:
        assert rule.diagnostics(state) == pytest.approx({"step_size": step_size, "temperature": temperature})
        moved, state = rule.update(params, params, state, rng)
        assert float(moved["x"].var()) / (2 * step_size * temperature) == pytest.approx(1, abs=BAND)


# ---------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: SGD(0.0), "step size of SGD must be positive"),
        (lambda: Adam(-0.1), "step size of Adam must be positive"),
        (lambda: Adam(0.1, beta1=1.0), r"Adam's beta1 must lie in \[0, 1\), found 1.0"),
        (lambda: Adam(0.1, beta2=-0.5), r"Adam's beta2 must lie in \[0, 1\), found -0.5"),
        (lambda: Adam(0.1, epsilon=0.0), "Adam's epsilon must be positive, found 0.0"),
        (lambda: RMSProp(0.0), "step size of RMSProp must be positive"),
        (lambda: RMSProp(0.1, decay=1.0), r"RMSProp's decay must lie in \[0, 1\), found 1.0"),
        (lambda: RMSProp(0.1, epsilon=-1.0), "RMSProp's epsilon must be positive, found -1.0"),
        (lambda: Langevin(0.0, 0.1), "step size of Langevin dynamics must be positive"),
        (lambda: Langevin(0.1, -0.1), "temperature of Langevin dynamics must be at least 0"),
        (lambda: PreconditionedLangevin(0.0, 0.1), "step size of preconditioned Langevin dynamics must be positive"),
        (
            lambda: PreconditionedLangevin(0.1, -0.1),
            "temperature of preconditioned Langevin dynamics must be at least 0",
        ),
        (lambda: PreconditionedLangevin(0.1, 0.1, 1.5), r"preconditioner's decay must lie in \[0, 1\), found 1.5"),
        (lambda: PreconditionedLangevin(0.1, 0.1, 0.9, 0.0), "preconditioner's epsilon must be positive, found 0.0"),
    ],
)
def test_a_rule_refuses_arguments_outside_their_range(build, message):
    with pytest.raises(InvalidInputError, match=message):
        build()
