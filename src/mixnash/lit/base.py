"""What every trainable GAN of the project offers: samples of its mixture, and scores while training."""

import abc
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torchmetrics import MetricCollection

from mixnash.core.errors import require
from mixnash.core.games.base import AbstractGame
from mixnash.core.population import size
from mixnash.core.random import Purpose, stream
from mixnash.core.types import BOTH, Networks, Params, Player, Profile
from mixnash.data.base import CHUNK, AbstractDataModule, AbstractImageData
from mixnash.lit.checkpoints import check_fits
from mixnash.lit.draws import StepDraws
from mixnash.lit.extractors import training_extractor
from mixnash.lit.finite import FiniteGuard, check_positions
from mixnash.lit.mixed_precision import without_autocast
from mixnash.lit.observation import Observer, check_held_out, first_of_validation
from mixnash.lit.parallel.strategy import mesh_of
from mixnash.lit.parallel.traffic import Traffic
from mixnash.lit.scores import training_metrics
from mixnash.lit.step_memory import META, StepMemory, imagined, memory_of_evaluation, tensor_bytes

GENERATED_AT_ONCE = 1 << 21
"""Most numbers in samples that are generated together: 2,674 grey images of 28 pixels a side, 682 of CIFAR-10."""


class Samples(NamedTuple):
    """Draws from a mixture of generators."""

    values: Float[Tensor, "n ..."]
    """Samples [n, *event_shape]."""
    particle: Int[Tensor, " n"]
    """Which generator made each."""


