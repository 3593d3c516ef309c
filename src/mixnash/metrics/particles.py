"""Which particle serves which mode, accumulated exactly over batches and processes."""

from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torchmetrics import Metric

from mixnash.core.mixtures import GaussianMixture
from mixnash.metrics.functional.cut_normal import standard_threshold
from mixnash.metrics.functional.mode_coverage import check_protocol
from mixnash.metrics.functional.particles import particle_histogram, particle_scores


@final
class ParticleModes(Metric):
    """`particle_scores` of all samples seen; O(particles x modes) memory, exact whatever the batches.

    Args:
        mixture: the data's law, in the samples' coordinates.
        weights: of the particles [K], summing to 1.
        threshold: as in `ModeCoverage`.

    Raises:
        InvalidInputError: when a perfect sampler has nothing within the threshold.
    """

    is_differentiable = False
    higher_is_better = None
    full_state_update = False

    histogram: Tensor
    """Samples [K, M + 1] by particle and mode, the last column for none."""

    def __init__(self, mixture: GaussianMixture, weights: Float[Tensor, " K"], threshold: float | None = None) -> None:
        super().__init__()
        modes, axes = mixture.centres.shape
        self.mixture, self.weights = mixture, weights.detach().double().cpu()
        self.threshold = standard_threshold(axes) if threshold is None else threshold
        check_protocol(mixture, self.threshold, ())
        self.add_state("histogram", torch.zeros(len(weights), modes + 1, dtype=torch.long), dist_reduce_fx="sum")

    def update(self, samples: Float[Tensor, "n D"], particle: Int[Tensor, " n"]) -> None:
        """Add samples [n, D] in data coordinates and the index of the particle that made each [n]."""
        particles = len(self.weights)
        new = particle_histogram(samples.detach(), particle, self.mixture, self.threshold, particles)
        self.histogram = self.histogram + new

    def compute(self) -> dict[str, Tensor]:
        """The scores by name, scalars in float64."""
        return particle_scores(self.histogram.cpu(), self.weights)
