"""Wasserstein-2 distances of samples to a reference."""

from typing import final

import torch
from torch import Tensor

from mixnash.core.errors import require
from mixnash.core.random import stream
from mixnash.metrics.functional.transport import MOST_SAMPLES, exact_wasserstein2, sliced_wasserstein2
from mixnash.metrics.two_sample import AbstractTwoSampleMetric, cut


@final
class Wasserstein2(AbstractTwoSampleMetric):
    """`exact_wasserstein2` of at most `limit` samples, under the key ``wasserstein2``.

    Where there are more than `limit`, or unequally many, both sets are cut to one size: samples at random, the
    reference evenly along its order, which keeps a stratified one stratified.

    Args:
        limit: the largest number of samples compared; the cost grows with its cube (2,500: seconds).
        seed: of the choice of samples.

    Raises:
        InvalidInputError: when the limit is below 1 or above `MOST_SAMPLES`.
    """

    def __init__(self, limit: int = 2500, seed: int = 0) -> None:
        super().__init__()
        require(
            1 <= limit <= MOST_SAMPLES,
            f"Exact W2 compares between 1 and {MOST_SAMPLES} samples, found a limit of {limit}; "
            "use SlicedWasserstein2 for more.",
        )
        self.limit, self.seed = limit, seed

    def compute(self) -> dict[str, Tensor]:
        """The distance in data coordinates."""
        samples, reference = self._gathered()
        size = min(self.limit, len(samples), len(reference))
        return {"wasserstein2": exact_wasserstein2(*cut(samples, reference, size, size, self.seed))}


@final
class SlicedWasserstein2(AbstractTwoSampleMetric):
    """`sliced_wasserstein2` of all samples, under the key ``sliced_wasserstein2``.

    Args:
        projections: the number of random directions.
        seed: of the directions: equal seeds compare along equal directions.

    Raises:
        InvalidInputError: when there is no projection.
    """

    def __init__(self, projections: int = 128, seed: int = 0) -> None:
        super().__init__()
        require(projections >= 1, f"Sliced W2 needs at least 1 projection, found {projections}.")
        self.projections, self.seed = projections, seed

    def compute(self) -> dict[str, Tensor]:
        """The distance in data coordinates."""
        rng = stream(torch.device("cpu"), self.seed)
        return {"sliced_wasserstein2": sliced_wasserstein2(*self._gathered(), self.projections, rng)}
