"""Isotropic Gaussian mixtures: the data whose modes can be counted."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from mixnash.core.errors import require


class GaussianMixture(NamedTuple):
    r"""The law :math:`\sum_m w_m N(c_m, s_m^2 I)`; build it with `make_mixture`."""

    centres: Float[Tensor, "M D"]
    """Means c of the modes, in data coordinates."""
    scales: Float[Tensor, " M"]
    """Standard deviations s per axis, in data coordinates."""
    weights: Float[Tensor, " M"]
    """Probabilities w, summing to 1."""


def make_mixture(
    centres: Float[Tensor, "M D"], scales: Float[Tensor, " M"], weights: Float[Tensor, " M"] | None = None
) -> GaussianMixture:
    """The checked constructor of `GaussianMixture`.

    Args:
        centres: means [M, D].
        scales: standard deviations per axis [M], positive.
        weights: positive numbers [M], normalised here; equal if omitted.

    Raises:
        InvalidInputError: when shapes differ, a scale or a weight is not positive, or something is not finite.
    """
    require(centres.dim() == 2 and len(centres) > 0, f"A mixture needs centres [modes, axes], found {centres.shape}.")
    count = len(centres)
    weights = torch.ones_like(scales) if weights is None else weights
    for name, values in (("scales", scales), ("weights", weights)):
        require(values.shape == (count,), f"A mixture of {count} modes needs as many {name}, found {len(values)}.")
        require(bool((values > 0).all()), f"All {name} of a mixture must be positive, found {float(values.min())}.")
    require(
        all(bool(torch.isfinite(values).all()) for values in (centres, scales, weights)),
        "Centres, scales and weights of a mixture must be finite.",
    )
    return GaussianMixture(centres, scales, weights / weights.sum())


def sample_mixture(mixture: GaussianMixture, count: int, rng: torch.Generator) -> Float[Tensor, "n D"]:
    """Independent draws [count, D]."""
    mode = torch.multinomial(mixture.weights, count, replacement=True, generator=rng)
    return _around(mixture, mode, rng)


def sample_stratified(mixture: GaussianMixture, count: int, rng: torch.Generator) -> Float[Tensor, "n D"]:
    """Draws whose mode counts are the expected ones, rounded by largest remainder: no noise in the mode masses."""
    ideal = mixture.weights.double() * count
    counts = ideal.floor().long()
    rest = count - int(counts.sum())
    counts[(ideal - counts).topk(rest).indices] += 1
    return _around(mixture, torch.arange(len(counts), device=counts.device).repeat_interleave(counts), rng)


def _around(mixture: GaussianMixture, mode: Tensor, rng: torch.Generator) -> Tensor:
    centres = mixture.centres[mode]
    noise = torch.randn(centres.shape, generator=rng, dtype=centres.dtype, device=centres.device)
    return centres + mixture.scales[mode].unsqueeze(-1) * noise


def log_density(mixture: GaussianMixture, points: Float[Tensor, "n D"]) -> Float[Tensor, " n"]:
    """Exact log-density of the mixture at points [n, D]."""
    axes = mixture.centres.shape[1]
    distance = (points.unsqueeze(1) - mixture.centres).square().sum(-1) / mixture.scales.square()
    normaliser = axes * (mixture.scales.log() + 0.5 * math.log(2 * math.pi))
    return torch.logsumexp(mixture.weights.log() - normaliser - distance / 2, dim=1)
