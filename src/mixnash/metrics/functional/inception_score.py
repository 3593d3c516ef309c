r"""Inception score: how certain a classifier is of each sample and how evenly the samples fill the classes,

.. math:: \exp \Big( \frac1n \sum_i \mathrm{KL}(p(y | x_i) \,\|\, \bar p) \Big), \qquad
    \bar p = \frac1n \sum_i p(y | x_i),

between 1 and the number of classes. It sees neither real data nor copies within a class.

References:
    Salimans et al., 2016, Improved techniques for training GANs, section 4.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from mixnash.core.errors import require


class ScoreStatistics(NamedTuple):
    """Sums over samples from which the score follows; they add over batches and processes."""

    probabilities: Float[Tensor, " classes"]
    """Of p(y | x), in float64."""
    negative_entropy: Float[Tensor, ""]
    """Of p log p, summed over the classes too, in nats."""
    total: Tensor
    """The number of samples."""


class SplitScores(NamedTuple):
    """What the literature reports: mean and deviation over parts of the samples."""

    mean: Float[Tensor, ""]
    deviation: Float[Tensor, ""]
    """Standard deviation with their number as divisor, as in torch-fidelity; torchmetrics divides by one less."""


def score_statistics(logits: Float[Tensor, "n classes"]) -> ScoreStatistics:
    """The sums over logits [n, classes]; a sample whose logits are not finite counts as equally of every class."""
    values = logits.detach().double()
    values = torch.where(values.isfinite().all(dim=1, keepdim=True), values, 0.0)
    log_probabilities = values.log_softmax(dim=1)
    probabilities = log_probabilities.exp()
    entropy_terms = (probabilities * log_probabilities).sum()
    return ScoreStatistics(probabilities.sum(dim=0), entropy_terms, torch.tensor(len(values), device=values.device))


def score_of(statistics: ScoreStatistics) -> Float[Tensor, ""]:
    """The score of all samples that were summed, in float64.

    Raises:
        InvalidInputError: without samples.
    """
    require(int(statistics.total) >= 1, "An inception score needs at least 1 sample, found none.")
    marginal = statistics.probabilities / statistics.total
    entropy: Tensor = torch.special.entr(marginal).sum()
    return (statistics.negative_entropy / statistics.total + entropy).exp()


def inception_score(logits: Float[Tensor, "n classes"], splits: int = 1) -> SplitScores:
    """Mean and deviation of the score over `splits` parts of logits [n, classes].

    Part i holds samples i n / splits to (i + 1) n / splits in the given order, as torch-fidelity has it; unlike there
    and in torchmetrics nothing is shuffled, so the order must not depend on the class or the particle. A score of few
    samples is too low: the literature has 10 parts of 5,000, and one part of all samples scores higher.

    Raises:
        InvalidInputError: for fewer than 1 part, or fewer samples than parts.
    """
    count = len(logits)
    require(
        1 <= splits <= count,
        f"An inception score needs at least 1 part and a sample for each part, found {splits} parts and "
        f"{count} samples.",
    )
    parts = [logits[index * count // splits : (index + 1) * count // splits] for index in range(splits)]
    values = torch.stack([score_of(score_statistics(part)) for part in parts])
    return SplitScores(values.mean(), values.std(correction=0))
