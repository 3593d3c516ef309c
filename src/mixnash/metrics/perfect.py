"""The test against a perfect sampler, accumulated exactly over batches and processes."""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics import Metric

from mixnash.core.mixtures import GaussianMixture
from mixnash.metrics.functional.cut_normal import standard_threshold
from mixnash.metrics.functional.mode_coverage import check_protocol
from mixnash.metrics.functional.perfect import (
    VARIANTS,
    MomentStatistics,
    corrected_p_value,
    deviations,
    moment_statistics,
    perfect_deviations,
)


@final
class PerfectSamplerTest(Metric):
    """p-values of the hypothesis that the samples are independent draws of the data; O(modes) memory.

    * ``perfect_p_coverage``: from modes found, high quality and the masses of the modes.
    * ``perfect_p_full``: also from the widths and the centres of the modes.

    A p-value below 0.05 says that the samples can be told from a perfect sampler's, with a chance of 5 % to be wrong.
    A larger one says that this many samples do not show a difference; see `functional.perfect` for what is looked at.

    Args:
        mixture: the data's law, in the samples' coordinates.
        threshold: as in `ModeCoverage`.
        repeats: simulated perfect samplers.
        seed: of the simulation.

    Raises:
        InvalidInputError: when a perfect sampler has nothing within the threshold.
    """

    is_differentiable = False
    higher_is_better = None  # Every value is as likely as another, if the samples are perfect.
    full_state_update = False

    high_quality: Tensor
    square: Tensor
    offset: Tensor
    total: Tensor

    def __init__(
        self, mixture: GaussianMixture, threshold: float | None = None, repeats: int = 2000, seed: int = 0
    ) -> None:
        super().__init__()
        modes, axes = mixture.centres.shape
        self.mixture, self.repeats, self.seed = mixture, repeats, seed
        self.threshold = standard_threshold(axes) if threshold is None else threshold
        check_protocol(mixture, self.threshold, ())
        self.add_state("high_quality", torch.zeros(modes, dtype=torch.long), dist_reduce_fx="sum")
        self.add_state("square", torch.zeros(modes, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("offset", torch.zeros(modes, axes, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("total", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    def update(self, samples: Float[Tensor, "n D"]) -> None:
        """Add samples [n, D] in data coordinates."""
        new = moment_statistics(samples.detach(), self.mixture, self.threshold)
        self.high_quality = self.high_quality + new.high_quality
        self.square = self.square + new.square  # Not in place: this restores float64 after a cast of the module.
        self.offset = self.offset + new.offset
        self.total = self.total + new.total

    def compute(self) -> dict[str, Tensor]:
        """The p-values by name, scalars in float64."""
        statistics = MomentStatistics(self.high_quality, self.square, self.offset, self.total)
        found = deviations(statistics, self.mixture, self.threshold)
        perfect = perfect_deviations(self.mixture, int(self.total), self.threshold, self.repeats, self.seed)
        return {
            name: torch.tensor(corrected_p_value(found, perfect, looked_at), dtype=torch.float64)
            for name, looked_at in VARIANTS.items()
        }
