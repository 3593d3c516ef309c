"""Small models, data and trainers that the tests of the Lightning shell share."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

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
from mixnash.data.mixtures import PresetMixture
from mixnash.lit.mixed_gan import MixedGAN
from mixnash.lit.wgan import WGAN
from mixnash.networks.base import AbstractCritic, AbstractGenerator
from mixnash.networks.mlp import MLPCritic, MLPGenerator

REPOSITORY = Path(__file__).parents[1]

MakeGenerator = Callable[[Sequence[int]], AbstractGenerator]
MakeCritic = Callable[[Sequence[int]], AbstractCritic]
MakeOptimizer = Callable[[Iterable[Tensor]], torch.optim.Optimizer]


def ring() -> PresetMixture:
    """Eight modes on a circle, 24 real samples per draw and 60 held out."""
    return PresetMixture("pacgan-ring", batch_size=24, validation_size=60, seed=3)


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


def torch_adam(step_size: float) -> MakeOptimizer:
    """torch's Adam with the moments that the project's own has by default."""
    return lambda params: torch.optim.Adam(params, step_size, betas=(0.0, 0.9))


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
        return MixedGAN((2,), generator, critic, game, dynamics, generators, critics, ema_decay=ema_decay, seed=5)


def wgan(
    critic_steps: int = 1,
    simultaneous: bool = False,
    clip: float | None = None,
    generator_optimizer: MakeOptimizer = torch_adam(2e-3),
    critic_optimizer: MakeOptimizer = torch_adam(1e-3),
    ema_decay: float = 0.9,
) -> WGAN:
    """A small textbook WGAN, with gradient penalty unless clipped; initialised the same at every call."""
    with torch.random.fork_rng():
        torch.manual_seed(11)
        return WGAN(
            (2,),
            small_generator,
            small_critic,
            generator_optimizer,
            critic_optimizer,
            critic_steps,
            simultaneous,
            clip,
            0.7 if clip is None else None,
            ema_decay=ema_decay,
            seed=5,
        )


def make_trainer(
    folder: Path,
    steps: int,
    callbacks: Sequence[pl.Callback] = (),
    loggers: Sequence[Logger] = (),
    evaluate_every: int | None = None,
    log_every: int = 5,
) -> pl.Trainer:
    """A quiet trainer on one CPU process that counts steps, as the command's does."""
    return pl.Trainer(
        accelerator="cpu",
        devices=1,
        max_steps=steps,
        callbacks=list(callbacks),
        logger=list(loggers),
        log_every_n_steps=log_every,
        check_val_every_n_epoch=None,
        val_check_interval=evaluate_every or steps,
        limit_val_batches=1.0 if evaluate_every else 0,
        num_sanity_val_steps=0,
        enable_checkpointing=any(isinstance(one, pl.callbacks.Checkpoint) for one in callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        default_root_dir=folder,
    )


def assert_same(left: Any, right: Any, path: str = "") -> None:
    """Both trees of dictionaries, sequences, tensors and numbers are equal, bit for bit."""
    if isinstance(left, Tensor):
        assert torch.equal(left, right), f"{path}: {(left - right).abs().max()} apart"
    elif isinstance(left, dict):
        assert left.keys() == right.keys(), f"{path}: {left.keys() ^ right.keys()}"
        for name in left:
            assert_same(left[name], right[name], f"{path}/{name}")
    elif isinstance(left, list | tuple):
        assert len(left) == len(right), path
        for index, (one, other) in enumerate(zip(left, right, strict=True)):
            assert_same(one, other, f"{path}/{index}")
    else:
        assert left == right, path


def largest_difference(left: dict[str, Tensor], right: dict[str, Tensor]) -> float:
    """The largest difference of any entry of two sets of parameters of the same names."""
    assert left.keys() == right.keys()
    return max(float((left[name] - right[name]).abs().max()) for name in left)
