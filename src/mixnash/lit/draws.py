"""Every random draw of one training step, as a function of (seed, step, draw) and of nothing else."""

from typing import final

import torch
from torch import Tensor

from mixnash.core.errors import require
from mixnash.core.random import Purpose, stream
from mixnash.core.types import Batch, Player, Players


@final
class StepDraws:
    """Makes the batches of one step, one per fresh evaluation of the game.

    Latents are drawn for all processes and cut, so one process and many see the same global batch.

    Args:
        real: the step's real samples on this process [draws, B, *event].
        seed: of the run.
        step: steps made before this one.
        latent_dim: length of a latent.
        generators: K.
        generator_samples: latents per generator, over all processes, where the generators ask for gradients.
        critic_samples: the same, where only the critics ask.
        rank: of this process.
        world_size: number of processes.
    """

    def __init__(
        self,
        real: Tensor,
        seed: int,
        step: int,
        latent_dim: int,
        generators: int,
        generator_samples: int,
        critic_samples: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self._real, self._seed, self._step = real, seed, step
        self._latent_dim, self._generators = latent_dim, generators
        self._generator_samples, self._critic_samples = generator_samples, critic_samples
        self._rank, self._world_size = rank, world_size
        self._drawn = 0

    def __call__(self, players: Players) -> Batch:
        """The draws for the next evaluation of the game."""
        samples = self._generator_samples if Player.GENERATOR in players else self._critic_samples
        real = self._real[self._drawn]
        rng = stream(real.device, self._seed, Purpose.LATENT, self._step, self._drawn)
        self._drawn += 1
        latent = self._share(
            torch.randn(samples, self._generators, self._latent_dim, generator=rng, device=real.device)
        )
        mix = self._share(torch.rand(samples, self._generators, generator=rng, device=real.device))
        # Generated sample i of n, counted generator by generator within sample by sample, is paired with real sample
        # floor(i B / n): then each process pairs its share with its own reals as one process would.
        count = latent.shape[1] * self._generators
        partner = torch.arange(count, device=real.device) * len(real) // count
        anchor = real[partner].reshape(latent.shape[1], self._generators, *real.shape[1:]).transpose(0, 1)
        return Batch(real.unsqueeze(0), latent, anchor, mix)

    def _share(self, drawn: Tensor) -> Tensor:
        """This process's samples [K, b, ...] of all samples [b, K, ...]."""
        share = drawn.shape[0] // self._world_size
        return drawn[self._rank * share : (self._rank + 1) * share].transpose(0, 1)


def shuffled(samples: Tensor, seed: int) -> Tensor:
    """Samples [n, *event] in an order that depends on the seed and n alone.

    Held-out samples may come sorted; the neighbours in a pack must be independent.
    """
    rng = stream(samples.device, seed, Purpose.ORDER, len(samples))
    return samples[torch.randperm(len(samples), generator=rng, device=samples.device)]


def check_shares(name: str, samples: int, world_size: int, packing: int = 1) -> None:
    """Refuse sample counts that cannot be shared out evenly, or not in whole packs.

    Raises:
        InvalidInputError: when `samples` is not a multiple of `world_size` times `packing`.
    """
    unit = world_size * packing
    packs = "" if packing == 1 else f" times the packing ({packing})"
    require(
        samples % unit == 0,
        f"{name} must be a multiple of the number of processes ({world_size}){packs}, found {samples}. "
        f"Set it to {-(-samples // unit) * unit}.",
    )
