"""What metrics that compare samples with a reference have in common: they keep both."""

import abc

from jaxtyping import Float
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat


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
