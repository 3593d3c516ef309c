"""Merging coincident particles and dropping light ones."""

import pytest
import torch

from mixnash.core.errors import InvalidInputError
from mixnash.core.population import make_population, merge, prune, weights
from mixnash.core.types import Population
from problems import DOUBLE, normal, vectors


def around_the_circle(end, start):
    step = end - start
    return step - step.round()


def test_coincident_particles_become_one_at_the_heaviest():
    merged = merge(vectors([0.0], [1.0], [0.01], [1.02], weights=[0.1, 0.2, 0.3, 0.4]), 0.05)
    assert merged.params["vector"].flatten().tolist() == [0.01, 1.02]
    torch.testing.assert_close(weights(merged), torch.tensor([0.4, 0.6], dtype=DOUBLE))


def test_a_chain_is_not_swallowed_whole():
    """Only what is within the radius of a group's own centre belongs to it."""
    merged = merge(vectors([0.0], [0.9], [1.8], weights=[0.5, 0.3, 0.2]), 1.0)
    assert merged.params["vector"].flatten().tolist() == [0.0, 1.8]
    torch.testing.assert_close(weights(merged), torch.tensor([0.8, 0.2], dtype=DOUBLE))


def test_distances_run_over_all_leaves():
    leaves = {"a": torch.tensor([[0.0], [0.3]], dtype=DOUBLE), "b": torch.tensor([[[0.0]], [[0.4]]], dtype=DOUBLE)}
    assert len(merge(make_population(leaves), 0.49).log_weights) == 2
    assert len(merge(make_population(leaves), 0.51).log_weights) == 1


def test_leaves_stay_together():
    leaves = {"a": normal(4, 2, 3), "b": normal(4, key=1)}
    leaves = {name: torch.cat([leaf, leaf + 1e-9]) for name, leaf in leaves.items()}
    merged = merge(make_population(leaves, normal(8, key=2)), 1e-6)
    assert merged.params["a"].shape == (4, 2, 3)
    # Centres keep their order, whichever copy is the heavier.
    pairs = {(float(a), float(b)) for a, b in zip(leaves["a"][:, 0, 0], leaves["b"], strict=True)}
    assert {(float(a), float(b)) for a, b in zip(merged.params["a"][:, 0, 0], merged.params["b"], strict=True)} <= pairs
    both = weights(make_population(leaves, normal(8, key=2))).reshape(2, 4).sum(0)
    torch.testing.assert_close(weights(merged).sort().values, both.sort().values)


def test_the_seam_of_a_torus_is_no_distance():
    circle = vectors([0.0], [1 - 1e-9], [0.5], weights=[0.3, 0.2, 0.5])
    assert len(merge(circle, 1e-6).log_weights) == 3
    merged = merge(circle, 1e-6, around_the_circle)
    assert merged.params["vector"].flatten().tolist() == [0.0, 0.5]
    torch.testing.assert_close(weights(merged), torch.tensor([0.5, 0.5], dtype=DOUBLE))


def test_weights_are_added_before_they_are_normalised():
    """Unnormalised log-weights far outside the range of exp: 2 e^800 against e^800."""
    raw = Population(vectors([0.0], [0.0], [1.0]).params, torch.full((3,), 800.0, dtype=DOUBLE))
    torch.testing.assert_close(weights(merge(raw, 0.1)), torch.tensor([2 / 3, 1 / 3], dtype=DOUBLE))


def test_a_zero_radius_merges_exact_copies_only():
    merged = merge(vectors([0.0], [1e-9], [0.0]), 0.0)
    assert merged.params["vector"].flatten().tolist() == [0.0, 1e-9]


def test_merging_and_pruning_leave_their_argument_alone():
    population = vectors([0.0], [0.0], [1.0], weights=[0.5, 0.3, 0.2])
    before = population.log_weights.clone()
    merge(population, 0.1), prune(population, 0.25)
    assert torch.equal(population.log_weights, before)
    assert population.params["vector"].shape == (3, 1)


def test_pruning_drops_light_particles_and_rescales_the_rest():
    pruned = prune(vectors([0.0], [1.0], [2.0], [3.0], weights=[0.5, 0.04, 0.3, 0.16]), 0.05)
    assert pruned.params["vector"].flatten().tolist() == [0.0, 2.0, 3.0]
    torch.testing.assert_close(weights(pruned), torch.tensor([0.5, 0.3, 0.16], dtype=DOUBLE) / 0.96)


def test_pruning_keeps_the_heaviest_particle_always():
    pruned = prune(vectors([0.0], [1.0], [2.0], weights=[0.3, 0.4, 0.3]), 0.9)
    assert pruned.params["vector"].tolist() == [[1.0]]
    assert weights(pruned).tolist() == [1.0]


def test_pruning_at_zero_drops_particles_without_weight():
    raw = Population(vectors([0.0], [1.0]).params, torch.tensor([0.0, -torch.inf], dtype=DOUBLE))
    assert prune(raw, 0.0).params["vector"].tolist() == [[0.0]]


def test_impossible_arguments_are_refused():
    with pytest.raises(InvalidInputError, match=r"at least 0, found -1.0"):
        merge(vectors([0.0]), -1.0)
    with pytest.raises(InvalidInputError, match=r"at least 0 and below 1, found 1.0"):
        prune(vectors([0.0]), 1.0)
