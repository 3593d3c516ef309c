r"""Whether generated samples copy the training set: how near they are to it, beside samples that were held out.

The distance of a sample is the one to its nearest training sample. Samples of the data's law that were not trained on
have these distances too, some of them small; a generator memorises if more of its own are as small as the smallest of
theirs.

References:
    Alaa et al., 2022, How faithful is your synthetic data?, https://arxiv.org/abs/2102.08921 (authenticity).
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mixnash.core.errors import require
from mixnash.metrics.functional.neighbours import CHUNK, nearest, nearest_neighbours


def memorisation_scores(
    features: Float[Tensor, "n D"],
    reference_features: Float[Tensor, "m D"],
    training: Float[Tensor, "t D"],
    level: float = 0.01,
    chunk: int = CHUNK,
) -> dict[str, Tensor]:
    """How far generated samples copy the training set.

    * ``memorised_share``: `memorised_share`; a perfect sampler's is `level` in the mean, a copier's 1.
    * ``authentic_share``: `authentic_share` of the generated samples, in [0, 1]; 0 for copies.
    * ``held_out_authentic_share``: the same of the held-out samples, which is a perfect sampler's in the mean.

    Args:
        features: [n, D] of generated samples; pixels or the features of an extractor. One that is not finite is
            neither memorised nor authentic.
        reference_features: [m, D] of real samples that were not trained on, finite.
        training: [t, D] of the training samples, at least 2, finite.
        level: share of the held-out samples that count as near the training set.
        chunk: rows and columns of the blocks of distances.

    Returns:
        Scalars in float64.

    Raises:
        InvalidInputError: as `check_training` and `memorised_share`, or when the numbers of features differ.
    """
    check_training(training)
    (distances, rows), (held_out, held_out_rows) = (
        nearest(queries, training, chunk) for queries in (features, reference_features)
    )
    return {
        "memorised_share": memorised_share(distances, held_out, level),
        "authentic_share": authentic_share(distances, nearest_other(training, rows, chunk)),
        "held_out_authentic_share": authentic_share(held_out, nearest_other(training, held_out_rows, chunk)),
    }


def memorised_share(
    distances: Float[Tensor, " n"], held_out_distances: Float[Tensor, " m"], level: float = 0.01
) -> Float[Tensor, ""]:
    r"""Share of samples at most as far from the training set as the nearest `level` of the held-out ones.

    With :math:`h_{(r)}` the r-th smallest distance of the held-out samples, :math:`F` the share of the samples' own
    distances that are at most a number, and :math:`r + w = \alpha (m + 1)`, r whole and :math:`0 \le w < 1`,

    .. math:: (1 - w) F(h_{(r)}) + w F(h_{(r+1)}).

    As generated and held-out samples of one law are interchangeable, the mean of :math:`F(h_{(r)})` over both is
    r / (m + 1), so a perfect sampler scores :math:`\alpha` in the mean, whatever the law, if distances have no ties.
    Equally near counts as near: where as much as :math:`\alpha` of the held-out samples copy a training sample
    themselves, copies cannot be told from the data and count as memorised nevertheless.

    Args:
        distances: [n] to the nearest training sample, n >= 1; infinite or NaN counts as far.
        held_out_distances: [m] the same of the held-out samples, finite.
        level: alpha, in (0, 0.5].

    Returns:
        Float64, in [0, 1].

    Raises:
        InvalidInputError: for an impossible level, without samples, with fewer than 1/alpha - 1 held-out samples, or
            when a held-out distance is not finite.
    """
    check_level(level)
    count = len(held_out_distances)
    require(len(distances) >= 1, "The memorisation check needs at least 1 generated sample, found none.")
    least = math.ceil(1 / level - 1 - 1e-6)
    # A little leeway, as 0.07 * 100 is not quite 7.
    position = level * (count + 1) + 1e-9
    require(
        position >= 1,
        f"The memorisation check at level {level:.4g} needs at least {least} held-out samples, found "
        f"{count}; hold out more or raise the level.",
    )
    require(
        bool(held_out_distances.isfinite().all()),
        "The memorisation check needs finite features of the held-out samples, found NaN or infinity; "
        "look for broken images in the data set.",
    )
    rank = int(position)
    weight = max(position - 1e-9 - rank, 0.0)
    ordered = held_out_distances.double().sort().values
    below, above = (
        (distances.double() <= ordered[place]).double().mean() for place in (rank - 1, min(rank, count - 1))
    )
    return (1 - weight) * below + weight * above


def authentic_share(distances: Float[Tensor, " n"], others: Float[Tensor, " n"]) -> Float[Tensor, ""]:
    """Share of samples farther from their nearest training sample than that is from its own nearest other one.

    The mean of authenticity (AuthPct, as a share). Compare with that of held-out samples: it depends on the law.

    Args:
        distances: [n] to the nearest training sample, n >= 1; infinite or NaN counts as not authentic.
        others: [n] distance of that training sample to the nearest other one, from `nearest_other`.

    Returns:
        Float64, in [0, 1].
    """
    return (distances.isfinite() & (distances > others)).double().mean()


def nearest_other(training: Float[Tensor, "t D"], rows: Int[Tensor, " n"], chunk: int = CHUNK) -> Float[Tensor, " n"]:
    """Distance [n] of the training samples in some rows to the nearest training sample in another row."""
    asked, place = torch.unique(rows, return_inverse=True)
    return nearest_neighbours(training[asked], training, 1, asked, chunk).distances.squeeze(1)[place]


def check_training(training: Tensor) -> None:
    """Refuse training samples that nothing can be compared with.

    Raises:
        InvalidInputError: with fewer than 2 rows, or one that is not finite.
    """
    require(
        training.ndim == 2 and len(training) >= 2 and bool(training.isfinite().all()),
        "The memorisation check needs finite features of at least 2 training samples, [samples, features], found "
        f"shape {list(training.shape)}" + (" or values that are not finite." if training.ndim == 2 else "."),
    )


def check_level(level: float) -> None:
    """Refuse levels that are none.

    Raises:
        InvalidInputError: unless above 0 and at most 0.5.
    """
    require(0 < level <= 0.5, f"The level of the memorisation check is above 0 and at most 0.5, found {level}.")
