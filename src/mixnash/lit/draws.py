"""Every random draw of one training step, as a function of (seed, step, draw) and of nothing else."""

from collections.abc import Mapping
from typing import final

import torch
from torch import Tensor

from mixnash.core.errors import require
from mixnash.core.random import Purpose, stream
from mixnash.core.shares import Share, share_of
from mixnash.core.types import AugmentationDraws, Batch, Player, Players


@final
class StepDraws:
    """Makes the batches of one step, one per fresh evaluation of the game.

    Latents are drawn for all processes and cut, so one process and many see the same global batch. Where its parts are
    uneven, the first processes hold one sample, or one pack, more than the others, and the batch says by its shares how
    much its means count.

    Args:
        real: the step's real samples on this process [draws, B, *event]; those of all processes if `is_whole`.
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
        is_whole: whether `real` is to be cut here; needed where `has_uneven_shares` says so.
        packing: samples of a pack, which is never cut.
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
        is_whole: bool = False,
        packing: int = 1,
    ) -> None:
        self._real, self._seed, self._step = real, seed, step
        self._latent_dim, self._generators = latent_dim, generators
        self._generator_samples, self._critic_samples = generator_samples, critic_samples
        self._rank, self._world_size = rank, world_size
        self._augmentation, self._training = augmentation, training
        self._is_whole, self._packing = is_whole, packing
        self._drawn = 0

    def __call__(self, players: Players) -> Batch:
        """The draws for the next evaluation of the game."""
        samples = self._generator_samples if Player.GENERATOR in players else self._critic_samples
        real = self._real[self._drawn]
        generated_share, real_share = self._own(samples), self._own(self._real_samples())
        augmentation = self._augmentation_draws(generated_share, real_share, real.device)
        rng = stream(real.device, self._seed, Purpose.LATENT, self._step, self._drawn)
        self._drawn += 1
        shape = samples, self._generators
        latent = torch.randn(*shape, self._latent_dim, generator=rng, device=real.device)
        mix = torch.rand(shape, generator=rng, device=real.device)
        return Batch(
            (real[real_share.cut] if self._is_whole else real).unsqueeze(0),
            latent[generated_share.cut].transpose(0, 1),
            self._paired(real, generated_share),
            mix[generated_share.cut].transpose(0, 1),
            augmentation,
            self._step if self._training else None,
            self._world_size * real_share.size / real_share.total,
            self._world_size * generated_share.size / generated_share.total,
        )

    def _augmentation_draws(self, generated: Share, real: Share, device: torch.device) -> AugmentationDraws | None:
        if self._augmentation == 0:
            return None
        rng = stream(device, self._seed, Purpose.AUGMENTATION, self._step, self._drawn)
        numbers = self._augmentation
        all_real = torch.rand(real.total, numbers, generator=rng, device=device)
        all_generated = torch.rand(generated.total, self._generators, numbers, generator=rng, device=device)
        own = all_real[real.cut]
        return AugmentationDraws(
            own.unsqueeze(0),
            all_generated[generated.cut].transpose(0, 1),
            self._paired(all_real if self._is_whole else own, generated),
        )

    def _real_samples(self) -> int:
        """B, over all processes."""
        held = self._real.shape[1]
        return held if self._is_whole else held * self._world_size

    def _own(self, samples: int) -> Share:
        """This process's part of so many samples over all processes; a rest below a pack belongs to nobody."""
        packs = share_of(samples // self._packing, self._world_size, self._rank)
        return Share(*(number * self._packing for number in packs))

    def _paired(self, held: Tensor, generated: Share) -> Tensor:
        """Of the real samples that are held, those that the own generated ones are paired with in the whole batch."""
        if self._is_whole:
            return paired(held, self._generators, generated.total)[:, generated.cut]
        # Each process pairs its even part with its own real samples as one process would.
        return paired(held, self._generators, generated.size)


def paired(real: Tensor, generators: int, samples: int) -> Tensor:
    """The real sample that each generated one is paired with [K, b, *event], of real samples [B, *event].

    All real samples are used equally often, or as equally as can be; those of each generator are spread over them.
    """
    # Generated sample i of n, counted generator by generator within sample by sample, is paired with real sample
    # floor(i B / n): then each process pairs its share, if even, with its own reals as one process would.
    count = samples * generators
    partner = torch.arange(count, device=real.device) * len(real) // count
    return real[partner].reshape(samples, generators, *real.shape[1:]).transpose(0, 1)


def shuffled(samples: Tensor, seed: int) -> Tensor:
    """Samples [n, *event] in an order that depends on the seed and n alone.

    Held-out samples may come sorted; the neighbours in a pack must be independent.
    """
    rng = stream(samples.device, seed, Purpose.ORDER, len(samples))
    return samples[torch.randperm(len(samples), generator=rng, device=samples.device)]


def has_uneven_shares(counts: Mapping[str, int], world_size: int, packing: int = 1) -> bool:
    """Whether some sample counts cannot be shared out evenly, so that every process must be given whole batches.

    Args:
        counts: numbers of samples over all processes, by name.
        world_size: the processes that share them out.
        packing: samples of a pack, which is never cut.

    Raises:
        InvalidInputError: when a count is no multiple of the packing, or some process would get nothing of it.
    """
    one = "sample" if packing == 1 else f"pack of {packing} samples"
    for name, samples in counts.items():
        require(
            samples % packing == 0,
            f"{name} must be a multiple of the packing ({packing}), found {samples}. "
            f"Set it to {-(-samples // packing) * packing}.",
        )
        require(
            samples >= world_size * packing,
            f"{world_size} processes share out {name}, and each needs at least one {one}, found {samples}: set it to "
            f"{world_size * packing} or more, or use --trainer.strategy particle_parallel.",
        )
    return any(samples % (world_size * packing) > 0 for samples in counts.values())


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
