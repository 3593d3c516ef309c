"""Gaussian mixtures in the plane: the published mode-coverage benchmarks by name, and any other by its numbers."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import final

import torch

from mixnash.core.errors import require
from mixnash.core.mixtures import GaussianMixture, make_mixture, sample_mixture
from mixnash.data.base import AbstractPlanarMixture


def _grid(step: float, scale: float, side: int = 5) -> GaussianMixture:
    """side^2 modes on a grid around the origin; 25 at step * {-2, -1, 0, 1, 2}^2."""
    axis = [step * (place - (side - 1) / 2) for place in range(side)]
    return _planar_mixture([[x, y] for x in axis for y in axis], [scale] * side**2, None)


def _ring(radius: float, scale: float) -> GaussianMixture:
    """8 modes on a circle, at multiples of 45 degrees."""
    angles = [math.tau * place / 8 for place in range(8)]
    return _planar_mixture([[radius * math.cos(a), radius * math.sin(a)] for a in angles], [scale] * 8, None)


def _planar_mixture(centres: list[list[float]], scales: list[float], weights: list[float] | None) -> GaussianMixture:
    require(
        len(centres) >= 1 and all(len(centre) == 2 for centre in centres),
        f"Expected at least one centre, each of two coordinates, found {centres}.",
    )
    weights = [1.0] * len(centres) if weights is None else weights
    for name, numbers in (("scales", scales), ("weights", weights)):
        require(
            len(numbers) == len(centres),
            f"A mixture of {len(centres)} modes needs as many {name}, found {len(numbers)}.",
        )
    as_tensor = partial(torch.tensor, dtype=torch.float32)
    return make_mixture(as_tensor(centres), as_tensor(scales), as_tensor(weights))


# Gulrajani et al., 2017, draw at step 2 and radius 2, then divide points by 2.828 and 1.414, noise included.
# The papers on rejection sampling from GANs do not agree on the step of their grid; here it is 1.
PRESETS: Mapping[str, Callable[[], GaussianMixture]] = MappingProxyType(
    {
        "pacgan-grid": partial(_grid, step=2.0, scale=0.05),
        "pacgan-ring": partial(_ring, radius=1.0, scale=0.01),
        "wgangp-grid": partial(_grid, step=2 / 2.828, scale=0.05 / 2.828),
        "wgangp-ring": partial(_ring, radius=2 / 1.414, scale=0.02 / 1.414),
        "drs-grid": partial(_grid, step=1.0, scale=0.05),
        "grid-100": partial(_grid, step=1.0, scale=0.025, side=10),
    }
)
"""The benchmarks by name, with equal weights."""


@final
class PresetMixture(AbstractPlanarMixture):
    """A published benchmark of 25 modes on a grid or 8 on a ring, in the coordinates of its source; or a harder grid.

    ============ ======================================== ====================
    preset       centres                                  standard deviation
    ============ ======================================== ====================
    pacgan-grid  {-4, -2, 0, 2, 4}^2                      0.05
    pacgan-ring  radius 1                                 0.01
    wgangp-grid  {-4, -2, 0, 2, 4}^2 / 2.828              0.05 / 2.828
    wgangp-ring  radius 2 / 1.414                         0.02 / 1.414
    drs-grid     {-2, -1, 0, 1, 2}^2                      0.05
    grid-100     {-4.5, -3.5, ..., 4.5}^2                 0.025
    ============ ======================================== ====================

    The last is the project's own choice: 100 modes, as far apart in standard deviations (40) as those of pacgan-grid,
    on a box a little larger.

    References:
        pacgan: Lin, Khetan, Fanti, Oh, 2018, PacGAN: the power of two samples in generative adversarial networks.
        wgangp: Gulrajani et al., 2017, Improved training of Wasserstein GANs.
        drs: Azadi et al., 2019, Discriminator rejection sampling; sources differ in the step, 1 is chosen here.

    Args:
        preset: a name from the table.
        mode_weights: positive numbers, one per mode, normalised here; grids go column by column from the lower left,
            rings anticlockwise from the right. None: equal.
        fixed_size: None for fresh points at every step; otherwise the size of a set drawn once, shuffled every epoch.
        batch_size: real samples per draw over all processes together, at least 1.
        validation_size: held-out samples over all processes together, at least 1.
        seed: any integer; decides every draw.

    Raises:
        InvalidInputError: when the preset is unknown, the weights do not fit, or a size is below 1.
    """

    def __init__(
        self,
        preset: str = "pacgan-grid",
        mode_weights: list[float] | None = None,
        fixed_size: int | None = None,
        batch_size: int = 256,
        validation_size: int = 10_000,
        seed: int = 0,
    ) -> None:
        require(preset in PRESETS, f"There is no mixture called '{preset}': choose from {', '.join(PRESETS)}.")
        equal = PRESETS[preset]()
        self._mixture = _planar_mixture(equal.centres.tolist(), equal.scales.tolist(), mode_weights)
        super().__init__(partial(sample_mixture, self._mixture), fixed_size, batch_size, validation_size, seed)

    @property
    def mixture(self) -> GaussianMixture:
        """The preset with the weights asked for."""
        return self._mixture


@final
class CustomMixture(AbstractPlanarMixture):
    """A Gaussian mixture in the plane, given by its numbers.

    Args:
        centres: means of the modes, two coordinates each.
        scales: standard deviations per axis, positive, one per mode.
        weights: positive numbers, one per mode, normalised here. None: equal.
        fixed_size: None for fresh points at every step; otherwise the size of a set drawn once, shuffled every epoch.
        batch_size: real samples per draw over all processes together, at least 1.
        validation_size: held-out samples over all processes together, at least 1.
        seed: any integer; decides every draw.

    Raises:
        InvalidInputError: when centres are not points of the plane, counts differ, a number is not positive or not
            finite, or a size is below 1.
    """

    def __init__(
        self,
        centres: list[list[float]],
        scales: list[float],
        weights: list[float] | None = None,
        fixed_size: int | None = None,
        batch_size: int = 256,
        validation_size: int = 10_000,
        seed: int = 0,
    ) -> None:
        self._mixture = _planar_mixture(centres, scales, weights)
        super().__init__(partial(sample_mixture, self._mixture), fixed_size, batch_size, validation_size, seed)

    @property
    def mixture(self) -> GaussianMixture:
        """The mixture given."""
        return self._mixture
