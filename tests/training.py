"""Small models, data and trainers that the tests of the Lightning shell share."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
import yaml
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
from mixnash.lit.checkpoint_plugin import CheckpointFiles
from mixnash.lit.mgan import MGAN
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


GENERATOR_ADAM, CRITIC_ADAM = torch_adam(2e-3), torch_adam(1e-3)
"""torch's twins of the rules in `adam_dynamics`."""


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
    generator_optimizer: MakeOptimizer = GENERATOR_ADAM,
    critic_optimizer: MakeOptimizer = CRITIC_ADAM,
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


def mgan(
    num_generators: int = 3,
    diversity: float = 0.01,
    critic_steps: int = 1,
    samples_per_generator: int | None = 8,
    generator_optimizer: MakeOptimizer = GENERATOR_ADAM,
    critic_optimizer: MakeOptimizer = CRITIC_ADAM,
    ema_decay: float = 0.9,
) -> MGAN:
    """A small MGAN of two hidden layers each, initialised the same at every call."""
    with torch.random.fork_rng():
        torch.manual_seed(11)
        return MGAN(
            (2,),
            generator_optimizer,
            critic_optimizer,
            num_generators,
            3,
            8,
            2,
            8,
            2,
            diversity=diversity,
            critic_steps=critic_steps,
            samples_per_generator=samples_per_generator,
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
    precision: Any = "32-true",
) -> pl.Trainer:
    """A quiet trainer on one CPU process that counts steps, as the command's does."""
    return pl.Trainer(
        accelerator="cpu",
        devices=1,
        max_steps=steps,
        precision=precision,
        callbacks=list(callbacks),
        logger=list(loggers),
        log_every_n_steps=log_every,
        check_val_every_n_epoch=None,
        val_check_interval=evaluate_every or steps,
        limit_val_batches=1.0 if evaluate_every else 0,
        num_sanity_val_steps=0,
        enable_checkpointing=any(isinstance(one, pl.callbacks.Checkpoint) for one in callbacks),
        enable_progress_bar=any(isinstance(one, pl.callbacks.ProgressBar) for one in callbacks),
        enable_model_summary=False,
        use_distributed_sampler=False,
        plugins=[CheckpointFiles()],
        default_root_dir=folder,
    )


TINY = """
experiment: tiny
trainer:
  accelerator: cpu
  devices: 1
  max_steps: 3
  val_check_interval: 2
  log_every_n_steps: 1
  callbacks: # no pictures: they take longer than the run
    - class_path: pytorch_lightning.callbacks.ModelCheckpoint
      init_args:
        monitor: val/sliced_wasserstein2
        mode: min
        filename: best-{step}
        enable_version_counter: false
    - class_path: mixnash.lit.callbacks.last_checkpoint.LastCheckpoint
data:
  class_path: mixnash.data.mixtures.PresetMixture
  init_args: {preset: pacgan-ring, batch_size: 16, validation_size: 40}
model:
  class_path: mixnash.lit.mixed_gan.MixedGAN
  init_args:
    num_generators: 4
    num_critics: 2
    generator: {class_path: mixnash.networks.mlp.MLPGenerator, init_args: {width: 8, depth: 1}}
    critic: {class_path: mixnash.networks.mlp.MLPCritic, init_args: {width: 8, depth: 1}}
    game:
      class_path: mixnash.core.games.wasserstein.Wasserstein
      init_args: {constraint: {class_path: mixnash.core.games.constraints.GradientPenalty, init_args: {weight: 0.7}}}
    dynamics:
      class_path: mixnash.core.dynamics.alternating.Alternating
      init_args:
        critic_steps: 2
        generators: &rules
          position: {class_path: mixnash.core.rules.adam.Adam, init_args: {step_size: 1.0e-3}}
          weights: {class_path: mixnash.core.rules.entropic.EntropicMirrorDescent, init_args: {step_size: 0.1}}
        critics: *rules
"""
"""An experiment of a second."""


def tiny_config(folder: Path, changes: Mapping[str, Any] | None = None) -> Path:
    """Write the tiny experiment to a file, with some of its entries changed or added."""
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(_merged(yaml.safe_load(TINY), {} if changes is None else changes)))
    return path


def _merged(base: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    new = dict(base)
    for name, value in changes.items():
        inside = new.get(name)
        replace = not isinstance(value, Mapping) or not isinstance(inside, dict) or "class_path" in value
        new[name] = value if replace else _merged(inside, value)
    return new


class SaveAt(pl.Callback):
    """Saves a checkpoint once after `steps` steps, whatever else is saved."""

    def __init__(self, steps: int, path: Path) -> None:
        self._steps, self._path = steps, path

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save when the time has come."""
        del pl_module, outputs, batch, batch_idx
        if trainer.global_step == self._steps:
            trainer.save_checkpoint(self._path)


class KeepState(pl.Callback):
    """Writes what each process holds at the end of training to `folder/rank_N.pt`."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write parameters, weights, averages and the dynamics' state."""
        state: dict[str, Any] = {"state_dict": pl_module.state_dict()}
        pl_module.on_save_checkpoint(state)
        torch.save(state, self._folder / f"rank_{trainer.global_rank}.pt")


class PowerCutError(Exception):
    """The machine is gone."""


class PowerCut(pl.Callback):
    """Ends a run without warning before its step number `at`, counted from 0."""

    def __init__(self, at: int) -> None:
        self._at = at

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Raise when the time has come."""
        del pl_module, batch, batch_idx
        if trainer.global_step == self._at:
            raise PowerCutError


def assert_same(left: Any, right: Any, path: str = "") -> None:
    """Both trees of dictionaries, sequences, tensors and numbers are equal, bit for bit."""
    assert type(left) is type(right), f"{path}: {left} and {right}"
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
