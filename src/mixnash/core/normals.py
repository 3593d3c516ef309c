r"""Standard normal numbers by hashing a counter: each is a function of a key, a particle and a place alone.

Particle k has a key of its own, and its i-th word is that of the SplitMix64 sequence from there,

.. math:: w_{k, i} = h\big(s_k + (i + 1)\, \gamma\big), \qquad s_k = h\big(s + (k + 1)\, \gamma\big),

with the generator's finaliser h and increment gamma, all modulo :math:`2^{64}`. Words are numbers u, v of 64 bits, or
two such of 32 bits for float32; pairs of them become normal, :math:`\sqrt{-2 \log u}\, (\cos 2 \pi v, \sin 2 \pi v)`.

Why not torch's generators, seeded once per particle: that takes a Python loop over particles, on a GPU a kernel for
each of them, and makes a number depend on how many are drawn with it. One thread of a CPU needs 13 to 18 ns per number
in float32 in place of 8 to 11, and 22 to 33 ns in float64 in place of 34 to 43 (4 to 64 particles of 50,000 to 500,000
numbers; below that the calls count as much, 0.6 ms for 4 particles of 5,000). All devices make the same numbers, but
for the rounding of logarithm, sine and cosine.

References:
    Steele, Lea, Flood, 2014, Fast splittable pseudorandom number generators, OOPSLA, Figure 16; Salmon, Moraes, Dror,
    Shaw, 2011, Parallel random numbers: as easy as 1, 2, 3, for generators without a state; Box, Muller, 1958.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mixnash.core.shares import Share

INCREMENT = 0x9E3779B97F4A7C15
"""gamma."""
SHIFTS = 30, 27, 31
FACTORS = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
"""Of h: after each shift but the last."""
_LANES = 64
"""Neighbouring numbers that share a loop of the processor: u of these and v of the next make so many pairs."""


def keyed_normals(key: int, share: Share, count: int, like: Tensor) -> Float[Tensor, "size count"]:
    """Standard normal numbers of the own particles.

    Their tails end at 6.7 standard deviations in float32 and at 9.4 in float64.

    Args:
        key: any integer of 64 bits, such as `random.mix_key` makes.
        share: the own particles.
        count: numbers of each particle; fewer are the first ones of more.
        like: has the device and the precision that are wanted; what is less than float32 is rounded from it.
    """
    precision = torch.float64 if like.dtype == torch.float64 else torch.float32
    particles = torch.arange(share.first + 1, share.first + share.size + 1, device=like.device)
    keys = _finalise(particles.mul_(_signed(INCREMENT)).add_(_signed(key)))
    groups = -(-count // (2 * _LANES))
    rows = torch.empty(share.size, groups, 2, _LANES, dtype=precision, device=like.device)
    at_once = max(1, _numbers_at_once(like.device) // (share.size * 2 * _LANES))
    for first in range(0, groups, at_once):
        _fill(rows[:, first : first + at_once], keys, first)
    return rows.flatten(1)[:, :count].to(like.dtype)


def _numbers_at_once(device: torch.device) -> int:
    """As many as fit into a processor's cache, or keep a GPU busy; the numbers are the same."""
    return 1 << (18 if device.type == "cpu" else 24)


def _fill(block: Float[Tensor, "size groups 2 lanes"], keys: Int[Tensor, " size"], first: int) -> None:
    """Write the numbers of some groups from number `first` on."""
    size, groups, *_ = block.shape
    integers, bits = (torch.int64, 63) if block.dtype == torch.float64 else (torch.int32, 31)
    words = 2 * _LANES * integers.itemsize // 8  # of a group
    places = torch.arange(first * words + 1, (first + groups) * words + 1, device=block.device)
    hashed = _finalise(keys.unsqueeze(1) + places.mul_(_signed(INCREMENT)))
    parts = hashed.view(integers).view(size, groups, 2, _LANES)
    # From signed integers: u in (0, 1] with all its bits near 0, where the tails come from, and an angle in [-pi, pi).
    u = parts[:, :, 0].to(block.dtype).abs_().mul_(2.0**-bits).add_(2.0 ** -(bits + 1))
    radius = u.log_().mul_(-2).sqrt_()
    angle = parts[:, :, 1].to(block.dtype).mul_(math.pi * 2.0**-bits)
    torch.mul(angle.cos(), radius, out=block[:, :, 0])
    torch.mul(angle.sin_(), radius, out=block[:, :, 1])


def _finalise(state: Int[Tensor, "*shape"]) -> Int[Tensor, "*shape"]:
    """Apply h to every element, in place; products of torch's integers wrap around."""
    shifted = torch.empty_like(state)
    for shift, factor in zip(SHIFTS, (*FACTORS, 1), strict=True):
        torch.bitwise_right_shift(state, shift, out=shifted)
        shifted.bitwise_and_((1 << (64 - shift)) - 1)  # torch shifts the sign in
        state.bitwise_xor_(shifted)
        if factor != 1:
            state.mul_(_signed(factor))
    return state


def _signed(number: int) -> int:
    """The integer of 64 bits with a sign that has the same bits."""
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)
