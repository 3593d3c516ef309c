r"""Whether samples can be told from as many independent draws of the data's Gaussian mixture itself.

Each statistic of `STATISTICS` measures one way to differ and is large where the samples are bad. Its law under the
null hypothesis comes from simulated perfect samplers. The least of the p-values of several statistics is compared with
the least of each simulated sampler's, which corrects for looking at several exactly, however dependent they are:
the corrected p-value of a perfect sampler is uniform, and one below 0.05 has a chance of 5 %.

Not looked at: shapes within a mode beyond its centre and its mean square width.

References:
    Westfall, Young, 1993, Resampling-based multiple testing (the correction by the least p-value).
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mixnash.core.errors import require
from mixnash.core.mixtures import GaussianMixture
from mixnash.core.random import stream
from mixnash.metrics.functional.cut_normal import (
    chi_square,
    draw_mean_squares,
    draw_multinomial,
    mean_square,
    variance_of_square,
)
from mixnash.metrics.functional.distances import distances
from mixnash.metrics.functional.mode_coverage import (
    check_protocol,
    coverage_scores,
    nearest_modes,
    normalised_weights,
)

STATISTICS = ("high_quality", "reverse_kl", "modes", "width", "mode_width", "mode_centre")
"""In the order of the last axis of `deviations` and `perfect_deviations`."""
VARIANTS = {"perfect_p_coverage": STATISTICS[:3], "perfect_p_full": STATISTICS}
"""Corrected p-values by name, and the statistics that each looks at."""


class MomentStatistics(NamedTuple):
    """What the test needs to know of a set of samples; the statistics of a union are the sums."""

    high_quality: Int[Tensor, " M"]
    """Samples of each mode within the threshold."""
    square: Float[Tensor, " M"]
    """Sum over them of the squared distance to the centre, in units of sigma^2; float64."""
    offset: Float[Tensor, "M D"]
    """Sum over them of the way from the centre, in units of sigma; float64."""
    total: Int[Tensor, ""]
    """All samples, finite or not."""


def moment_statistics(samples: Float[Tensor, "n D"], mixture: GaussianMixture, threshold: float) -> MomentStatistics:
    """Count and measure samples by mode.

    Args:
        samples: [n, D] in data coordinates.
        mixture: the data's law, M modes.
        threshold: t in units of sigma.

    Raises:
        InvalidInputError: when samples and mixture differ in the number of axes.
    """
    nearest, distance = nearest_modes(samples, mixture)
    close = distance < threshold
    mode, centres = nearest[close], mixture.centres.to(samples.device, torch.float64)
    away = (samples[close].double() - centres[mode]) / mixture.scales.to(samples.device, torch.float64)[mode, None]
    return MomentStatistics(
        high_quality=torch.bincount(mode, minlength=len(centres)),
        square=distance.new_zeros(len(centres)).index_add(0, mode, distance[close].square()),
        offset=torch.zeros_like(centres).index_add(0, mode, away),
        total=torch.tensor(len(samples), device=samples.device),
    )


def are_separated(mixture: GaussianMixture, threshold: float) -> bool:
    """Whether no point is within the threshold of two modes, as the null laws take it to be."""
    reach = threshold * (mixture.scales + mixture.scales.unsqueeze(1)).double()
    apart = distances(mixture.centres, mixture.centres) >= reach
    return bool((apart | torch.eye(len(reach), dtype=torch.bool, device=apart.device)).all())


def deviations(
    statistics: MomentStatistics, mixture: GaussianMixture, threshold: float
) -> Float[Tensor, " statistics"]:
    r"""The statistics of a set of samples. With :math:`n_m` high-quality samples of mode m, n their sum, N all samples,
    :math:`q = F_D(t^2)` and, over a mode's high-quality samples in units of sigma, :math:`S_m` the sum of squares and
    :math:`o_m` the sum of the ways from the centre; :math:`\mu` and :math:`\sigma^2` mean and variance of a perfect
    sampler's squares:

    * ``high_quality``: :math:`|n - N q|`. Two-sided: too many mean modes that are too tight.
    * ``reverse_kl``: :math:`KL(n_m / n \| w)`. One-sided: masses more even than chance makes them are no fault.
    * ``modes``: minus the modes with a high-quality sample. One-sided.
    * ``width``: :math:`|\sum_m (S_m - n_m \mu)| / (\sigma \sqrt n)`, all modes too tight or too wide. Two-sided.
    * ``mode_width``: :math:`\max_m |S_m - n_m \mu| / (\sigma \sqrt{n_m})`, one mode too tight or too wide. Two-sided.
    * ``mode_centre``: :math:`\max_m D |o_m|^2 / (\mu n_m)`, one mode off its place.

    Args:
        statistics: of the samples, from `moment_statistics` with the same mixture and threshold.
        mixture: the data's law, M modes.
        threshold: t in units of sigma.

    Returns:
        As many numbers as there are `STATISTICS`, in float64 on the CPU.

    Raises:
        InvalidInputError: as `check_protocol`.
    """
    check_protocol(mixture, threshold, ())
    counts, square, offset, total = (part.cpu().double() for part in statistics)
    return _deviations(counts, square, offset.square().sum(-1), total, mixture, threshold)


def perfect_deviations(
    mixture: GaussianMixture, count: int, threshold: float, repeats: int = 2000, seed: int = 0
) -> Float[Tensor, "repeats statistics"]:
    """The statistics of simulated perfect samplers, as in `mode_coverage.perfect_sampler`; the centres' are Gaussian,
    by the central limit theorem.

    Args:
        mixture: the data's law, M modes.
        count: samples N per repeat.
        threshold: t in units of sigma.
        repeats: simulated sample sets; no p-value can be less than 1 / (repeats + 1).
        seed: of the draws.

    Raises:
        InvalidInputError: as `check_protocol`; without samples or repeats; or when modes are so close that a point may
            be within the threshold of two.
    """
    check_protocol(mixture, threshold, ())
    require(count >= 1 and repeats >= 1, f"Perfect samplers need samples and repeats, found {count} and {repeats}.")
    require(
        are_separated(mixture, threshold),
        f"The test against a perfect sampler needs modes that do not overlap within {threshold:.3g} sigma, found some "
        "that do; lower the threshold or leave the test out.",
    )
    axes, rng = mixture.centres.shape[1], stream(torch.device("cpu"), seed)
    weights = normalised_weights(mixture, torch.device("cpu"))
    counts = draw_multinomial(weights * chi_square(axes, threshold), count, repeats, rng)
    square = counts * draw_mean_squares(counts, axes, threshold, rng)
    normal = torch.randn(*counts.shape, axes, generator=rng, dtype=torch.float64)
    offset_square = counts * mean_square(axes, threshold) / axes * normal.square().sum(-1)
    return _deviations(counts, square, offset_square, torch.tensor(count).double(), mixture, threshold)


def corrected_p_value(
    found: Float[Tensor, " statistics"], perfect: Float[Tensor, "repeats statistics"], names: Sequence[str] = STATISTICS
) -> float:
    r"""The chance that a perfect sampler looks at least as bad in whatever of some statistics it looks worst.

    Observed and simulated samplers together are R + 1 equally entitled ones; with :math:`p_{ij}` the share of them
    that are at least as bad as the i-th in statistic j, this is the share whose :math:`\min_j p_{ij}` is at most the
    observed sampler's.

    Args:
        found: from `deviations`.
        perfect: from `perfect_deviations` for as many samples.
        names: the statistics to look at, of `STATISTICS`.

    Returns:
        From 1 / (R + 1) to 1.
    """
    columns = [STATISTICS.index(name) for name in names]
    pool = torch.cat([found.unsqueeze(0), perfect])[:, columns].T.contiguous()
    better = torch.searchsorted(pool.sort(dim=1).values, pool)  # how many are strictly better, by statistic
    worst = (pool.shape[1] - better).amin(dim=0)  # in counts, so that ties are ties
    return float((worst <= worst[0]).double().mean())


def _deviations(
    counts: Tensor, square: Tensor, offset_square: Tensor, total: Tensor, mixture: GaussianMixture, threshold: float
) -> Tensor:
    """Of counts, sums of squares and squared sums of offsets [*repeats, M] each: [*repeats, statistics]."""
    axes, good = mixture.centres.shape[1], counts.sum(-1)
    coverage = coverage_scores(counts, total, normalised_weights(mixture, counts.device), (1,))
    mean, variance = mean_square(axes, threshold), variance_of_square(axes, threshold)
    excess, some = square - counts * mean, counts.clamp(min=1)
    columns = {
        "high_quality": (good - total * chi_square(axes, threshold)).abs(),
        "reverse_kl": coverage["reverse_kl"],
        "modes": -coverage["modes"],
        "width": excess.sum(-1).abs() / (variance * good.clamp(min=1)).sqrt(),
        "mode_width": (excess.abs() / (variance * some).sqrt()).amax(-1),
        "mode_centre": (axes * offset_square / (mean * some)).amax(-1),
    }
    return torch.stack([columns[name] for name in STATISTICS], dim=-1)
