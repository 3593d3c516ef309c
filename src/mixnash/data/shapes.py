"""Curves in the plane, blurred by noise."""

import math
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from mixnash.core.random import Purpose
from mixnash.data.base import AbstractPlanarData
from mixnash.data.sources import data_stream

NOISE = 0.25
"""Standard deviation of the noise per axis, before the division."""
DIVISOR = 7.5


def sample_swiss_roll(count: int, rng: torch.Generator) -> Float[Tensor, "count 2"]:
    """Independent points of the law of `SwissRoll`."""
    turn = 1.5 * math.pi * (1 + 2 * torch.rand(count, generator=rng))
    curve = torch.stack([turn * turn.cos(), turn * turn.sin()], dim=1)
    return (curve + NOISE * torch.randn(count, 2, generator=rng)) / DIVISOR


@final
class SwissRoll(AbstractPlanarData):
    r"""A noisy spiral, :math:`(t \cos t, t \sin t) / 7.5 + N(0, (0.25 / 7.5)^2 I)`, t uniform on [1.5 pi, 4.5 pi).

    The law is that of axes 0 and 2 of scikit-learn's `make_swiss_roll` with noise 0.25, divided by 7.5.

    References:
        Gulrajani et al., 2017, Improved training of Wasserstein GANs, figure 1.

    Args:
        fixed_size: None for fresh points at every step; otherwise the size of a set drawn once, shuffled every epoch.
        batch_size: real samples per draw over all processes together, at least 1.
        validation_size: held-out samples over all processes together, at least 1.
        seed: any integer; decides every draw.

    Raises:
        InvalidInputError: when a size is below 1.
    """

    def __init__(
        self, fixed_size: int | None = None, batch_size: int = 256, validation_size: int = 10_000, seed: int = 0
    ) -> None:
        super().__init__(sample_swiss_roll, fixed_size, batch_size, validation_size, seed)

    @property
    def limits(self) -> tuple[float, float, float, float]:
        """The spiral reaches 1.885; a little room around it."""
        return -2.2, 2.2, -2.2, 2.2

    def held_out(self, count: int) -> Float[Tensor, "count 2"]:
        """Points of the law itself, also where training has a fixed set."""
        return sample_swiss_roll(count, data_stream(self.seed, Purpose.HELD_OUT))
