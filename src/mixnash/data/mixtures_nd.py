"""Gaussian mixtures in more than two dimensions."""

from functools import partial
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from mixnash.core.errors import require
from mixnash.core.mixtures import GaussianMixture, make_mixture, sample_mixture
from mixnash.core.random import stream
from mixnash.data.base import AbstractMixtureData

_TRIES = 200
"""Candidates for each centre before a cube is called too full."""


@final
class RandomMixture(AbstractMixtureData):
    r"""Equally likely modes at random places of a cube, no two closer than a given distance.

    Centres are drawn one after the other, uniformly in :math:`[-h, h]^d`; one that is too close to an earlier one is
    drawn again. They depend on `layout_seed` alone, not on the seed of a run, so that all runs face the same problem.
    The defaults are the project's own choice: the closest modes are about 40 standard deviations apart, as on
    pacgan-grid.

    Args:
        dimensions: coordinates d of a point, at least 3; mixtures in the plane are in `data.mixtures`.
        modes: how many, at least 1.
        scale: standard deviation of every mode per axis, positive.
        half_width: h, half the side of the cube, positive.
        separation: least distance between two centres, at least 0.
        layout_seed: any integer; decides the centres.
        fixed_size: None for fresh points at every step; otherwise the size of a set drawn once, shuffled every epoch.
        batch_size: real samples per draw over all processes together, at least 1.
        validation_size: held-out samples over all processes together, at least 1.
        seed: any integer; decides every draw but the centres.

    Raises:
        InvalidInputError: when a number is outside its range, or the cube has no room for so many separated modes.
    """

    def __init__(
        self,
        dimensions: int = 10,
        modes: int = 50,
        scale: float = 0.05,
        half_width: float = 2.0,
        separation: float = 2.0,
        layout_seed: int = 0,
        fixed_size: int | None = None,
        batch_size: int = 256,
        validation_size: int = 10_000,
        seed: int = 0,
    ) -> None:
        require(
            dimensions >= 3,
            f"A RandomMixture has at least 3 dimensions, found {dimensions}; use CustomMixture for the plane.",
        )
        require(modes >= 1, f"A mixture needs at least 1 mode, found {modes}.")
        require(half_width > 0, f"Half the side of the cube must be positive, found half_width={half_width}.")
        require(separation >= 0, f"The least distance between centres must be at least 0, found {separation}.")
        centres = _separated_centres(dimensions, modes, half_width, separation, layout_seed)
        self._mixture = make_mixture(centres, torch.full((modes,), scale))
        super().__init__(partial(sample_mixture, self._mixture), fixed_size, batch_size, validation_size, seed)

    @property
    def mixture(self) -> GaussianMixture:
        """Modes in the order in which they were drawn."""
        return self._mixture


def _separated_centres(
    dimensions: int, modes: int, half_width: float, separation: float, seed: int
) -> Float[Tensor, "modes dimensions"]:
    rng = stream(torch.device("cpu"), seed)
    centres = torch.empty(0, dimensions)
    for index in range(modes):
        candidates = half_width * (2 * torch.rand(_TRIES, dimensions, generator=rng) - 1)
        free = (torch.cdist(candidates, centres) >= separation).all(dim=1)
        require(
            bool(free.any()),
            f"Only {index} of {modes} modes fit into the cube of half side {half_width} at least {separation} apart; "
            "widen the cube, or ask for fewer modes or a smaller separation.",
        )
        centres = torch.cat([centres, candidates[free][:1]])
    return centres
