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


class Samples(NamedTuple):
    """How many samples evaluations see, and in which way."""

    per_generator: int | None
    """Latents per generator, over all processes, where the generators ask for gradients; B / K, rounded up, if None."""
    per_generator_for_critics: int | None
    """The same, where only the critics ask."""
    packing: int
    sampled: tuple[int | None, int | None]
    """How many generators and critics are met in an evaluation; None for all."""
    augmentation_draws: int

    def counts(self, batch_size: int, generators: int) -> dict[str, int]:
        """All numbers of samples over all processes, by the names of the arguments that they come from.

        Args:
            batch_size: B.
            generators: K.
        """
        share = math.ceil(batch_size / (generators * self.packing)) * self.packing
        return {
            "batch_size": batch_size,
            "generator_samples": self.per_generator or share,
            "critic_samples": self.per_generator_for_critics or share,
        }


class StepOracles(NamedTuple):
    """Everything that all steps of a run have in common."""

    game: AbstractGame
    seed: int
    latent_dim: int
    generators: int
    """K."""
    batch_size: int
    """B, real samples per draw, over all processes."""
    samples: Samples
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
        return has_uneven_shares(self.counts, self.data_ranks, self.samples.packing)

    @property
    def counts(self) -> dict[str, int]:
        """All numbers of samples, over all processes."""
        return self.samples.counts(self.batch_size, self.generators)

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
        packing = self.samples.packing
        unit = parts * packing
        for name, samples in self.counts.items():
            require(
                samples % unit == 0,
                f"{name} must be a multiple of fixed_parts{'' if packing == 1 else ' times the packing'} "
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
        return SampledOracle(exact, *self.samples.sampled, stream(real.device, self.seed, Purpose.OPPONENTS, step))

    def draws(self, real: Tensor, step: int) -> StepDraws:
        """The draws of a step; arguments as of `oracle`."""
        return StepDraws(
            real,
            self.seed,
            step,
            self.latent_dim,
            self.generators,
            self.counts["generator_samples"],
            self.counts["critic_samples"],
            rank=self.data_index,
            world_size=self.data_ranks,
            augmentation=self.samples.augmentation_draws,
            training=True,
            is_whole=self.cuts_batches,
            packing=self.samples.packing,
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
    fewest = min(oracles.counts.values())
    return max(1, fewest // (oracles.data_ranks * oracles.samples.packing)), critics // particle_ranks
