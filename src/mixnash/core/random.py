"""Counter-based random streams: every draw is a function of a seed and of what it is for.

A stream keyed by (seed, step, purpose) makes resuming exact without saving generator states, keeps evaluation
from disturbing training, and lets every process of a distributed run make the same draws.
"""

import enum
from collections.abc import Mapping
from typing import final

import torch
from torch import Tensor

from mixnash.core.normals import FACTORS, INCREMENT, SHIFTS, keyed_normals
from mixnash.core.shares import Share
from mixnash.core.types import Params, Player

_MASK = (1 << 64) - 1
_COUNTER = 8
"""Bytes of a counter in a generator's state."""


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
    state = INCREMENT
    for part in key:
        state = (state + (part & _MASK) + INCREMENT) & _MASK
        for shift, factor in zip(SHIFTS, (*FACTORS, 1), strict=True):
            state = ((state ^ (state >> shift)) * factor) & _MASK
    return state >> 1


def stream(device: torch.device, *key: int) -> torch.Generator:
    """A fresh generator on `device`, determined by `key` alone.

    Args:
        device: where the draws are to be made; where tensors have no contents, any generator will do.
        *key: integers, the seed first; equal keys give equal streams, any difference an unrelated one.
    """
    return torch.Generator("cpu" if device.type == "meta" else device).manual_seed(mix_key(*key))


@final
class ParticleNoise(torch.Generator):
    """Noise for the positions of one player's particles: a number of the n-th draw is a function of the key, n, the
    particle and the number's place in the particle.

    So it is the same whichever process owns the particle, see `core.normals`. As a plain generator it is the stream
    of the key.

    Args:
        device: where the draws are to be made.
        key: integers, the seed first.
        share: the particles that this process owns.
    """

    def __new__(cls, device: torch.device, key: tuple[int, ...], share: Share) -> "ParticleNoise":
        """A generator of torch, which is initialised here."""
        del key, share
        return super().__new__(cls, device)  # type: ignore[call-arg] # torch's stubs call this method __init__

    def __init__(self, device: torch.device, key: tuple[int, ...], share: Share) -> None:
        del device
        self.manual_seed(mix_key(*key))
        self.share = share
        self.draws = 0
        """Draws made so far."""
        self._key = key

    def normals(self, params: Params) -> Params:
        """Standard normal noise in the shapes of `params`, leaves [size, ...] of the own particles."""
        names = sorted(params)
        sizes = [params[name][0].numel() for name in names]
        rows = keyed_normals(mix_key(*self._key, self.draws), self.share, sum(sizes), params[names[0]])
        self.draws += 1
        leaves = rows.split_with_sizes(sizes, dim=1)
        return {name: leaf.reshape(params[name].shape) for name, leaf in zip(names, leaves, strict=True)}

    def get_state(self) -> Tensor:
        """What `set_state` needs to make the same draws again, those per particle included."""
        return torch.cat([super().get_state(), torch.tensor([self.draws]).view(torch.uint8)])

    def set_state(self, new_state: Tensor) -> "ParticleNoise":
        """Go back to, or on from, where `get_state` was called."""
        super().set_state(new_state[:-_COUNTER].clone())
        self.draws = int(new_state[-_COUNTER:].clone().view(torch.int64))
        return self


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
        return super().__new__(cls, device)  # type: ignore[call-arg] # torch's stubs call this method __init__

    def __init__(self, device: torch.device, key: tuple[int, ...], shares: Mapping[Player, Share]) -> None:
        self.manual_seed(mix_key(*key))
        self._of = {player: ParticleNoise(device, (*key, index), shares[player]) for index, player in enumerate(Player)}

    def of(self, player: Player) -> ParticleNoise:
        """The noise of a player's particles; the same object at every call."""
        return self._of[player]

    def get_state(self) -> Tensor:
        """What `set_state` needs to make the same draws again, those per particle included."""
        return torch.cat([super().get_state(), *(one.get_state() for one in self._of.values())])

    def set_state(self, new_state: Tensor) -> "StepNoise":
        """Go back to, or on from, where `get_state` was called."""
        sizes = [len(one.get_state()) for one in self._of.values()]
        own, *others = new_state.split_with_sizes([len(new_state) - sum(sizes), *sizes])
        super().set_state(own.clone())
        for one, state in zip(self._of.values(), others, strict=True):
            one.set_state(state)
        return self


def noise_of(rng: torch.Generator, player: Player) -> torch.Generator:
    """What a player's position rule draws from: noise per particle if there is any, else the generator itself."""
    return rng.of(player) if isinstance(rng, StepNoise) else rng
