"""A step size per particle: hand-computed spreads, equality with rules of that step size, and stationary laws."""

import pytest
import torch

from mixnash.core.errors import InvalidInputError
from mixnash.core.rules.adam import Adam
from mixnash.core.rules.langevin import Langevin
from mixnash.core.rules.momentum import Momentum
from mixnash.core.rules.per_particle import PerParticle
from mixnash.core.rules.preconditioned_langevin import PreconditionedLangevin
from mixnash.core.rules.rmsprop import RMSProp
from mixnash.core.rules.sgd import SGD
from problems import DOUBLE, make_rng, normal


def walk(rule, params, steps=4):
    """Updates on gradients of |theta|^4 / 4, with noise that depends on the number of the step alone."""
    state = rule.init(params)
    for step in range(steps):
        grads = {name: leaf**3 for name, leaf in params.items()}
        params, state = rule.update(params, grads, state, make_rng(step))
    return params


def moved(count, lowest, highest):
    """How far each of `count` particles goes on a unit gradient with step size 1."""
    rule, params = PerParticle(SGD(1.0), lowest, highest), {"w": torch.zeros(count, 2, 3, dtype=DOUBLE)}
    new, _ = rule.update(params, {"w": -torch.ones(count, 2, 3, dtype=DOUBLE)}, rule.init(params), make_rng(0))
    assert bool((new["w"] == new["w"][:, :1, :1]).all())
    return new["w"][:, 0, 0].tolist()


@pytest.mark.parametrize(
    ("count", "factors"),
    [(1, [1.5]), (2, [0.5, 4.5]), (3, [0.5, 1.5, 4.5]), (5, [0.5, 0.5 * 3**0.5, 1.5, 1.5 * 3**0.5, 4.5])],
)
def test_factors_are_spread_geometrically_whatever_the_number_of_particles(count, factors):
    assert moved(count, 0.5, 4.5) == pytest.approx(factors, rel=1e-12)


def test_equal_ends_give_every_particle_the_same_factor():
    assert moved(4, 0.7, 0.7) == pytest.approx([0.7] * 4, rel=1e-12)


RULES = {
    "SGD": lambda c: SGD(0.05 * c),
    "momentum": lambda c: Momentum(0.05 * c, -0.4),
    "RMSProp": lambda c: RMSProp(0.05 * c, 0.8),
    "Adam": lambda c: Adam(0.05 * c, 0.5, 0.8),
    "Langevin": lambda c: Langevin(0.05 * c, 0.3 * c),
    "preconditioned Langevin": lambda c: PreconditionedLangevin(0.05 * c, 0.3 * c, 0.8, 0.1),
}


@pytest.mark.parametrize("make", RULES.values(), ids=RULES)
def test_each_particle_has_the_step_size_and_with_noise_the_temperature_times_its_factor(make):
    params = {"w": normal(3, 2, 4), "b": normal(3, 5)}
    together = walk(PerParticle(make(1.0), 0.5, 2.0), params)
    for k, factor in enumerate((0.5, 1.0, 2.0)):
        alone = walk(make(factor), params)
        for name, leaf in alone.items():
            torch.testing.assert_close(together[name][k], leaf[k], rtol=0, atol=1e-12)


def test_langevin_inside_has_the_stationary_law_of_its_own_temperature():
    # On a x^2 / 2 with step h and temperature T: x <- (1 - a h) x + sqrt(2 h T) xi, of variance T / (a (1 - a h / 2)).
    curvature, step, temperature, factors = 2.0, 0.15, 0.7, torch.tensor([0.5, 1.0, 2.0], dtype=DOUBLE)
    rule, params, rng = PerParticle(Langevin(step, temperature), 0.5, 2.0), {"x": normal(3, 20_000)}, make_rng(5)
    state = rule.init(params)
    for _ in range(60):  # the slowest factor is 0.85: 0.85^60 = 6e-5
        params, state = rule.update(params, {"x": curvature * params["x"]}, state, rng)
    expected = factors * temperature / (curvature * (1 - curvature * factors * step / 2))
    assert (params["x"].var(1) / expected).tolist() == pytest.approx([1.0] * 3, abs=0.04)  # four deviations: 0.04


def test_the_state_and_the_numbers_shown_are_the_wrapped_rules():
    rule, params = PerParticle(Langevin(0.1, 0.3), 0.5, 4.0), {"w": normal(3, 2)}
    assert rule.init(params) == Langevin(0.1, 0.3).init(params)
    assert rule.diagnostics(rule.init(params)) == {"step_size": 0.1, "temperature": 0.3}


@pytest.mark.parametrize("ends", [(0.0, 1.0), (-0.5, 1.0), (2.0, 1.0), (1.0, float("inf")), (float("nan"), 1.0)])
def test_impossible_factors_are_refused(ends):
    with pytest.raises(InvalidInputError, match="must be positive and finite, the lowest first: found"):
        PerParticle(SGD(0.1), *ends)
