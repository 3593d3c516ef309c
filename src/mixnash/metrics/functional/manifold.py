r"""Precision, recall, density and coverage: the supports of two sets of features, as unions of balls.

With :math:`B(x)` the closed ball around x that reaches its k-th nearest other sample of the same set, N real features
:math:`y_i` and M generated ones :math:`x_j`:

* precision: share of the :math:`x_j` within any :math:`B(y_i)`;
* recall: share of the :math:`y_i` within any :math:`B(x_j)`;
* density: :math:`\frac{1}{kM} \sum_{ij} [x_j \in B(y_i)]`, which one real outlier with a wide ball cannot raise far;
* coverage: share of the :math:`B(y_i)` that hold any :math:`x_j`.

Samples on the surface of a ball are in it, so that sets of copies, whose balls have no width, hold each other: two sets
that are one point repeated score 1 for precision, recall and coverage and N/k for density. The reference code of
density and coverage compares with < and gives 0 there. A sample is left out of its own neighbours by its index, not
because its distance is 0.

References:
    Kynkäänniemi et al., 2019, https://arxiv.org/abs/1904.06991 (precision and recall; k = 3).
    Naeem et al., 2020, https://arxiv.org/abs/2002.09797 (density and coverage; k = 5).
"""

import torch
from jaxtyping import Float
from torch import Tensor

from mixnash.core.errors import require
from mixnash.metrics.functional.neighbours import (
    CHUNK,
    ball_radii,
    centre_of,
    check_features,
    square_block,
    within,
)


def manifold_scores(
    features: Float[Tensor, "n D"], reference_features: Float[Tensor, "m D"], k: int = 5, chunk: int = CHUNK
) -> dict[str, Tensor]:
    """``precision``, ``recall`` and ``coverage`` in [0, 1], ``density`` in [0, m/k]; see the module for what they are.

    Published precision and recall use k = 3 or k = 5, density and coverage k = 5; all four depend on n and m, so only
    scores of equal n, m, k and extractor can be compared. Time grows with (n + m)^2 D, memory with chunk x (chunk + D)
    beside the features.

    Args:
        features: [n, D] of generated samples. One that is not finite is in no ball, and its own holds nothing.
        reference_features: [m, D] of real ones, finite.
        k: which neighbour a ball reaches to.
        chunk: rows and columns of the blocks of distances.

    Returns:
        Scalars in float64.

    Raises:
        InvalidInputError: with fewer than k + 1 on a side, unequally many features, or a reference that is not finite.
    """
    _check(features, reference_features, k)
    centre = centre_of(reference_features)
    radii, reference_radii = (ball_radii(points, k, chunk) for points in (features, reference_features))
    held = torch.zeros(len(features), dtype=torch.long, device=features.device)
    recalled = torch.zeros(len(reference_features), dtype=torch.bool, device=features.device)
    covered = torch.zeros_like(recalled)
    for row in range(0, len(features), chunk):
        rows = slice(row, row + chunk)
        x = features[rows]
        for column in range(0, len(reference_features), chunk):
            columns = slice(column, column + chunk)
            y = reference_features[columns]
            block = square_block(x, y, centre)
            in_real = within(block, reference_radii[columns].unsqueeze(0), x, y)
            held[rows] += in_real.sum(1)
            covered[columns] |= in_real.any(0)
            recalled[columns] |= within(block, radii[rows].unsqueeze(1), x, y).any(0)
    return _scores(held, covered, recalled, k)


def manifold_scores_reference(
    features: Float[Tensor, "n D"], reference_features: Float[Tensor, "m D"], k: int = 5
) -> dict[str, Tensor]:
    """`manifold_scores` of few finite features as one would write it down, with whole matrices of differences."""
    _check(features, reference_features, k)
    x, y = features.double(), reference_features.double()
    across, between_fakes, between_reals = (
        (left.unsqueeze(1) - right).square().sum(-1).sqrt() for left, right in ((x, y), (x, x), (y, y))
    )
    radii, reference_radii = (
        within_set.fill_diagonal_(torch.inf).sort(dim=1).values[:, k - 1]
        for within_set in (between_fakes, between_reals)
    )
    in_real, in_fake = across <= reference_radii, across <= radii.unsqueeze(1)
    return _scores(in_real.sum(1), in_real.any(0), in_fake.any(0), k)


def perfect_manifold(count: int, reference_count: int, k: int = 5) -> dict[str, float]:
    r"""The means of density and coverage for generated samples that are independent draws of the real law.

    Exact for every continuous law, as only the order of distances matters:

    .. math:: 1 \quad\text{and}\quad 1 - \prod_{i=0}^{k-1} \frac{m - 1 - i}{n + m - 1 - i}

    for n generated and m real samples; .969 for n = m large and k = 5. Precision and recall depend on the law.

    Raises:
        InvalidInputError: with fewer than k + 1 samples on a side.
    """
    _check_counts(count, reference_count, k)
    missed = 1.0
    for i in range(k):
        missed *= (reference_count - 1 - i) / (count + reference_count - 1 - i)
    return {"density": 1.0, "coverage": 1 - missed}


def _scores(held: Tensor, covered: Tensor, recalled: Tensor, k: int) -> dict[str, Tensor]:
    """From the real balls around each fake [n], whether each real ball is hit [m], whether a fake ball holds it [m]."""
    return {
        "precision": (held > 0).double().mean(),
        "recall": recalled.double().mean(),
        "density": held.double().mean() / k,
        "coverage": covered.double().mean(),
    }


def _check(features: Tensor, reference_features: Tensor, k: int) -> None:
    check_features(features, reference_features)
    _check_counts(len(features), len(reference_features), k)
    require(
        bool(reference_features.isfinite().all()),
        "Precision, recall, density and coverage need finite reference features, found NaN or infinity; "
        "look for broken images in the data set.",
    )


def _check_counts(count: int, reference_count: int, k: int) -> None:
    require(k >= 1, f"A ball reaches to at least the nearest neighbour, found k = {k}.")
    require(
        min(count, reference_count) > k,
        f"Precision, recall, density and coverage with k = {k} need at least {k + 1} samples on both sides, found "
        f"{count} generated and {reference_count} real ones.",
    )
