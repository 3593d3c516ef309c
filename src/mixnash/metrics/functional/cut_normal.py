r"""The standard normal cut at a radius: what is left of a Gaussian mode within the threshold t.

With :math:`F_k` the distribution function of chi-square with k degrees of freedom.
"""

import math

import torch
from jaxtyping import Float
from scipy.special import gammaincinv
from torch import Tensor

PLANE_THRESHOLD = 3.0
"""The usual threshold in the plane, in units of sigma."""


def standard_threshold(axes: int) -> float:
    r"""The threshold t that a perfect sampler's samples pass in `axes` dimensions as often as 3 sigma in the plane:

    .. math:: F_d(t^2) = 1 - e^{-4.5} = 0.9889

    In ten dimensions hardly any sample is within 3 sigma of its centre: t = 4.79 there.

    Args:
        axes: the number of dimensions d, at least 1.
    """
    if axes == 2:
        return PLANE_THRESHOLD
    return math.sqrt(2 * float(gammaincinv(axes / 2, -math.expm1(-(PLANE_THRESHOLD**2) / 2))))


def chi_square(degrees: int, threshold: float) -> float:
    """P(|z| < threshold) for z standard normal in `degrees` dimensions: gammainc(k/2, t^2/2)."""
    shape, level = torch.tensor([degrees, threshold**2], dtype=torch.float64) / 2
    return float(torch.special.gammainc(shape, level))


def mean_square(axes: int, threshold: float) -> float:
    r"""E :math:`|z|^2` given :math:`|z| < t`, for z standard normal: :math:`D F_{D+2}(t^2) / F_D(t^2)`."""
    return axes * chi_square(axes + 2, threshold) / chi_square(axes, threshold)


def variance_of_square(axes: int, threshold: float) -> float:
    """The variance of |z|^2 given |z| < t."""
    fourth = axes * (axes + 2) * chi_square(axes + 4, threshold) / chi_square(axes, threshold)
    return fourth - mean_square(axes, threshold) ** 2


def draw_mean_squares(
    counts: Float[Tensor, "*repeats M"], axes: int, threshold: float, rng: torch.Generator
) -> Float[Tensor, "*repeats M"]:
    """A draw of the mean of |z|^2 over each count of samples with |z| < t, from the gamma law with the exact mean and
    variance by the cube-root approximation.

    References:
        Wilson, Hilferty, 1931, The distribution of chi-square, PNAS 17(12), 684-688.
    """
    mean = mean_square(axes, threshold)
    spread = variance_of_square(axes, threshold) / (9 * mean**2 * counts.clamp(min=1))
    noise = torch.randn(counts.shape, generator=rng, dtype=counts.dtype)
    return mean * (1 - spread + spread.sqrt() * noise).clamp(min=0) ** 3


def draw_multinomial(
    shares: Float[Tensor, " M"], count: int, repeats: int, rng: torch.Generator
) -> Float[Tensor, "repeats M"]:
    """Multinomial counts of `count` draws, one binomial a mode; shares need not fill 1."""
    rest = torch.full((repeats,), float(count), dtype=torch.float64)
    left, columns = 1.0, []
    for share in shares.tolist():
        columns.append(torch.binomial(rest, torch.full_like(rest, share / max(left, share)), generator=rng))
        rest = rest - columns[-1]
        left -= share
    return torch.stack(columns, dim=1)
