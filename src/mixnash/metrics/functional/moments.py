r"""First and second moments of features: sums that add over batches, processes and particles.

With features :math:`x_i`, the mean is :math:`m = \frac1n \sum_i x_i` and the covariance the unbiased
:math:`C = \frac{1}{n-1} \sum_i (x_i - m)(x_i - m)^T`, as in torchmetrics, torch-fidelity and pytorch-fid.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, final

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from mixnash.core.errors import require

_CONSTANT = 1e-13
"""Variance in units of the mean square below which a feature is constant: a deviation of three roundings of float32."""


class MeanCovariance(NamedTuple):
    """The Gaussian that stands for a law of features."""

    mean: Float64[Tensor, " d"]
    covariance: Float64[Tensor, "d d"]


@final
@dataclass(frozen=True)
class FeatureMoments:
    """Sums over features, in float64; make them with `feature_moments`, add them with ``+``."""

    count: Int64[Tensor, ""]
    """The number of features n."""
    sum: Float64[Tensor, " d"]
    """Their sum."""
    outer: Float64[Tensor, "d d"]
    """The sum of their outer products."""

    def __add__(self, other: "FeatureMoments") -> "FeatureMoments":
        """The moments of both sets together."""
        return FeatureMoments(self.count + other.count, self.sum + other.sum, self.outer + other.outer)

    def mean_covariance(self) -> MeanCovariance:
        """Mean and unbiased covariance; see `combine`, of which this is the case of one set.

        Raises:
            InvalidInputError: with fewer than 2 features.
        """
        return combine([self], torch.ones(1))


def feature_moments(features: Float[Tensor, "n d"]) -> FeatureMoments:
    """The moments of features [n, d], summed in float64, in which products of float32 numbers are exact."""
    values = features.detach().double()
    count = torch.tensor(len(values), device=values.device)
    return FeatureMoments(count, values.sum(dim=0), values.T @ values)


def combine(moments: Sequence[FeatureMoments], weights: Float[Tensor, " K"]) -> MeanCovariance:
    r"""Mean and covariance of the mixture :math:`\sum_k w_k P_k` from the moments of the particles' own samples,

    .. math:: m = \sum_k w_k \bar x_k, \qquad
        C = \frac{\sum_k w_k \overline{(x x^T)}_k - m m^T}{1 - \sum_k w_k^2 / n_k}.

    Every sample of particle k counts with weight :math:`w_k / n_k`, and the divisor is that of independent samples
    with such weights (``numpy.cov`` with ``aweights``): C is exactly the unbiased covariance of all samples together
    where the weights are proportional to the counts, and deviates from an unbiased one by order 1/n elsewhere. The
    inverse of :math:`\sum_k w_k^2 / n_k` is the effective number of samples.

    A feature with a standard deviation below 3e-7 of its root mean square cannot be told from a constant in float32;
    its row and column of C are exactly 0, so that total collapse has covariance 0, not that of rounding errors.

    Args:
        moments: of each particle; without samples only where its weight is 0.
        weights: of the particles [K], summing to 1.

    Raises:
        InvalidInputError: when the weights do not fit or are no weights, or there are fewer than 2 samples.
    """
    require(
        len(moments) == len(weights) > 0,
        f"A mixture needs one weight for each of its sets of moments, found {len(weights)} for {len(moments)}.",
    )
    total = float(weights.double().sum())
    require(
        bool((weights >= 0).all()) and abs(total - 1) < 1e-4,
        f"The weights of a mixture must be at least 0 and sum to 1, found {weights.tolist()}.",
    )
    shares = [weight / total for weight in weights.tolist()]
    used = [(one, share, int(one.count)) for one, share in zip(moments, shares, strict=True) if share > 0]
    require(
        all(count > 0 for *_, count in used),
        "A particle of positive weight has no samples; draw some of every particle, or set its weight to 0.",
    )
    divisor = 1 - sum(share**2 / count for _, share, count in used)
    samples = sum(count for *_, count in used)
    require(divisor > 0, f"A covariance needs at least 2 samples, found {samples}.")
    mean = torch.stack([one.sum * (share / count) for one, share, count in used]).sum(dim=0)
    square = torch.zeros_like(used[0][0].outer)
    for one, share, count in used:
        square += one.outer * (share / count)
    scatter = square - torch.outer(mean, mean)
    constant = scatter.diagonal() <= _CONSTANT * square.diagonal()
    scatter[constant], scatter[:, constant] = 0.0, 0.0
    return MeanCovariance(mean, scatter / divisor)
