"""Counter-based random streams: every draw is a function of a seed and of what it is for.

A stream keyed by (seed, step, purpose) makes resuming exact without saving generator states, keeps evaluation
from disturbing training, and lets every process of a distributed run make the same draws.
"""

import enum

import torch

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
