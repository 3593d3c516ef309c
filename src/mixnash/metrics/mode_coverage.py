"""Mode coverage of a Gaussian mixture, accumulated exactly over batches and processes."""

from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics import Metric

from mixnash.core.mixtures import GaussianMixture
from mixnash.metrics.functional.cut_normal import chi_square, standard_threshold
from mixnash.metrics.functional.mode_coverage import (
    ModeStatistics,
    check_protocol,
    mode_scores,
    mode_statistics,
    perfect_sampler,
)


@final
class ModeCoverage(Metric):
    """`mode_scores` of all samples seen; O(modes) memory, exact whatever the batches and the processes.

    Args:
        mixture: the data's law, in the samples' coordinates.
        threshold: distance in units of sigma (Euclidean) below which a sample is of high quality; `standard_threshold`
            of the dimensions if None, which is 3 in the plane.
        min_counts: how many high-quality samples make a mode count; one score each.

    Raises:
        InvalidInputError: when a perfect sampler has nothing within the threshold, or a minimum count is below 1.
    """

    is_differentiable = False
    higher_is_better = None  # Some of the scores are, some are not.
    full_state_update = False

    near: Tensor
    high_quality: Tensor
    square: Tensor
    total: Tensor

    def __init__(
        self, mixture: GaussianMixture, threshold: float | None = None, min_counts: Sequence[int] = (1, 20)
    ) -> None:
        super().__init__()
        threshold = standard_threshold(mixture.centres.shape[1]) if threshold is None else threshold
        check_protocol(mixture, threshold, min_counts)
        # No buffers: casting the surrounding module to 16 bits would round the centres by a good part of sigma.
        self.mixture = mixture
        self.threshold, self.min_counts = threshold, tuple(min_counts)
        modes = len(mixture.centres)
        self.add_state("near", torch.zeros(modes, dtype=torch.long), dist_reduce_fx="sum")
        self.add_state("high_quality", torch.zeros(modes, dtype=torch.long), dist_reduce_fx="sum")
        self.add_state("square", torch.zeros(modes, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("total", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    def update(self, samples: Float[Tensor, "n D"]) -> None:
        """Add samples [n, D] in data coordinates."""
        new = mode_statistics(samples.detach(), self.mixture, self.threshold)
        self.near = self.near + new.near
        self.high_quality = self.high_quality + new.high_quality
        self.square = self.square + new.square  # Not in place: this restores float64 after a cast of the module.
        self.total = self.total + new.total

    def compute(self) -> dict[str, Tensor]:
        """The scores by name, scalars in float64."""
        statistics = ModeStatistics(self.near, self.high_quality, self.square, self.total)
        return mode_scores(statistics, self.mixture, self.threshold, self.min_counts)

    def protocol(self) -> str:
        """One line that says what the scores mean; under DDP to be called on every process, as `compute` is."""
        modes, scales = len(self.mixture.scales), self.mixture.scales
        low, high = f"{float(scales.min()):.4g}", f"{float(scales.max()):.4g}"
        sigma = low if low == high else f"{low} to {high}"
        least = " / ".join(str(count) for count in self.min_counts)
        axes = self.mixture.centres.shape[1]
        passed = f"{chi_square(axes, self.threshold):.4f}"
        share = "" if axes == 2 else f" in {axes} dimensions, as {passed} of a perfect sampler's are"
        return (
            f"{modes} modes, sigma {sigma}, within {self.threshold:.4g} sigma (Euclidean){share}, n = {self._count()}, "
            f"at least {least} samples per mode, KL to the data's mode weights, nats"
        )

    def perfect(self, seed: int = 0) -> dict[str, float]:
        """What a perfect sampler of as many samples scores; under DDP to be called on every process.

        Args:
            seed: of the simulation.

        Raises:
            InvalidInputError: before the first sample.
        """
        return perfect_sampler(self.mixture, self._count(), self.threshold, self.min_counts, seed)

    def _count(self) -> int:
        """The samples of all processes."""
        with self.sync_context(
            dist_sync_fn=self.dist_sync_fn, should_sync=self._to_sync, should_unsync=self._should_unsync
        ):
            return int(self.total)
