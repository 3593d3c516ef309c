"""Maximum mean discrepancy: the distance of two laws in the feature space of a kernel."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from mixnash.core.errors import require
from mixnash.metrics.functional.distances import distances, row_blocks


def check_bandwidths(bandwidths: Sequence[float]) -> None:
    """Refuse kernels that are none.

    Raises:
        InvalidInputError: without bandwidths, or when one is not positive and finite.
    """
    require(
        len(bandwidths) > 0 and all(math.isfinite(width) and width > 0 for width in bandwidths),
        f"MMD needs one or more positive, finite bandwidths in data coordinates, found {tuple(bandwidths)}.",
    )


def unbiased_mmd_squared(
    samples: Float[Tensor, "n D"], reference: Float[Tensor, "m D"], bandwidths: Sequence[float]
) -> Float[Tensor, ""]:
    r"""Unbiased estimate of the squared discrepancy, with k a sum of Gaussian kernels :math:`e^{-|x-y|^2 / (2 h^2)}`,

    .. math:: \frac{1}{n(n-1)} \sum_{i \neq j} k(x_i, x_j) + \frac{1}{m(m-1)} \sum_{i \neq j} k(y_i, y_j)
        - \frac{2}{nm} \sum_{ij} k(x_i, y_j).

    Its mean is 0 for equal laws, so it may be negative; at most 2 per bandwidth. Computed in float64.

    References:
        Gretton et al., 2012, A kernel two-sample test, JMLR 13, equation 3.

    Args:
        samples: [n, D], n >= 2; one that is not finite counts as infinitely far from all.
        reference: [m, D], m >= 2.
        bandwidths: the h of the kernels, in data coordinates.

    Raises:
        InvalidInputError: with fewer than 2 samples on a side, or impossible bandwidths.
    """
    check_bandwidths(bandwidths)
    n, m = len(samples), len(reference)
    require(n >= 2 and m >= 2, f"Unbiased MMD needs at least 2 samples on both sides, found {n} and {m}.")
    within_samples = _kernel_sum_off_diagonal(samples, bandwidths) / (n * (n - 1))
    within_reference = _kernel_sum_off_diagonal(reference, bandwidths) / (m * (m - 1))
    return within_samples + within_reference - 2 * _kernel_sum(samples, reference, bandwidths) / (n * m)


def _kernel_sum(points: Tensor, others: Tensor, bandwidths: Sequence[float]) -> Tensor:
    total = torch.zeros((), dtype=torch.float64, device=points.device)
    for block in row_blocks(points, len(others)):
        squares = distances(block, others).square()
        for width in bandwidths:
            total += (squares / (-2 * width**2)).exp().nan_to_num(nan=0.0).sum()
    return total


def _kernel_sum_off_diagonal(points: Tensor, bandwidths: Sequence[float]) -> Tensor:
    finite = points.isfinite().all(dim=1).sum()
    return _kernel_sum(points, points, bandwidths) - finite * len(bandwidths)
