"""Maximum mean discrepancy of samples and a reference."""

from collections.abc import Sequence
from typing import final

from torch import Tensor

from mixnash.core.errors import require
from mixnash.metrics.functional.mmd import check_bandwidths, unbiased_mmd_squared
from mixnash.metrics.two_sample import AbstractTwoSampleMetric, cut


@final
class MaximumMeanDiscrepancy(AbstractTwoSampleMetric):
    """`unbiased_mmd_squared` of at most `limit` samples on each side, under the key ``mmd_squared``.

    More samples are cut at random, a longer reference evenly along its order: the cost grows with the square.

    Args:
        bandwidths: of the Gaussian kernels that are summed, in data coordinates; for a mixture take a few between the
            scale of a mode and the distance of the modes.
        limit: the largest number of samples compared, at least 2.
        seed: of the choice of samples.

    Raises:
        InvalidInputError: without bandwidths, or when one is not positive and finite, or for a limit below 2.
    """

    def __init__(self, bandwidths: Sequence[float], limit: int = 2500, seed: int = 0) -> None:
        super().__init__()
        check_bandwidths(bandwidths)
        require(limit >= 2, f"MMD compares at least 2 samples, found a limit of {limit}.")
        self.bandwidths, self.limit, self.seed = tuple(bandwidths), limit, seed

    def compute(self) -> dict[str, Tensor]:
        """The squared discrepancy; 0 in the mean for equal laws, hence at times negative."""
        compared = cut(*self._gathered(), self.limit, self.limit, self.seed)
        return {"mmd_squared": unbiased_mmd_squared(*compared, self.bandwidths)}
