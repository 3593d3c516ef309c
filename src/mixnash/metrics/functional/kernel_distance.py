r"""Kernel distance (KID on Inception features): unbiased squared discrepancy with the cubic polynomial kernel

.. math:: k(x, y) = \left( \frac{\langle x, y \rangle}{d} + 1 \right)^3, \qquad
    \frac{1}{n(n-1)} \sum_{i \neq j} k(x_i, x_j) + \frac{1}{m(m-1)} \sum_{i \neq j} k(y_i, y_j)
    - \frac{2}{nm} \sum_{ij} k(x_i, y_j).

Its mean is 0 for equal laws whatever the sizes, so single values may be negative. All in float64.

References:
    Binkowski, Sutherland, Arbel, Gretton, 2018, Demystifying MMD GANs, section 4.
    Gretton et al., 2012, A kernel two-sample test, JMLR 13, equation 3.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from mixnash.core.errors import require
from mixnash.metrics.functional.distances import row_blocks


class SubsetDistances(NamedTuple):
    """What the literature reports as KID."""

    mean: Float[Tensor, ""]
    """Over the subsets."""
    deviation: Float[Tensor, ""]
    """Standard deviation over the subsets, divisor their number; not the error of the mean, as subsets overlap."""


def kernel_distance(features: Float[Tensor, "n d"], reference: Float[Tensor, "m d"]) -> Float[Tensor, ""]:
    """The estimate from all features, in blocks of bounded memory.

    Args:
        features: [n, d], n >= 2; where one is not finite, the distance is infinite.
        reference: [m, d], m >= 2.

    Raises:
        InvalidInputError: with fewer than 2 features on a side.
    """
    n, m = len(features), len(reference)
    require(n >= 2 and m >= 2, f"A kernel distance needs at least 2 samples on both sides, found {n} and {m}.")
    if not bool(features.isfinite().all() and reference.isfinite().all()):
        return torch.tensor(torch.inf, dtype=torch.float64, device=features.device)
    x, y = features.detach().double(), reference.detach().double()
    within = _sum_of_pairs(x) / (n * (n - 1)) + _sum_of_pairs(y) / (m * (m - 1))
    between = sum((_kernel(block, y).sum() for block in row_blocks(x, m)), start=x.new_zeros(()))
    return within - 2 * between / (n * m)


def subset_kernel_distances(
    features: Float[Tensor, "n d"],
    reference: Float[Tensor, "m d"],
    subsets: int,
    subset_size: int,
    rng: torch.Generator,
) -> SubsetDistances:
    """Mean and deviation of `kernel_distance` over random subsets of either side, drawn without replacement.

    Args:
        features: [n, d].
        reference: [m, d].
        subsets: how many, at least 1; the literature has 100.
        subset_size: of each, at least 2 and at most n and m; the literature has 1,000.
        rng: draws the subsets, on its own device: a CPU generator gives the same ones for features anywhere.

    Raises:
        InvalidInputError: when there are fewer features than a subset has, or the numbers are impossible.
    """
    check_subsets(subsets, subset_size)
    n, m = len(features), len(reference)
    require(
        subset_size <= min(n, m),
        f"A kernel distance in subsets of {subset_size} needs as many samples on both sides, found {n} and {m}; "
        "take more samples or a smaller subset_size.",
    )

    def some(points: Tensor) -> Tensor:
        chosen = torch.randperm(len(points), generator=rng, device=rng.device)[:subset_size]
        return points[chosen.to(points.device)]

    values = torch.stack([kernel_distance(some(features), some(reference)) for _ in range(subsets)])
    # Infinite ones have no deviation: NaN would stand for "not finite" there.
    finite = bool(values.isfinite().all())
    return SubsetDistances(values.mean(), values.std(correction=0) if finite else torch.full_like(values[0], torch.inf))


def check_subsets(subsets: int, subset_size: int) -> None:
    """Refuse subsets that are none.

    Raises:
        InvalidInputError: for fewer than 1 subset, or subsets of fewer than 2.
    """
    require(
        subsets >= 1 and subset_size >= 2,
        f"A kernel distance needs at least 1 subset of at least 2 samples, found {subsets} of {subset_size}.",
    )


def _sum_of_pairs(points: Tensor) -> Tensor:
    """Sum of the kernel over ordered pairs of different points, each unordered pair computed once."""
    total, start = points.new_zeros(()), 0
    for block in row_blocks(points, len(points)):
        start += len(block)
        own = _kernel(block, block)
        total += own.sum() - own.trace() + 2 * _kernel(block, points[start:]).sum()
    return total


def _kernel(points: Tensor, others: Tensor) -> Tensor:
    product = points @ others.T / points.shape[1] + 1
    return product * product * product  # A general power is many times slower.
