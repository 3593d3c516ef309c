"""Populations as modules, and the moving average of their positions."""

import pytest
import torch

from mixnash.core.dynamics.birth_death import BirthDeath
from mixnash.core.dynamics.simultaneous import Simultaneous
from mixnash.core.errors import InvalidInputError
from mixnash.core.population import make_population
from mixnash.core.rules.adam import Adam
from mixnash.core.rules.entropic import EntropicMirrorDescent
from mixnash.lit.particles import AveragedParams, ParticleStore
from training import adam_dynamics, assert_same, largest_difference, make_trainer, mixed_gan, ring, rules, wgan


def population(shift=0.0):
    params = {"layers.0.weight": torch.arange(12.0).reshape(3, 2, 2) + shift, "scale": torch.ones(3, 1) * shift}
    return make_population(params, torch.tensor([0.5, 0.0, -1.0]) * (1 + shift))


def test_store_returns_the_population_it_was_given():
    assert_same(ParticleStore(population()).population()._asdict(), population()._asdict())


def test_store_takes_over_a_new_population_and_saves_it():
    store = ParticleStore(population())
    store.assign(population(2.0))
    assert_same(store.population()._asdict(), population(2.0)._asdict())
    other = ParticleStore(population())
    other.load_state_dict(store.state_dict())
    assert_same(other.population()._asdict(), population(2.0)._asdict())


def test_population_of_a_store_needs_no_gradient_although_its_parameters_do():
    store = ParticleStore(population())
    assert all(parameter.requires_grad for parameter in store.parameters())
    assert not any(leaf.requires_grad for leaf in store.population().params.values())


def test_average_follows_its_warm_up_by_hand():
    average = AveragedParams({"a.b": torch.tensor([[1.0], [10.0]])}, 0.25)
    average.update({"a.b": torch.tensor([[2.0], [20.0]])}, 1)  # (1 + 1) / (10 + 1) = 2/11 of the old value
    first = torch.tensor([[2 / 11 * 1 + 9 / 11 * 2], [2 / 11 * 10 + 9 / 11 * 20]])
    assert torch.allclose(average.params()["a.b"], first)
    average.update({"a.b": torch.tensor([[4.0], [0.0]])}, 2)  # 3/12 is the decay itself
    second = 0.25 * first + 0.75 * torch.tensor([[4.0], [0.0]])
    assert torch.allclose(average.params()["a.b"], second)
    average.update({"a.b": torch.tensor([[0.0], [0.0]])}, 50)  # 51/60 would be more than the decay
    assert torch.allclose(average.params()["a.b"], 0.25 * second)


def test_average_starts_anew_where_a_particle_takes_the_place_of_another():
    average = AveragedParams({"a": torch.tensor([[1.0], [10.0], [5.0]])}, 0.25)
    came = torch.tensor([False, True, False])
    average.update({"a": torch.tensor([[2.0], [-7.0], [9.0]])}, 50, came)
    assert torch.equal(average.params()["a"], torch.tensor([[1.75], [-7.0], [8.0]]))
    average.update({"a": torch.tensor([[2.0], [-3.0], [9.0]])}, 51, came.logical_not().logical_and(came))
    assert torch.allclose(average.params()["a"], torch.tensor([[1.9375], [-4.0], [8.75]]))


def test_average_leaves_the_positions_it_started_from_alone():
    start = {"a": torch.ones(2, 1)}
    AveragedParams(start, 0.5).update({"a": torch.zeros(2, 1)}, 3)
    assert torch.equal(start["a"], torch.ones(2, 1))


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_average_refuses_a_decay_outside_its_range(decay):
    with pytest.raises(InvalidInputError, match=rf"must lie in \[0, 1\), found {decay}"):
        AveragedParams({"a": torch.ones(2)}, decay)


@pytest.mark.parametrize("make", [lambda: mixed_gan(adam_dynamics(), ema_decay=0.0), lambda: wgan(ema_decay=0.0)])
def test_without_decay_the_average_is_the_last_iterate(make, tmp_path):
    module = make()
    make_trainer(tmp_path, 3).fit(module, datamodule=ring())
    assert_same(module.profile(True).generators.params, module.profile(False).generators.params)


def test_training_averages_no_newborn_generator_with_the_one_whose_place_it_took(tmp_path):
    base = Simultaneous(rules(Adam(2e-3), EntropicMirrorDescent(30.0)), rules(Adam(1e-3)))
    module = mixed_gan(BirthDeath(base, 4, 0.15, jitter=0.5, critics=False), ema_decay=0.999)
    make_trainer(tmp_path, 4).fit(module, datamodule=ring())
    averaged, last = (module.profile(kind).generators.params for kind in (True, False))
    same = torch.stack([(averaged[name] == leaf).flatten(1).all(1) for name, leaf in last.items()]).all(0)
    assert 0 < int(same.sum()) < len(same)


@pytest.mark.parametrize("make", [lambda: mixed_gan(adam_dynamics(2)), lambda: wgan(2)], ids=["MixedGAN", "WGAN"])
def test_training_averages_the_generators_once_per_step_and_no_critic(make, tmp_path):
    module = make()
    expected = AveragedParams(module.profile(False).generators.params, 0.9)
    for steps in (1, 2, 3):  # one trainer per step: each run repeats the steps of the one before
        module = make()
        make_trainer(tmp_path, steps).fit(module, datamodule=ring())
        expected.update(module.profile(False).generators.params, steps)
    assert largest_difference(expected.params(), module.profile(True).generators.params) < 1e-7
    assert largest_difference(expected.params(), module.profile(False).generators.params) > 1e-4
    assert_same(module.profile(True).critics._asdict(), module.profile(False).critics._asdict())
