"""Small models, data and trainers that the tests of the Lightning shell share."""

import copy
from collections.abc import Callable, Sequence
from pathlib import Path

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import Logger
from torch import Tensor

from mixnash.core.dynamics.alternating import Alternating
from mixnash.core.dynamics.base import AbstractDynamics
from mixnash.core.games.base import AbstractGame
from mixnash.core.games.constraints import GradientPenalty
from mixnash.core.games.wasserstein import Wasserstein
from mixnash.core.rules.adam import Adam
from mixnash.core.rules.base import AbstractPositionRule, AbstractWeightRule, PlayerRules
from mixnash.core.rules.frozen import Frozen
from mixnash.data.base import AbstractDataModule
from mixnash.data.mixtures import PresetMixture
from mixnash.lit.base import AbstractGAN
from mixnash.lit.mixed_gan import MixedGAN
from mixnash.lit.wgan import WGAN
from mixnash.networks.base import AbstractCritic, AbstractGenerator
from mixnash.networks.mlp import MLPCritic, MLPGenerator

MakeGenerator = Callable[[Sequence[int]], AbstractGenerator]
MakeCritic = Callable[[Sequence[int]], AbstractCritic]


def ring(batch_size: int = 24, validation_size: int = 60) -> PresetMixture:
    """Eight modes on a circle."""
    return PresetMixture("pacgan-ring", batch_size=batch_size, validation_size=validation_size, seed=3)


def small_generator(event_shape: Sequence[int]) -> MLPGenerator:
    """One hidden layer, three latents."""
    return MLPGenerator(event_shape, latent_dim=3, width=8, depth=1)


def small_critic(event_shape: Sequence[int]) -> MLPCritic:
    """Two hidden layers."""
    return MLPCritic(event_shape, width=8, depth=2)


def rules(position: AbstractPositionRule, weights: AbstractWeightRule | None = None) -> PlayerRules:
    """Rules of one player, with frozen weights unless given others."""
    return PlayerRules(position, Frozen() if weights is None else weights)


def adam_dynamics(critic_steps: int = 1) -> Alternating:
    """Alternating Adam with frozen weights."""
    return Alternating(rules(Adam(2e-3)), rules(Adam(1e-3)), critic_steps)


def mixed_gan(
    dynamics: AbstractDynamics,
    generators: int = 3,
    critics: int = 2,
    game: AbstractGame | None = None,
    generator: MakeGenerator = small_generator,
    critic: MakeCritic = small_critic,
    ema_decay: float = 0.9,
) -> MixedGAN:
    """A small population, initialised the same at every call."""
    game = Wasserstein(GradientPenalty(0.7)) if game is None else game
    with torch.random.fork_rng():
        torch.manual_seed(11)
        return MixedGAN(
            (2,), generator, critic, game, dynamics, generators, critics, ema_decay=ema_decay, seed=5
        )


def adam(step_size: float) -> Callable[[object], torch.optim.Adam]:
    """torch's Adam with the moments that the project's own has."""
    return lambda params: torch.optim.Adam(params, step_size, betas=(0.0, 0.9))
