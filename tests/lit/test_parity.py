"""`MixedGAN` with one particle per player is `WGAN`: two codes, one written on the core and one without it."""

from collections.abc import Sequence

import pytest
import torch

from mixnash.core.dynamics.alternating import Alternating
from mixnash.core.dynamics.base import AbstractDynamics
from mixnash.core.dynamics.simultaneous import Simultaneous
from mixnash.core.games.constraints import AbstractCriticConstraint, GradientPenalty, WeightClipping
from mixnash.core.games.wasserstein import Wasserstein
from mixnash.core.population import make_population, particle, stack
from mixnash.core.rules.adam import Adam
from mixnash.core.rules.rmsprop import RMSProp
from mixnash.lit.base import AbstractGAN
from mixnash.lit.mixed_gan import MixedGAN
from mixnash.lit.wgan import WGAN
from mixnash.networks.base import parameters_of
from training import adam_dynamics, largest_difference, make_trainer, mixed_gan, ring, rules, torch_adam, wgan

STEPS = 100


def five_critic_steps() -> tuple[WGAN, AbstractDynamics, AbstractCriticConstraint]:
    return wgan(critic_steps=5), adam_dynamics(critic_steps=5), GradientPenalty(0.7)


def clipping_with_rmsprop() -> tuple[WGAN, AbstractDynamics, AbstractCriticConstraint]:
    def optimizer(params: Sequence[torch.Tensor]) -> torch.optim.Optimizer:
        return torch.optim.RMSprop(params, 5e-4)

    dynamics = Alternating(rules(RMSProp(5e-4)), rules(RMSProp(5e-4)))
    reference = wgan(clip=0.2, generator_optimizer=optimizer, critic_optimizer=optimizer)
    return reference, dynamics, WeightClipping(0.2)


def simultaneous() -> tuple[WGAN, AbstractDynamics, AbstractCriticConstraint]:
    reference = wgan(simultaneous=True, generator_optimizer=torch_adam(1e-3), critic_optimizer=torch_adam(3e-3))
    return reference, Simultaneous(rules(Adam(1e-3)), rules(Adam(3e-3))), GradientPenalty(0.7)


def with_parameters_of(reference: WGAN, mixed: MixedGAN) -> MixedGAN:
    """The mixed GAN on copies of the reference's initial parameters."""
    generators, critics = stack([parameters_of(reference.generator)]), stack([parameters_of(reference.critic)])
    mixed.generators.assign(make_population(generators))
    mixed.critics.assign(make_population(critics))
    mixed.averaged.load_state_dict({name.replace(".", "/"): leaf for name, leaf in generators.items()})
    return mixed


def positions(module: AbstractGAN, averaged: bool) -> dict[str, torch.Tensor]:
    """Copies of both players' parameters under one roof."""
    profile = module.profile(averaged)
    players = {"generator": profile.generators, "critic": profile.critics}
    return {
        f"{player} {name}": leaf.clone()
        for player, population in players.items()
        for name, leaf in particle(population.params, 0).items()
    }


@pytest.mark.parametrize("setting", [five_critic_steps, clipping_with_rmsprop, simultaneous])
def test_mixed_gan_with_one_particle_each_stays_within_1e_5_of_wgan_for_100_steps(setting, tmp_path):
    reference, dynamics, constraint = setting()
    mixed = with_parameters_of(reference, mixed_gan(dynamics, 1, 1, Wasserstein(constraint)))
    start = positions(reference, averaged=False)
    assert largest_difference(start, positions(mixed, averaged=False)) == 0
    for module in (reference, mixed):
        make_trainer(tmp_path, STEPS).fit(module, datamodule=ring())
    assert largest_difference(start, positions(reference, averaged=False)) > 0.02
    assert largest_difference(positions(reference, averaged=False), positions(mixed, averaged=False)) < 1e-5
    assert largest_difference(positions(reference, averaged=True), positions(mixed, averaged=True)) < 1e-5
