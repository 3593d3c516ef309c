"""What metrics that compare samples with a reference have in common: they keep both."""

import abc

import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from mixnash.core.random import stream


class AbstractTwoSampleMetric(Metric):
    """Gathers samples and reference, over updates and over processes, until `compute`."""

    is_differentiable = False
    higher_is_better = False
    full_state_update = False

    samples: list[Tensor]
    reference: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("samples", [], dist_reduce_fx="cat")
        self.add_state("reference", [], dist_reduce_fx="cat")

    def update(self, samples: Float[Tensor, "n D"], reference: Float[Tensor, "m D"]) -> None:
        """Add samples [n, D] and reference [m, D], both in data coordinates."""
        self.samples.append(samples.detach())
        self.reference.append(reference.detach())

    @abc.abstractmethod
    def compute(self) -> dict[str, Tensor]:
        """Scalars in float64 by name."""

    def _gathered(self) -> tuple[Tensor, Tensor]:
        """All samples and all of the reference."""
        return dim_zero_cat(self.samples), dim_zero_cat(self.reference)


def cut(
    samples: Float[Tensor, "n D"], reference: Float[Tensor, "m D"], size: int, reference_size: int, seed: int
) -> tuple[Float[Tensor, "size D"], Float[Tensor, "reference_size D"]]:
    """At most `size` of the samples, chosen at random, and `reference_size` of the reference, evenly along its order.

    A stratified reference is ordered by mode: a prefix of it would miss modes, a random choice would bring back the
    fluctuation of the mode counts that stratifying removed.
    """
    chosen = torch.randperm(len(samples), generator=stream(torch.device("cpu"), seed))[:size]
    kept = min(reference_size, len(reference))
    even = torch.arange(kept) * len(reference) // kept
    return samples[chosen.to(samples.device)], reference[even.to(reference.device)]
