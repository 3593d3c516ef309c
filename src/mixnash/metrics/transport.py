"""Wasserstein-2 distances of samples to a reference."""

from typing import final

import torch
from torch import Tensor

from mixnash.core.errors import require
from mixnash.core.random import stream
from mixnash.metrics.functional.transport import MOST_SAMPLES, exact_wasserstein2, sliced_wasserstein2
from mixnash.metrics.two_sample import AbstractTwoSampleMetric


@final
class Wasserstein2(AbstractTwoSampleMetric):
    """`exact_wasserstein2` of at most `limit` samples, under the key ``wasserstein2``.

    Where there are more than `limit`, or unequally many, both sets are cut to one size by a random permutation from
    the seed, not to a prefix: stratified references are ordered by mode. The cut brings back the fluctuation of the
    mode counts that stratification removed; for the lower floor give equally many of both, at most `limit`.

    Args:
        limit: the largest number of samples compared; the cost grows with its cube (2,500: seconds).
        seed: of the permutations.

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
        rng = stream(torch.device("cpu"), self.seed)
        return {"wasserstein2": exact_wasserstein2(_subset(samples, size, rng), _subset(reference, size, rng))}


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


def _subset(points: Tensor, size: int, rng: torch.Generator) -> Tensor:
    """A random subset [size, D] of points [n, D]."""
    return points[torch.randperm(len(points), generator=rng)[:size].to(points.device)]
