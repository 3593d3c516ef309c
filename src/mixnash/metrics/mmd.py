"""Maximum mean discrepancy of samples and a reference."""

from collections.abc import Sequence
from typing import final

from torch import Tensor

from mixnash.metrics.functional.mmd import check_bandwidths, unbiased_mmd_squared
from mixnash.metrics.two_sample import AbstractTwoSampleMetric


@final
class MaximumMeanDiscrepancy(AbstractTwoSampleMetric):
    """`unbiased_mmd_squared` of all samples, under the key ``mmd_squared``.

    Args:
        bandwidths: of the Gaussian kernels that are summed, in data coordinates; for a mixture take a few between the
            scale of a mode and the distance of the modes.

    Raises:
        InvalidInputError: without bandwidths, or when one is not positive and finite.
    """

    def __init__(self, bandwidths: Sequence[float]) -> None:
        super().__init__()
        check_bandwidths(bandwidths)
        self.bandwidths = tuple(bandwidths)

    def compute(self) -> dict[str, Tensor]:
        """The squared discrepancy; 0 in the mean for equal laws, hence at times negative."""
        return {"mmd_squared": unbiased_mmd_squared(*self._gathered(), self.bandwidths)}
