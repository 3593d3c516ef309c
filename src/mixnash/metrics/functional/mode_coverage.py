r"""How well samples cover the modes of an isotropic Gaussian mixture :math:`\sum_m w_m N(c_m, s_m^2 I)`.

A sample x belongs to the mode with the smallest :math:`r_m(x) = |x - c_m| / s_m` and is of *high quality* when this
distance in units of sigma is below a threshold t. The distance is the Euclidean one, as in VEEGAN and most work after
it: a perfect sampler scores :math:`1 - e^{-4.5} = 0.9889` in two dimensions at t = 3, and more than that means modes
that are too tight. PacGAN's code tests every axis on its own, a square instead of a disc (0.9946). In more dimensions
t = 3 would refuse nearly all of a perfect sampler; `cut_normal.standard_threshold` keeps its score at 0.9889.

References:
    Srivastava et al., 2017, VEEGAN, https://arxiv.org/abs/1705.07761 (modes, high quality).
    Lin et al., 2018, PacGAN, https://arxiv.org/abs/1712.04086 (reverse KL).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mixnash.core.errors import require
from mixnash.core.mixtures import GaussianMixture
from mixnash.core.random import stream
from mixnash.metrics.functional.cut_normal import chi_square, draw_mean_squares, draw_multinomial, mean_square
from mixnash.metrics.functional.distances import distances, row_blocks

_SMOOTHING = 0.5
"""Pseudo-count per mode of the forward KL (Jeffreys' prior)."""
_SMALLEST_SHARE = 1e-6
"""Thresholds within which a perfect sampler has a smaller share of its samples than this are refused."""


class ModeStatistics(NamedTuple):
    """What the scores need to know of a set of samples; the statistics of a union are the sums."""

    near: Int[Tensor, " M"]
    """Samples that belong to each mode, near or far."""
    high_quality: Int[Tensor, " M"]
    """Those of them within the threshold."""
    square: Float[Tensor, " M"]
    """Sum over the high-quality samples of the squared distance to the centre, in units of sigma^2; float64."""
    total: Int[Tensor, ""]
    """All samples, finite or not."""


def check_protocol(mixture: GaussianMixture, threshold: float, min_counts: Sequence[int]) -> None:
    """Refuse thresholds and counts that no sampler can meet.

    Raises:
        InvalidInputError: when a perfect sampler has (almost) nothing within the threshold, or a count is below 1.
    """
    axes = mixture.centres.shape[1]
    require(
        math.isfinite(threshold) and threshold > 0 and chi_square(axes, threshold) >= _SMALLEST_SHARE,
        f"The threshold must be finite and let a perfect sampler pass: in {axes} dimensions its samples lie about "
        f"{math.sqrt(axes):.3g} sigma from the centre, found a threshold of {threshold} sigma; raise it.",
    )
    require(
        all(count >= 1 for count in min_counts),
        f"A mode needs at least 1 sample to count, found minimum counts {tuple(min_counts)}.",
    )


def mode_statistics(samples: Float[Tensor, "n D"], mixture: GaussianMixture, threshold: float) -> ModeStatistics:
    """Count and measure samples by mode.

    Args:
        samples: [n, D] in data coordinates. Those that are not finite count in `total` and nowhere else.
        mixture: the data's law, M modes.
        threshold: t in units of sigma.

    Raises:
        InvalidInputError: when samples and mixture differ in the number of axes.
    """
    nearest, distance = nearest_modes(samples, mixture)
    modes = len(mixture.centres)
    close = distance < threshold
    square = distance.new_zeros(modes).index_add(0, nearest[close], distance[close].square())
    return ModeStatistics(
        near=torch.bincount(nearest[distance.isfinite()], minlength=modes),
        high_quality=torch.bincount(nearest[close], minlength=modes),
        square=square,
        total=torch.tensor(len(samples), device=samples.device),
    )


def mode_scores(
    statistics: ModeStatistics, mixture: GaussianMixture, threshold: float, min_counts: Sequence[int] = (1, 20)
) -> dict[str, Tensor]:
    r"""The usual scores. With h the shares of the modes among the high-quality samples and w the data's weights:

    * ``modes``, ``modes_min20``: modes with at least 1, 20 high-quality samples (one key per minimum count).
    * ``high_quality``: high-quality share of all samples, in [0, 1]; best is the perfect sampler's, not 1.
    * ``reverse_kl``: :math:`KL(h \| w)` in nats, from 0 to -log(min w).
    * ``forward_kl``: :math:`KL(w \| \tilde h)` in nats, where half a sample is added to every mode before normalising.
      Smoothing pulls few samples towards equal shares: read it only where `high_quality` is large.
    * ``jsd``: :math:`(KL(h \| m) + KL(w \| m)) / 2` with m = (h + w)/2, in nats, from 0 to log 2.
    * ``variance_ratio``: mean squared distance to the true centre over that of a perfect sampler cut at the threshold,
      :math:`D F_{D+2}(t^2) / F_D(t^2)` with F_k the distribution function of chi-square; averaged over the modes with
      at least 2 high-quality samples. 1 is perfect, less is too tight. ``_min``, ``_max``: extremes over those modes.

    Nothing is ever NaN. With no sample of high quality, the divergences are those of all samples on the least likely
    mode, the worst that a histogram of as many samples can have; with no mode of 2 the variance ratios are 0.

    Args:
        statistics: of the samples, from `mode_statistics` with the same mixture and threshold.
        mixture: the data's law, M modes.
        threshold: t in units of sigma.
        min_counts: how many high-quality samples make a mode count.

    Returns:
        Scalars in float64.

    Raises:
        InvalidInputError: as `check_protocol`.
    """
    check_protocol(mixture, threshold, min_counts)
    counts = statistics.high_quality.double()
    scores = coverage_scores(counts, statistics.total.double(), normalised_weights(mixture, counts.device), min_counts)
    return scores | _variance_ratios(counts, statistics.square, mean_square(mixture.centres.shape[1], threshold))


def perfect_sampler(
    mixture: GaussianMixture,
    count: int,
    threshold: float,
    min_counts: Sequence[int] = (1, 20),
    seed: int = 0,
    repeats: int = 200,
) -> dict[str, float]:
    """What independent draws from the data themselves score: the floor (or ceiling) of every key of `mode_scores`.

    Mode counts are drawn from their multinomial law, which takes the modes to be so far apart that no sample is within
    the threshold of another mode. Mean squares are drawn from the gamma law with the exact mean and variance, by the
    cube-root approximation.

    References:
        Wilson, Hilferty, 1931, The distribution of chi-square, PNAS 17(12), 684-688.

    Args:
        mixture: the data's law, M modes.
        count: samples n per repeat.
        threshold: t in units of sigma.
        min_counts: how many high-quality samples make a mode count.
        seed: of the draws.
        repeats: simulated sample sets.

    Returns:
        For every key of `mode_scores` the mean over the repeats, and under key + ``_std`` the standard deviation.

    Raises:
        InvalidInputError: as `check_protocol`, without samples, or with fewer than 2 repeats.
    """
    check_protocol(mixture, threshold, min_counts)
    require(count >= 1, f"A perfect sampler needs at least 1 sample, found {count}; update the metric first.")
    require(repeats >= 2, f"A standard deviation needs at least 2 repeats, found {repeats}.")
    rng = stream(torch.device("cpu"), seed)
    axes, weights = mixture.centres.shape[1], normalised_weights(mixture, torch.device("cpu"))
    counts = draw_multinomial(weights * chi_square(axes, threshold), count, repeats, rng)
    square = counts * draw_mean_squares(counts, axes, threshold, rng)
    scores = coverage_scores(counts, torch.tensor(count).double(), weights, min_counts)
    scores |= _variance_ratios(counts, square, mean_square(mixture.centres.shape[1], threshold))
    means = {key: float(values.mean()) for key, values in scores.items()}
    return means | {f"{key}_std": float(values.std()) for key, values in scores.items()}


def nearest_modes(
    samples: Float[Tensor, "n D"], mixture: GaussianMixture
) -> tuple[Int[Tensor, " n"], Float[Tensor, " n"]]:
    """Each sample's mode [n] and its distance in units of sigma [n], which is not finite where the sample is not.

    Raises:
        InvalidInputError: when samples and mixture differ in the number of axes.
    """
    modes, axes = mixture.centres.shape
    require(samples.shape[1] == axes, f"The mixture has {axes} axes, found samples with {samples.shape[1]}.")
    centres, scales = (values.to(samples.device, torch.float64) for values in (mixture.centres, mixture.scales))
    least = [(distances(block, centres) / scales).min(dim=1) for block in row_blocks(samples, modes)]
    return torch.cat([block.indices for block in least]), torch.cat([block.values for block in least])


def normalised_weights(mixture: GaussianMixture, device: torch.device) -> Float[Tensor, " M"]:
    """The weights in float64, summing to 1 to its precision."""
    weights = mixture.weights.to(device, torch.float64)
    return weights / weights.sum()


def coverage_scores(
    counts: Float[Tensor, "*repeats M"],
    total: Float[Tensor, ""],
    weights: Float[Tensor, " M"],
    min_counts: Sequence[int],
) -> dict[str, Tensor]:
    """Scores of high-quality counts [*repeats, M] among `total` samples: tensors [*repeats]."""
    good = counts.sum(-1)
    worst = torch.zeros_like(weights)
    worst[weights.argmin()] = total.clamp(min=1)
    histogram = torch.where(good.unsqueeze(-1) > 0, counts, worst)
    smooth = histogram + _SMOOTHING
    shares, smooth = (values / values.sum(-1, keepdim=True) for values in (histogram, smooth))
    middle = (shares + weights) / 2
    scores = {_modes_key(least): (counts >= least).sum(-1).double() for least in min_counts}
    scores["high_quality"] = good / total.clamp(min=1)
    scores["reverse_kl"] = _relative_entropy(shares, weights)
    scores["forward_kl"] = _relative_entropy(weights, smooth)
    scores["jsd"] = (_relative_entropy(shares, middle) + _relative_entropy(weights, middle)) / 2
    return scores


def _modes_key(least: int) -> str:
    return "modes" if least == 1 else f"modes_min{least}"


def _relative_entropy(p: Tensor, q: Tensor) -> Tensor:
    """KL(p || q) over the last axis, with 0 log 0 = 0; rounding cannot make it negative."""
    return torch.xlogy(p, p / q).sum(-1).clamp(min=0)


def _variance_ratios(counts: Tensor, square: Tensor, expected: float) -> dict[str, Tensor]:
    """Ratios of counts and sums of squares [*repeats, M]: tensors [*repeats]."""
    enough = counts >= 2
    ratio = square / counts.clamp(min=1) / expected
    some = enough.any(-1)
    least = ratio.masked_fill(~enough, math.inf).amin(-1)
    return {
        "variance_ratio": ratio.masked_fill(~enough, 0).sum(-1) / enough.sum(-1).clamp(min=1),
        "variance_ratio_min": torch.where(some, least, torch.zeros_like(least)),
        "variance_ratio_max": ratio.masked_fill(~enough, 0).amax(-1),
    }
