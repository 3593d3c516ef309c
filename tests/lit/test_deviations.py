"""Generators that leave the data, and what the search for deviations makes of them."""

import pytest
import torch

from mixnash.lit.deviations import SearchPlan, measure_gap
from training import adam_dynamics, mixed_gan, ring

PLAN = SearchPlan(
    (0, 2), starts=1, train_samples=16, generator_samples=8, samples=32, search_batches=2, score_batches=3
)


def value_of_generators_at(place: float, plan: SearchPlan) -> float:
    torch.manual_seed(3)
    module = mixed_gan(adam_dynamics())
    population = module.generators.population()
    last = max(name for name in population.params if name.endswith("bias"))
    population.params[last].fill_(place)
    found = measure_gap(module, ring(), plan, seed=1, step=0, averaged=False)
    return found.value.value


def test_beyond_the_box_of_the_data_it_makes_no_difference_how_far_away_a_generator_is():
    near, far = value_of_generators_at(1e3, PLAN), value_of_generators_at(1e6, PLAN)
    assert near == pytest.approx(far, abs=1e-6)


def test_a_wider_box_lets_generators_go_further():
    narrow, wide = value_of_generators_at(1e3, PLAN), value_of_generators_at(1e3, PLAN._replace(margin=5.0))
    assert abs(narrow - wide) > 0.05
