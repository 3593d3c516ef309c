"""Counter-based random streams: every draw is a function of a seed and of what it is for.

A stream keyed by (seed, step, purpose) makes resuming exact without saving generator states, keeps evaluation
from disturbing training, and lets every process of a distributed run make the same draws.
"""

import enum
from collections.abc import Mapping
from typing import final

import torch
from torch import Tensor

from mixnash.core.shares import Share
from mixnash.core.types import Params, Player

_MASK = (1 << 64) - 1


@enum.unique
class Purpose(enum.IntEnum):
    """What a stream is for: the second part of every key, after the seed."""

    TRAINING = 0
    LATENT = 1
    POSITION_NOISE = 2
    EVALUATION = 3
    HELD_OUT = 4
    PICTURE = 5
    FIXED_SET = 6
    ORDER = 7
    EQUILIBRIUM = 8
    DISTILLATION = 9
    REWEIGHTING = 10
    OPPONENTS = 11
    AUGMENTATION = 12


def mix_key(*key: int) -> int:
    """Hash a sequence of integers to 63 bits, with the finaliser of SplitMix64 after each of them.

    References:
        Steele, Lea, Flood, 2014, Fast splittable pseudorandom number generators, OOPSLA, Figure 16.
    """
    state = 0x9E3779B97F4A7C15
    for part in key:
        state = (state + (part & _MASK) + 0x9E3779B97F4A7C15) & _MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
        state ^= state >> 31
    return state >> 1


def stream(device: torch.device, *key: int) -> torch.Generator:
    """A fresh generator on `device`, determined by `key` alone.

    Args:
        device: where the draws are to be made.
        *key: integers, the seed first; equal keys give equal streams, any difference an unrelated one.
    """
    return torch.Generator(device=device).manual_seed(mix_key(*key))


@final
class ParticleNoise(torch.Generator):
    """Noise for the positions of one player's particles: the n-th draw of particle k is a function of (key, n, k).

    So it is the same whichever process owns the particle. As a plain generator it is the stream of the key.

    Args:
        device: where the draws are to be made.
        key: integers, the seed first.
        share: the particles that this process owns.
    """

    def __new__(cls, device: torch.device, key: tuple[int, ...], share: Share) -> "ParticleNoise":
        """A generator of torch, which is initialised here."""
        del key, share
        return super().__new__(cls, device)

    def __init__(self, device: torch.device, key: tuple[int, ...], share: Share) -> None:
        del device
        self.manual_seed(mix_key(*key))
        self.share = share
        self.draws = 0
        """Draws made so far."""
        self._key = key

    def normals(self, params: Params) -> Params:
        """Standard normal noise in the shapes of `params`, leaves [count, ...] of the own particles."""
        names = sorted(params)
        sizes = [params[name][0].numel() for name in names]
        like = params[names[0]]
        rows = torch.empty(len(like), sum(sizes), dtype=like.dtype, device=like.device)
        rng = torch.Generator(device=self.device)
        for k, row in enumerate(rows):  # one draw of all its numbers per particle, whatever the number of leaves
            row.normal_(generator=rng.manual_seed(mix_key(*self._key, self.draws, self.share.first + k)))
        self.draws += 1
        leaves: list[Tensor] = list(rows.split(sizes, dim=1))
        return {name: leaf.reshape(params[name].shape) for name, leaf in zip(names, leaves, strict=True)}


@final
class StepNoise(torch.Generator):
    """All random numbers that a step of a dynamics may ask for: joint ones, equal on all processes, as from any
    generator, and `ParticleNoise` for either player.

    Args:
        device: where the draws are to be made.
        key: integers, the seed first.
        shares: the particles of each player that this process owns.
    """

    def __new__(cls, device: torch.device, key: tuple[int, ...], shares: Mapping[Player, Share]) -> "StepNoise":
        """A generator of torch, which is initialised here."""
        del key, shares
        return super().__new__(cls, device)

    def __init__(self, device: torch.device, key: tuple[int, ...], shares: Mapping[Player, Share]) -> None:
        self.manual_seed(mix_key(*key))
        self._of = {
            player: ParticleNoise(device, (*key, index), shares[player]) for index, player in enumerate(Player)
        }

    def of(self, player: Player) -> ParticleNoise:
        """The noise of a player's particles; the same object at every call."""
        return self._of[player]

    def get_state(self) -> Tensor:
        """What `set_state` needs to make the same draws again, those per particle included."""
        draws = torch.tensor([one.draws for one in self._of.values()], dtype=torch.int64)
        return torch.cat([super().get_state(), draws.view(torch.uint8)])

    def set_state(self, new_state: Tensor) -> None:
        """Go back to, or on from, where `get_state` was called."""
        counters = 8 * len(self._of)
        super().set_state(new_state[:-counters].clone())
        for one, draws in zip(self._of.values(), new_state[-counters:].clone().view(torch.int64), strict=True):
            one.draws = int(draws)


def noise_of(rng: torch.Generator, player: Player) -> torch.Generator:
    """What a player's position rule draws from: noise per particle if there is any, else the generator itself."""
    return rng.of(player) if isinstance(rng, StepNoise) else rng
