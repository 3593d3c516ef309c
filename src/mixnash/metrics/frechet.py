"""Frechet distance of features, accumulated exactly over batches and processes."""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics import Metric

from mixnash.core.errors import require
from mixnash.metrics.functional.frechet import frechet_distance
from mixnash.metrics.functional.moments import FeatureMoments, feature_moments


@final
class FrechetDistance(Metric):
    """`frechet_distance` of all features seen, under the key `name`; O(dimension squared) memory.

    Args:
        name: of the score; an extractor knows its own (``metric``), and only that of Inception says ``fid``.
        dimension: of the features; that of the first ones if None. Give it where one of several processes may be left
            without samples.

    Raises:
        InvalidInputError: when the name is empty or the dimension is below 1.
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False

    count: Tensor
    sum: Tensor
    outer: Tensor
    reference_count: Tensor
    reference_sum: Tensor
    reference_outer: Tensor

    def __init__(self, name: str, dimension: int | None = None) -> None:
        super().__init__()
        require(name != "", "A Frechet distance needs a name that says whose features it compares, found none.")
        # Of size 1 while unknown: the first sum takes the size of the features by broadcasting.
        size = 1 if dimension is None else dimension
        require(size >= 1, f"Features have at least 1 dimension, found {size}.")
        self.name = name
        for side in ("", "reference_"):
            self.add_state(f"{side}count", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")
            self.add_state(f"{side}sum", torch.zeros(size, dtype=torch.float64), dist_reduce_fx="sum")
            self.add_state(f"{side}outer", torch.zeros(size, size, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, features: Float[Tensor, "n d"], reference_features: Float[Tensor, "m d"]) -> None:
        """Add features [n, d] and those of real samples [m, d]."""
        new = feature_moments(features)
        self.count = self.count + new.count
        self.sum = self.sum + new.sum  # Not in place: this restores float64 after a cast of the module.
        self.outer = self.outer + new.outer
        real = feature_moments(reference_features)
        self.reference_count = self.reference_count + real.count
        self.reference_sum = self.reference_sum + real.sum
        self.reference_outer = self.reference_outer + real.outer

    def moments(self) -> FeatureMoments:
        """The moments of the features seen by this process, for mixtures of particles."""
        return FeatureMoments(self.count, self.sum, self.outer)

    def compute(self) -> dict[str, Tensor]:
        """The distance, in squared units of the features; 0 for equal moments.

        Raises:
            InvalidInputError: with fewer than 2 features on a side.
        """
        reference = FeatureMoments(self.reference_count, self.reference_sum, self.reference_outer)
        found, real = int(self.count), int(reference.count)
        require(
            found >= 2 and real >= 2,
            f"{self.name} needs at least 2 samples and 2 real samples, found {found} and {real}.",
        )
        # The samples come first: they collapse more often than the data.
        return {self.name: frechet_distance(*self.moments().mean_covariance(), *reference.mean_covariance())}
