"""Populations: stacking, weights, entropy, effective size, multinomial counts."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mixnash.core.errors import InvalidInputError
from mixnash.core.population import (
    effective_size,
    entropy,
    make_population,
    particle,
    size,
    stack,
    stored_numbers,
    uniform_log_weights,
    weights,
)
from problems import DOUBLE, make_rng

LOG_WEIGHTS = st.lists(st.floats(-30, 30), min_size=1, max_size=6).map(lambda one: torch.tensor(one, dtype=DOUBLE))


def points(count):
    return {"a": torch.arange(2.0 * count, dtype=DOUBLE).reshape(count, 2), "b": torch.zeros(count, 3, 1, dtype=DOUBLE)}


def test_particle_undoes_stack():
    particles = [
        {"a": torch.randn(2, 3, generator=make_rng(k)), "b": torch.randn((), generator=make_rng(9, k))}
        for k in range(3)
    ]
    stacked = stack(particles)
    assert stacked["a"].shape == (3, 2, 3)
    assert stacked["b"].shape == (3,)
    for k, one in enumerate(particles):
        assert all(torch.equal(particle(stacked, k)[name], leaf) for name, leaf in one.items())


def test_stack_refuses_no_particles():
    with pytest.raises(InvalidInputError, match="at least one particle, found none"):
        stack([])


@pytest.mark.parametrize(
    "odd", [{"a": torch.zeros(3)}, {"b": torch.zeros(2)}, {"a": torch.zeros(2), "b": torch.zeros(1)}]
)
def test_stack_names_the_particle_of_another_architecture(odd):
    with pytest.raises(InvalidInputError, match="particle 2 differs from particle 0"):
        stack([{"a": torch.zeros(2)}, {"a": torch.ones(2)}, odd])


def test_weights_of_a_population_are_equal_unless_given():
    population = make_population(points(5))
    assert size(population) == 5
    assert population.log_weights.dtype == DOUBLE
    torch.testing.assert_close(weights(population), torch.full((5,), 0.2, dtype=DOUBLE))


def test_weights_of_a_population_are_normalised():
    population = make_population(points(3), torch.tensor([0.2, 0.5, 1.8], dtype=DOUBLE).log())
    torch.testing.assert_close(weights(population), torch.tensor([0.08, 0.2, 0.72], dtype=DOUBLE))


def test_uniform_log_weights_follow_the_dtype():
    got = uniform_log_weights(4, torch.zeros(1, dtype=torch.float32))
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, torch.full((4,), -math.log(4)))


@given(LOG_WEIGHTS)
def test_log_weights_of_a_population_have_logsumexp_zero(log_weights):
    population = make_population({"a": torch.zeros(len(log_weights), 2, dtype=DOUBLE)}, log_weights)
    assert abs(float(torch.logsumexp(population.log_weights, 0))) < 1e-12


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_population_refuses_log_weights_that_are_not_finite(bad):
    with pytest.raises(InvalidInputError, match="must be finite"):
        make_population(points(2), torch.tensor([0.0, bad], dtype=DOUBLE))


def test_a_population_refuses_the_wrong_number_of_log_weights():
    with pytest.raises(InvalidInputError, match=r"Expected 2 log-weights, one per particle, found shape \(3,\)"):
        make_population(points(2), torch.zeros(3, dtype=DOUBLE))


def test_a_population_refuses_leaves_of_different_lengths():
    with pytest.raises(InvalidInputError, match=r"one leading particle axis, found lengths \[2, 3\]"):
        make_population({"a": torch.zeros(2, 1), "b": torch.zeros(3, 1)})


def test_entropy_and_effective_size_of_a_known_mixture():
    log_weights = torch.tensor([0.5, 0.25, 0.25], dtype=DOUBLE).log()
    assert float(entropy(log_weights)) == pytest.approx(1.5 * math.log(2), abs=1e-12)
    assert float(effective_size(log_weights)) == pytest.approx(8 / 3, abs=1e-12)


@given(LOG_WEIGHTS)
def test_entropy_and_effective_size_stay_in_their_ranges(log_weights):
    normalised = torch.log_softmax(log_weights, 0)
    count = len(log_weights)
    assert -1e-12 <= float(entropy(normalised)) <= math.log(count) + 1e-12
    assert 1 - 1e-12 <= float(effective_size(normalised)) <= count + 1e-9
    assert math.log(float(effective_size(normalised))) <= float(entropy(normalised)) + 1e-9  # Renyi entropies decrease


def test_what_particles_share_is_counted_once():
    shared = torch.zeros(2, 5).expand(3, 2, 5)
    assert stored_numbers({"own": torch.zeros(3, 4), "shared": shared}) == 12 + 10
    assert stored_numbers({"alone": torch.zeros(1, 1, 7)}) == 7