class AbstractGAN(pl.LightningModule, abc.ABC):
    """Base of `WGAN`, `MGAN` and `MixedGAN`; callbacks and evaluation see no more than this."""

    validation_metrics: MetricCollection
    seed: int
    traffic: Traffic
    """What this process sent to others, and how long it waited for them."""
    _guard: FiniteGuard
    _observer: Observer

    def __init__(self) -> None:
        super().__init__()
        self.traffic = Traffic()

    @property
    @abc.abstractmethod
    def draws_per_step(self) -> int:
        """How many batches of real samples one step consumes."""

    @property
    def can_share_particles(self) -> bool:
        """Whether processes can own different particles."""
        return False

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one sample of the attached data."""
        return tuple(self.datamodule.event_shape)

    @property
    @abc.abstractmethod
    def latent_dim(self) -> int:
        """Length of a latent."""

    @property
    @abc.abstractmethod
    def game(self) -> AbstractGame:
        """What is played."""

    @property
    @abc.abstractmethod
    def networks(self) -> Networks:
        """Both architectures as functions."""

    @abc.abstractmethod
    def fresh(self, player: Player, count: int, seed: int) -> Params:
        """Newly initialised networks of a player, leaves [count, ...], on this module's device.

        The global random state stays as it was.
        """

    @abc.abstractmethod
    def profile(self, averaged: bool) -> Profile:
        """Both mixed strategies, the generators' positions averaged over steps or as they are now."""

    @abc.abstractmethod
    def generate(self, params: Params, latent: Tensor) -> Tensor:
        """One generator of parameters `params` on latents [n, latent_dim]."""

    @abc.abstractmethod
    def criticise(self, params: Params, samples: Tensor) -> Tensor:
        """One critic of parameters `params` on samples [n, *event_shape]: scores [n]."""

    @abc.abstractmethod
    def payoffs(self, real: Tensor, latent: Tensor, averaged: bool) -> Tensor:
        """The payoff matrix [K, L] on real samples [B, *event_shape] and on the latents [K, b, latent_dim]."""

    @torch.no_grad()
    def sample(self, count: int, rng: torch.Generator, particle: int | None = None, averaged: bool = True) -> Samples:
        """Independent draws from the mixture, or from one of its particles.

        Args:
            count: how many, at least 1.
            rng: on this module's device.
            particle: which generator; all by their weights if None.
            averaged: whether to use the moving average of the positions.

        Raises:
            InvalidInputError: when the particle does not exist or nothing is asked for.
        """
        generators = self.profile(averaged).generators
        particles = size(generators)
        require(count >= 1, f"At least one sample must be asked for, found {count}.")
        require(
            particle is None or 0 <= particle < particles,
            f"There is no particle {particle}: this run has {particles}, numbered from 0.",
        )
        latent = torch.randn(count, self.latent_dim, generator=rng, device=self.device)
        if particle is None:
            origin = torch.multinomial(generators.log_weights.exp(), count, replacement=True, generator=rng)
        else:
            origin = torch.full((count,), particle, device=self.device)
        return Samples(self._made(generators.params, latent, origin), origin)

    def _made(self, params: Params, latent: Tensor, origin: Tensor, first: int = 0) -> Tensor:
        """Samples [n, *event] by the generators `origin`, of which `params` holds those from `first` on.

        Rows whose generator is not among them are zero.
        """
        held = len(next(iter(params.values())))
        is_own = (origin >= first) & (origin < first + held)
        values: Tensor | None = None
        for index in (torch.unique(origin[is_own]) - first).tolist():
            own = origin == first + index
            made = self.generate_in_parts({name: leaf[index] for name, leaf in params.items()}, latent[own])
            values = made.new_zeros(len(latent), *made.shape[1:]) if values is None else values
            values[own] = made
        return latent.new_zeros(len(latent), *self.event_shape) if values is None else values

    def generate_in_parts(self, params: Params, latent: Tensor) -> Tensor:
        """As `generate`, few samples enough at a time that a network's layers fit into memory."""
        at_once = max(1, GENERATED_AT_ONCE // self.generate(params, latent[:1]).numel())
        return torch.cat([self.generate(params, part) for part in torch.split(latent, at_once)])

    @torch.no_grad()
    def evaluation_samples(self, rows: Tensor) -> Tensor:
        """Some of the samples that this evaluation scores, one for each held-out one.

        All processes draw for all of them, so that evaluations do not depend on how many processes there are or on the
        step.

        Args:
            rows: which, indices into the held-out samples.
        """
        generators, count = self.profile(averaged=True).generators, self.datamodule.validation_size
        rng = stream(self.device, self.seed, Purpose.EVALUATION, 0, 0)
        latent = torch.randn(count, self.latent_dim, generator=rng, device=self.device)
        origin = torch.multinomial(generators.log_weights.exp(), count, replacement=True, generator=rng)
        return self._chosen(generators.params, latent, origin, rows)

    def _chosen(self, params: Params, latent: Tensor, origin: Tensor, rows: Tensor) -> Tensor:
        """The samples of some rows of latents and origins."""
        return self._made(params, latent[rows], origin[rows])

    def step_memory(self) -> StepMemory:
        """What a training step takes on this process, found without making one.

        Here by an evaluation of the game for both players, on top of positions, averages and two moments of each.
        """
        profile = imagined(self.profile(averaged=False))
        samples = -(-self.datamodule.batch_size // mesh_of(self.trainer).data_ranks)
        real = torch.empty(self.draws_per_step, samples, *self.event_shape, device=META)
        particles = size(profile.generators)
        latents = -(-real.shape[1] // particles)
        draws = StepDraws(real, self.seed, 0, self.latent_dim, particles, latents, latents)
        positions = [tensor_bytes(one.params.values()) for one in profile]
        held = 3 * sum(positions) + positions[0] + tensor_bytes([real])
        return memory_of_evaluation(self.game, self.networks, profile, draws(BOTH), held)

    def whole(self) -> AbstractContextManager[None]:
        """Within it, `profile` of the first process holds all particles; all processes must enter it together."""
        return nullcontext()

    def setup(self, stage: str) -> None:
        """Tell the data how much a step consumes and who shares it, and choose the metrics that fit the data.

        Raises:
            InvalidInputError: when the particles of a model that has but one per player are to be shared out.
        """
        del stage
        data, mesh = self.datamodule, mesh_of(self.trainer)
        require(
            self.can_share_particles or mesh.particle_ranks == 1,
            f"{type(self).__name__} cannot share out its networks to {mesh.particle_ranks} processes: use "
            "--trainer.strategy data_parallel.",
        )
        data.draws_per_step = self.draws_per_step
        data.batch_place = mesh.data_index, mesh.data_ranks
        extractor, are_first = training_extractor(data), None
        if extractor is not None:
            assert isinstance(data, AbstractImageData)
            extractor.check(data.event_shape)
            check_held_out(data, data.validation_size)
            is_whole = self.trainer.world_size == 1 and data.validation_size <= CHUNK
            are_first = None if is_whole else partial(first_of_validation, data)
        self.validation_metrics = training_metrics(data, extractor)
        self._observer = Observer(extractor, are_first)

    @property
    def datamodule(self) -> AbstractDataModule:
        """The data module of the attached trainer.

        Raises:
            InvalidInputError: when the trainer was given loose loaders.
        """
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        require(
            isinstance(data, AbstractDataModule),
            f"Training needs a data module derived from AbstractDataModule, found {type(data).__name__}.",
        )
        assert isinstance(data, AbstractDataModule)
        return data

    def check_finite(self) -> None:
        """Look at all losses since the last look and at both mixed strategies.

        Raises:
            NonFiniteError: naming player, particle and step.
        """
        self._guard.check()
        check_positions(self.profile(averaged=False), self.global_step, self.everyones)

    def everyones(self, player: Player, rows: Tensor) -> Tensor:
        """All rows [K, ...] of those of the particles that this process has, on every process."""
        del player
        return rows

    def on_validation_start(self) -> None:
        """Spare the metrics what they could not score."""
        self.check_finite()

    def on_train_end(self) -> None:
        """A last look."""
        self.check_finite()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse to save a run that is no longer finite.

        Raises:
            NonFiniteError: naming player, particle and step.
        """
        del checkpoint
        self.check_finite()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse another model's checkpoint.

        Raises:
            InvalidInputError: when its tensors are not this module's.
        """
        check_fits(self.state_dict(), checkpoint["state_dict"])

    def is_log_step(self, steps: int) -> bool:
        """Whether the trainer wants losses logged after so many steps; never if its interval is 0."""
        every: int = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        return every > 0 and steps % every == 0

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        """Score as many fresh samples as there are held-out ones; draws do not depend on the step."""
        data = self.datamodule
        rows = data.validation_chunks(torch.arange(data.validation_size))[batch_idx].to(self.device)
        with without_autocast(self.device):  # scores are compared with those of other runs, whatever their precision
            samples = self.evaluation_samples(rows)
            self.validation_metrics.update(**self._observer(samples, batch, batch_idx))

    def on_validation_epoch_end(self) -> None:
        """Log the scores of this evaluation."""
        scores: dict[str, Any] = self.validation_metrics.compute()
        for name, score in scores.items():
            self.log(f"val/{name}", score.float())
        self.validation_metrics.reset()
