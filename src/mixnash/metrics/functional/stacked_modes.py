r"""How well pictures of several stacked digits cover all combinations: 1,000 modes for three digits (Stacked MNIST).

Each channel is one digit, read by a classifier; classes a, b, c make mode 100 a + 10 b + c. With :math:`\hat p` the
shares of the M modes among the samples:

* modes: those with at least one sample;
* :math:`KL(\hat p \| u) = \sum_i \hat p_i \log (M \hat p_i)`, u uniform, in nats, from 0 to log M (6.908 for 1,000);
* :math:`KL(\hat p \| q)`, q the data's own law, as the classes of the data are not equally frequent.

Nothing is smoothed, so larger numbers, as some tables have, are another quantity. All depend on the number of samples:
26,000 in the published tables, for which a perfect sampler of MNIST scores .024 (uniform) and .019 (own law).

References:
    Metz et al., 2017, Unrolled GANs, https://arxiv.org/abs/1611.02163 (stacked digits).
    Srivastava et al., 2017, VEEGAN, https://arxiv.org/abs/1705.07761 (26,000 samples, KL).
    Lin et al., 2018, PacGAN, https://arxiv.org/abs/1712.04086 (tables).
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mixnash.core.errors import require
from mixnash.core.random import stream
from mixnash.metrics.functional.cut_normal import draw_multinomial

PROTOCOL_COUNT = 26_000
"""Samples in the published tables."""
_BINS = 1 << 20
"""Most modes that are counted."""


class StackedStatistics(NamedTuple):
    """What the scores need to know of a set of samples; the statistics of a union are the sums."""

    counts: Int[Tensor, " M"]
    """Samples of each mode."""
    confident: Int[Tensor, " M"]
    """Those of them of whose every digit the classifier is sure."""
    total: Int[Tensor, ""]
    """All samples, those with logits that are not finite included."""


def number_of_modes(channels: int, classes: int) -> int:
    """The combinations of one class a channel.

    Raises:
        InvalidInputError: without channels, with fewer than 2 classes, or when there are too many to count.
    """
    require(
        channels >= 1 and classes >= 2 and channels * math.log(classes) <= math.log(_BINS),
        f"Stacked modes need at least 1 channel and 2 classes, and at most {_BINS} combinations, found {channels} "
        f"channels of {classes} classes.",
    )
    return int(classes**channels)


def mode_index(predicted: Int[Tensor, "n C"], classes: int = 10) -> Int[Tensor, " n"]:
    """The mode [n] of predicted classes [n, C]: their digits in base `classes`, the first channel in front."""
    places = classes ** torch.arange(predicted.shape[1] - 1, -1, -1, device=predicted.device)
    return (predicted * places).sum(1)


def stacked_statistics(logits: Float[Tensor, "n C classes"], confidence: float = 0.99) -> StackedStatistics:
    """Count samples by mode.

    Args:
        logits: [n, C, classes] of the classifier. Samples with one that is not finite count in `total` only.
        confidence: least probability of the predicted class, in every channel, of a confident sample; in (0, 1].
    """
    _, channels, classes = logits.shape
    modes = number_of_modes(channels, classes)
    finite = logits[logits.isfinite().all(dim=2).all(dim=1)].double()
    best = finite.softmax(dim=2).max(dim=2)
    index = mode_index(best.indices, classes)
    sure = (best.values >= confidence).all(dim=1)
    return StackedStatistics(
        counts=torch.bincount(index, minlength=modes),
        confident=torch.bincount(index[sure], minlength=modes),
        total=torch.tensor(len(logits), device=logits.device),
    )


def stacked_scores(statistics: StackedStatistics, reference: Float[Tensor, " M"] | None = None) -> dict[str, Tensor]:
    """The scores by name.

    * ``stacked_modes``: modes with at least one sample.
    * ``stacked_kl_uniform``: KL of the samples' shares to the uniform law, in nats, in [0, log M].
    * ``stacked_kl_data``: KL to `reference`, in nats, in [0, -log(min reference)]; only with a reference.
    * ``confident_modes``: modes with at least one confident sample.
    * ``confident_share``: confident share of all samples, in [0, 1].

    Nothing is ever NaN: without a sample of any mode the divergences are those of all samples on the least likely mode.

    Args:
        statistics: of the samples.
        reference: [M] probabilities of the modes in the data, all positive; see `product_law`.

    Returns:
        Scalars in float64.

    Raises:
        InvalidInputError: as `check_reference`.
    """
    counts = statistics.counts.double()
    scores = _histogram_scores(counts, _laws(len(counts), reference, counts.device))
    scores["confident_modes"] = (statistics.confident > 0).sum().double()
    scores["confident_share"] = statistics.confident.sum().double() / statistics.total.double().clamp(min=1)
    return scores


def perfect_stacked(
    count: int, law: Float[Tensor, " M"], has_reference: bool = True, seed: int = 0, repeats: int = 200
) -> dict[str, float]:
    r"""What n independent draws from the data's law p score: the ceiling of the modes, the floor of the divergences.

    The means are exact: with :math:`X_i \sim B(n, p_i)`, which are the multinomial's margins,

    .. math:: \sum_i 1 - (1 - p_i)^n \quad\text{and}\quad
        \sum_i \operatorname E \frac{X_i}{n} \log \frac{X_i}{n q_i}.

    The standard deviations are those of `repeats` simulated multinomial counts. A classifier that takes no mode for
    another changes nothing; one that is wrong at times moves the data's law, so measure p through it.

    Args:
        count: samples n.
        law: [M] p, all positive.
        has_reference: whether to include ``stacked_kl_data``, the divergence from p itself.
        seed: of the simulation.
        repeats: simulated sample sets, at least 2.

    Returns:
        The mean of ``stacked_modes``, ``stacked_kl_uniform`` and ``stacked_kl_data``, and under key + ``_std`` the
        standard deviation.

    Raises:
        InvalidInputError: without samples, with fewer than 2 repeats, or as `check_reference`.
    """
    require(count >= 1, f"A perfect sampler needs at least 1 sample, found {count}; update the metric first.")
    require(repeats >= 2, f"A standard deviation needs at least 2 repeats, found {repeats}.")
    check_reference(law, len(law))
    p = law.detach().cpu().double()
    p = p / p.sum()
    laws = _laws(len(p), p if has_reference else None, p.device)
    means = {"stacked_modes": float(-torch.expm1(count * torch.log1p(-p)).sum())}
    means |= {name: _expected_divergence(count, p, q) for name, q in laws.items()}
    drawn = _histogram_scores(draw_multinomial(p, count, repeats, stream(p.device, seed)), laws)
    return means | {f"{name}_std": float(values.std()) for name, values in drawn.items()}


def product_law(frequencies: Float[Tensor, "C classes"]) -> Float[Tensor, " M"]:
    """The law of modes [M] of digits drawn independently a channel, from the class frequencies [C, classes].

    The frequencies need not sum to 1: counts will do.
    """
    law = torch.ones(1, dtype=torch.float64, device=frequencies.device)
    for row in frequencies.double():
        law = torch.outer(law, row / row.sum()).flatten()
    return law


def check_reference(reference: Tensor, modes: int) -> None:
    """Refuse what is no positive law of the modes.

    Raises:
        InvalidInputError: unless there is one positive, finite probability a mode, summing to 1 within 1e-4.
    """
    require(
        reference.shape == (modes,), f"The reference needs {modes} probabilities, found shape {list(reference.shape)}."
    )
    total = float(reference.double().sum())
    require(
        bool((reference > 0).all()) and abs(total - 1) <= 1e-4,
        "The reference must be positive for every mode and sum to 1, as KL to it is infinite where it is 0, found a "
        f"least probability of {float(reference.min()):.3g} and a sum of {total:.6g}; use product_law of the "
        "frequencies of the classes.",
    )


def _laws(modes: int, reference: Tensor | None, device: torch.device) -> dict[str, Tensor]:
    """What the divergences compare with, by the name of the score."""
    laws = {"stacked_kl_uniform": torch.full((modes,), 1 / modes, dtype=torch.float64, device=device)}
    if reference is not None:
        check_reference(reference, modes)
        q = reference.to(device, torch.float64)
        laws["stacked_kl_data"] = q / q.sum()
    return laws


def _histogram_scores(counts: Float[Tensor, "*repeats M"], laws: dict[str, Tensor]) -> dict[str, Tensor]:
    """Modes and divergences [*repeats]."""
    scores = {"stacked_modes": (counts > 0).sum(-1).double()}
    some = counts.sum(-1, keepdim=True) > 0
    for name, q in laws.items():
        worst = torch.zeros_like(q)
        worst[q.argmin()] = 1
        histogram = torch.where(some, counts, worst)
        p = histogram / histogram.sum(-1, keepdim=True)
        bound = float(-q.min().log())  # Of every p; rounding must not pass it either.
        scores[name] = torch.xlogy(p, p / q).sum(-1).clamp(0, bound)
    return scores


def _expected_divergence(count: int, p: Tensor, q: Tensor) -> float:
    """The mean plug-in KL to q of `count` draws from p, summed over the values that a binomial can well take."""
    pairs, multiplicity = torch.unique(torch.stack([p, q]), dim=1, return_counts=True)
    total = 0.0
    for (share, other), times in zip(pairs.T.tolist(), multiplicity.tolist(), strict=True):
        mean = count * share
        # By Bernstein's inequality values beyond this have a probability below 1e-30.
        largest = min(count, math.ceil(mean + 12 * math.sqrt(mean) + 60))
        x = torch.arange(1, largest + 1, dtype=torch.float64)
        total += times * float((_binomial(count, share, x) * (x / count) * (x / (count * other)).log()).sum())
    return total


def _binomial(count: int, share: float, x: Tensor) -> Tensor:
    """P(X = x) of a binomial of `count` trials with chance `share`."""
    n = torch.tensor(float(count), dtype=torch.float64)
    choose = torch.lgamma(n + 1) - torch.lgamma(x + 1) - torch.lgamma(n - x + 1)
    chance = torch.tensor(share, dtype=torch.float64)
    logarithm: Tensor = choose + x * chance.log() + torch.special.xlog1py(n - x, -chance)
    return logarithm.exp()
