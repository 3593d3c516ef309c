"""What a step of a population's dynamics plays against: the game on the step's draws."""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from mixnash.core.errors import require
from mixnash.core.feedback import Evaluate, GameOracle
from mixnash.core.games.base import AbstractGame
from mixnash.core.random import Purpose, StepNoise, stream
from mixnash.core.sampled_oracle import SampledOracle
from mixnash.core.shares import Share
from mixnash.core.types import Feedback, Networks, Player
from mixnash.lit.draws import StepDraws, has_uneven_shares


class StepOracles(NamedTuple):
    """Everything that all steps of a run have in common."""

    game: AbstractGame
    seed: int
    latent_dim: int
    generators: int
    """K."""
    generator_samples: int
    """Latents per generator, over all processes, where the generators ask for gradients."""
    critic_samples: int
    """The same, where only the critics ask."""
    batch_size: int
    """Real samples per draw, over all processes."""
    sampled: tuple[int | None, int | None]
    """How many generators and critics are met in an evaluation; None for all."""
    augmentation_draws: int
    packing: int
    data_index: int
    data_ranks: int
    """Which of the processes that share out the batch this is, and how many there are."""
    shares: Mapping[Player, Share]
    """The particles that this process owns."""

    @property
    def cuts_batches(self) -> bool:
        """Whether sample counts cannot be shared out evenly, so that whole batches are needed.

        Raises:
            InvalidInputError: when a count is no multiple of the packing, or some process would get nothing of it.
        """
        return has_uneven_shares(self._counts, self.data_ranks, self.packing)

    @property
    def _counts(self) -> dict[str, int]:
        return {
            "batch_size": self.batch_size,
            "generator_samples": self.generator_samples,
            "critic_samples": self.critic_samples,
        }

    def check_equal_parts(self, parts: int) -> None:
        """Refuse fixed parts of the batch that would not be equal, or that processes cannot share out equally.

        Raises:
            InvalidInputError: naming the sample count.
        """
        require(
            parts % self.data_ranks == 0,
            f"{self.data_ranks} processes cannot share out {parts} fixed parts of a batch equally: set fixed_parts to "
            "a power of two that is at least as large, and use a power of two of processes.",
        )
        unit = parts * self.packing
        for name, samples in self._counts.items():
            require(
                samples % unit == 0,
                f"{name} must be a multiple of fixed_parts{'' if self.packing == 1 else ' times the packing'} "
                f"({unit}), found {samples}. Set it to {-(-samples // unit) * unit}.",
            )

    def oracle(
        self, real: Tensor, step: int, networks: Networks, evaluate: Evaluate, average: Callable[[Feedback], Feedback]
    ) -> SampledOracle:
        """The game on the draws of a step.

        Args:
            real: the step's real samples [draws, B, *event], of this process or whole.
            step: steps made before this one.
            networks: both architectures.
            evaluate: how the game is evaluated.
            average: completes a feedback over processes.
        """
        exact = GameOracle(self.game, networks, self.draws(real, step), average, evaluate)
        return SampledOracle(exact, *self.sampled, stream(real.device, self.seed, Purpose.OPPONENTS, step))

    def draws(self, real: Tensor, step: int) -> StepDraws:
        """The draws of a step; arguments as of `oracle`."""
        return StepDraws(
            real,
            self.seed,
            step,
            self.latent_dim,
            self.generators,
            self.generator_samples,
            self.critic_samples,
            rank=self.data_index,
            world_size=self.data_ranks,
            augmentation=self.augmentation_draws,
            training=True,
            is_whole=self.cuts_batches,
            packing=self.packing,
        )

    def noise(self, device: torch.device, step: int) -> StepNoise:
        """The noise of a step's positions."""
        return StepNoise(device, (self.seed, Purpose.POSITION_NOISE, step), self.shares)


def most_parts(oracles: StepOracles, critics: int, particle_ranks: int) -> tuple[int, int]:
    """The most micro-batches and chunks of critics that an evaluation can be split into, on all processes alike.

    Args:
        oracles: of the run.
        critics: L.
        particle_ranks: processes that share the particles out.
    """
    samples = min(oracles.batch_size, oracles.generator_samples, oracles.critic_samples)
    return max(1, samples // (oracles.data_ranks * oracles.packing)), critics // particle_ranks


def default_samples(batch_size: int, generators: int, packing: int) -> int:
    """Latents per generator that together are as many as a batch, in whole packs: B / K, rounded up."""
    return math.ceil(batch_size / (generators * packing)) * packing
