r"""Frechet distance: the squared Wasserstein-2 distance of the Gaussians with the means and covariances of features.

.. math:: d^2 = |m_a - m_b|^2 + \mathrm{tr}\, C_a + \mathrm{tr}\, C_b - 2\, \mathrm{tr} (C_a C_b)^{1/2}.

With factors :math:`C_a = F F^T` and :math:`C_b = G G^T`, the eigenvalues of :math:`C_a C_b` are those of the symmetric
:math:`F^T C_b F`, and the roots of these are the singular values of :math:`F^T G`: the last trace is their sum.

The distance is biased: of two sets of n samples of one law it is about proportional to 1/n (standard normal
features of 64 dimensions: 44 at n = 50, 2.2 at 1,000), so only distances of equal n compare.

References:
    Dowson, Landau, 1982, The Frechet distance between multivariate normal distributions, J. Multivariate Analysis 12.
    Heusel et al., 2017, GANs trained by a two time-scale update rule converge to a local Nash equilibrium, equation 6.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from mixnash.core.errors import require

_EPSILON = torch.finfo(torch.float64).eps
_TOLERANCE = 1e-9
"""Rounding of the trace, in units of tr C_a + tr C_b, above which singular values replace roots of eigenvalues."""


def frechet_distance(
    mean_a: Float[Tensor, " d"],
    covariance_a: Float[Tensor, "d d"],
    mean_b: Float[Tensor, " d"],
    covariance_b: Float[Tensor, "d d"],
) -> Float[Tensor, ""]:
    """The distance in float64, by symmetric eigenvalues; at least 0, and never NaN.

    Singular covariances are exact too: where one is 0 the distance is the square of the means' plus the trace of the
    other. It differs by order 1e-15 of tr C_a + tr C_b from the exact value; below that rounding, it may be 0.

    Args:
        mean_a: [d]; where anything is not finite, the distance is infinite.
        covariance_a: [d, d], symmetric and positive semidefinite; put the one more likely to be singular here.
        mean_b: [d].
        covariance_b: [d, d].

    Raises:
        InvalidInputError: when the dimensions differ.
    """
    values = _checked(mean_a, covariance_a, mean_b, covariance_b)
    if not all(bool(value.isfinite().all()) for value in values):
        return torch.tensor(torch.inf, dtype=torch.float64, device=mean_a.device)
    mean_a, covariance_a, mean_b, covariance_b = values
    return _assemble(mean_a - mean_b, covariance_a, covariance_b, _trace_of_root(covariance_a, covariance_b))


def frechet_distance_reference(
    mean_a: Float[Tensor, " d"],
    covariance_a: Float[Tensor, "d d"],
    mean_b: Float[Tensor, " d"],
    covariance_b: Float[Tensor, "d d"],
) -> Float[Tensor, ""]:
    """`frechet_distance` by the eigenvalues of the general matrix C_a C_b, as torchmetrics has it: slower.

    Singular covariances cost accuracy, of order 1e-8 for each dimension that is missing.
    """
    mean_a, covariance_a, mean_b, covariance_b = _checked(mean_a, covariance_a, mean_b, covariance_b)
    root: Tensor = torch.linalg.eigvals(covariance_a @ covariance_b).sqrt().real.sum()
    return (mean_a - mean_b).square().sum() + covariance_a.trace() + covariance_b.trace() - 2 * root


def frechet_distance_of_features(features: Float[Tensor, "n d"], reference: Float[Tensor, "m d"]) -> Float[Tensor, ""]:
    r"""`frechet_distance` from the features themselves: no covariance is formed, so nothing is lost where n < d.

    With centred features A / sqrt(n - 1) and B / sqrt(m - 1), :math:`\mathrm{tr} (C_a C_b)^{1/2}` is the nuclear norm
    of :math:`A B^T`. More rows than columns are first cut to the triangle of their QR decomposition.

    Args:
        features: [n, d], n >= 2; where one is not finite, the distance is infinite.
        reference: [m, d], m >= 2.

    Raises:
        InvalidInputError: with fewer than 2 features on a side, or different dimensions.
    """
    n, m = len(features), len(reference)
    require(n >= 2 and m >= 2, f"A Frechet distance needs at least 2 samples on both sides, found {n} and {m}.")
    _check_dimensions(features.shape[1], reference.shape[1])
    if not bool(features.isfinite().all() and reference.isfinite().all()):
        return torch.tensor(torch.inf, dtype=torch.float64, device=features.device)
    rows, reference_rows = features.double(), reference.double()
    difference = rows.mean(dim=0) - reference_rows.mean(dim=0)
    left, right = _centred_triangle(rows), _centred_triangle(reference_rows)
    root: Tensor = torch.linalg.svdvals(left @ right.T).sum()
    return (difference.square().sum() + left.square().sum() + right.square().sum() - 2 * root).clamp(min=0)


def _checked(*values: Tensor) -> list[Tensor]:
    """Means and covariances in float64."""
    _check_dimensions(len(values[0]), len(values[2]))
    return [value.double() for value in values]


def _check_dimensions(one: int, other: int) -> None:
    require(
        one == other,
        f"A Frechet distance compares features of one extractor, found {one} and {other} dimensions; "
        "extract both sides with the same.",
    )


def _assemble(difference: Tensor, covariance_a: Tensor, covariance_b: Tensor, root: Tensor) -> Tensor:
    # The exact value is never negative; rounding makes it so for equal laws.
    return (difference.square().sum() + covariance_a.trace() + covariance_b.trace() - 2 * root).clamp(min=0)


def _trace_of_root(covariance_a: Tensor, covariance_b: Tensor) -> Tensor:
    """The trace of (C_a C_b)^(1/2)."""
    # A feature constant on one side contributes nothing; without it the rest is more often positive definite.
    live = (covariance_a.diagonal() > 0) & (covariance_b.diagonal() > 0)
    if not bool(live.any()):
        return covariance_a.new_zeros(())
    covariance_a, covariance_b = covariance_a[live][:, live], covariance_b[live][:, live]
    factor = _factor(covariance_a)
    squares: Tensor = torch.linalg.eigvalsh(factor.T @ covariance_b @ factor)
    # The rounding of an eigenvalue is that of the largest one; its root carries it divided by twice the root.
    rounding = _EPSILON * squares[-1]
    error = rounding / 2 * squares.clamp(min=rounding).rsqrt().norm()
    if bool(error <= _TOLERANCE * (covariance_a.trace() + covariance_b.trace())):
        return squares.clamp(min=0).sqrt().sum()
    values: Tensor = torch.linalg.svdvals(factor.T @ _factor(covariance_b))
    return values.sum()


def _factor(covariance: Tensor) -> Tensor:
    """F [d, r] with F F^T = C, of rank r up to rounding: triangular by Cholesky, else from eigenvectors."""
    threshold = len(covariance) * _EPSILON
    triangle: Tensor
    triangle, failed = torch.linalg.cholesky_ex(covariance)
    # A singular matrix may pass by luck of the rounding; its last pivots are then rounding errors.
    if int(failed) == 0 and bool(triangle.diagonal().square().min() > threshold * covariance.diagonal().max()):
        return triangle
    values, vectors = torch.linalg.eigh(covariance)
    kept = values > threshold * values[-1]
    factor: Tensor = vectors[:, kept] * values[kept].sqrt()
    return factor


def _centred_triangle(features: Tensor) -> Tensor:
    """R [min(n, d), d] with R^T R the unbiased covariance of features [n, d]."""
    centred = (features - features.mean(dim=0)) / math.sqrt(len(features) - 1)
    if len(features) <= features.shape[1]:
        return centred
    triangle: Tensor = torch.linalg.qr(centred, mode="r").R
    return triangle
