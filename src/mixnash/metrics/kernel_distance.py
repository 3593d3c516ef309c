"""Kernel distance of features, of all that were seen or a random choice of them."""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from mixnash.core.errors import require
from mixnash.core.random import stream
from mixnash.metrics.functional.kernel_distance import check_subsets, subset_kernel_distances
from mixnash.metrics.two_sample import cut


@final
class KernelDistance(Metric):
    """`subset_kernel_distances`: their mean under the key `name`, their deviation under `name` + ``_std``.

    More features than `max_samples` are cut when the score is computed, samples at random, real ones evenly along
    their order, after those of all processes were joined: the score does not depend on their number.

    Args:
        name: of the score; ``kid`` is that of Inception features alone.
        subsets: the number of random subsets.
        subset_size: samples in each; fewer in all are refused.
        max_samples: the most features that are compared on a side.
        seed: of the choice of samples and subsets.

    Raises:
        InvalidInputError: when the name is empty, or the numbers are impossible.
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False

    # Names of its own: a MetricCollection joins metrics whose states are named and filled alike.
    kernel_features: list[Tensor]
    kernel_reference: list[Tensor]

    def __init__(
        self,
        name: str,
        subsets: int = 100,
        subset_size: int = 1000,
        max_samples: int = 10_000,
        seed: int = 0,
    ) -> None:
        super().__init__()
        require(name != "", "A kernel distance needs a name that says whose features it compares, found none.")
        check_subsets(subsets, subset_size)
        require(
            max_samples >= subset_size,
            f"A kernel distance in subsets of {subset_size} must compare at least as many samples, found "
            f"max_samples = {max_samples}.",
        )
        self.name, self.subsets, self.subset_size, self.seed = name, subsets, subset_size, seed
        self.max_samples = max_samples
        self.add_state("kernel_features", [], dist_reduce_fx="cat")
        self.add_state("kernel_reference", [], dist_reduce_fx="cat")

    def update(self, features: Float[Tensor, "n d"], reference_features: Float[Tensor, "m d"]) -> None:
        """Add features [n, d] and those of real samples [m, d]."""
        self.kernel_features.append(features.detach())
        self.kernel_reference.append(reference_features.detach())

    def compute(self) -> dict[str, Tensor]:
        """The scores by name, scalars in float64; 0 in the mean for equal laws, hence at times negative.

        Raises:
            InvalidInputError: when there are fewer features than a subset has.
        """
        features, reference = dim_zero_cat(self.kernel_features), dim_zero_cat(self.kernel_reference)
        compared = cut(features, reference, self.max_samples, self.max_samples, self.seed)
        # The choice of samples is made from the key (seed); that of the subsets needs another.
        rng = stream(torch.device("cpu"), self.seed, 1)
        found = subset_kernel_distances(*compared, self.subsets, self.subset_size, rng)
        return {self.name: found.mean, f"{self.name}_std": found.deviation}
