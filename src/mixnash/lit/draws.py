"""Every random draw of one training step, as a function of (seed, step, draw) and of nothing else."""

from typing import final

import torch
from torch import Tensor

from mixnash.core.errors import require
from mixnash.core.random import Purpose, stream
from mixnash.core.types import AugmentationDraws, Batch, Player, Players


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
        augmentation: uniform numbers that decide how one sample is augmented; samples stay as they are if 0.
        training: whether the batches say that they are this step's, for what is done on some steps of training only.
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
        augmentation: int = 0,
        training: bool = False,
    ) -> None:
        self._real, self._seed, self._step = real, seed, step
        self._latent_dim, self._generators = latent_dim, generators
        self._generator_samples, self._critic_samples = generator_samples, critic_samples
        self._rank, self._world_size = rank, world_size
        self._augmentation, self._training = augmentation, training
        self._drawn = 0

    def __call__(self, players: Players) -> Batch:
        """The draws for the next evaluation of the game."""
        samples = self._generator_samples if Player.GENERATOR in players else self._critic_samples
        real = self._real[self._drawn]
        augmentation = self._augmentation_draws(real, samples)
        rng = stream(real.device, self._seed, Purpose.LATENT, self._step, self._drawn)
        self._drawn += 1
        latent = self._share(
            torch.randn(samples, self._generators, self._latent_dim, generator=rng, device=real.device)
        )
        mix = self._share(torch.rand(samples, self._generators, generator=rng, device=real.device))
        anchor = paired(real, self._generators, latent.shape[1])
        return Batch(real.unsqueeze(0), latent, anchor, mix, augmentation, self._step if self._training else None)

    def _augmentation_draws(self, real: Tensor, samples: int) -> AugmentationDraws | None:
        if self._augmentation == 0:
            return None
        rng = stream(real.device, self._seed, Purpose.AUGMENTATION, self._step, self._drawn)
        numbers, share = self._augmentation, len(real)
        own = torch.rand(share * self._world_size, numbers, generator=rng, device=real.device)
        own = own[self._rank * share : (self._rank + 1) * share]
        generated = self._share(torch.rand(samples, self._generators, numbers, generator=rng, device=real.device))
        return AugmentationDraws(own.unsqueeze(0), generated, paired(own, self._generators, generated.shape[1]))

    def _share(self, drawn: Tensor) -> Tensor:
        """This process's samples [K, b, ...] of all samples [b, K, ...]."""
        share = drawn.shape[0] // self._world_size
        return drawn[self._rank * share : (self._rank + 1) * share].transpose(0, 1)


def paired(real: Tensor, generators: int, samples: int) -> Tensor:
    """The real sample that each generated one is paired with [K, b, *event], of real samples [B, *event].

    All real samples are used equally often, or as equally as can be; those of each generator are spread over them.
    """
    # Generated sample i of n, counted generator by generator within sample by sample, is paired with real sample
    # floor(i B / n): then each process pairs its share with its own reals as one process would.
    count = samples * generators
    partner = torch.arange(count, device=real.device) * len(real) // count
    return real[partner].reshape(samples, generators, *real.shape[1:]).transpose(0, 1)


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
