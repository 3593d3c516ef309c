"""Mode coverage of stacked digits, accumulated exactly over batches and processes."""

import math
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics import Metric

from mixnash.core.errors import require
from mixnash.metrics.functional.stacked_modes import (
    StackedStatistics,
    check_reference,
    number_of_modes,
    perfect_stacked,
    stacked_scores,
    stacked_statistics,
)


@final
class StackedModes(Metric):
    """`stacked_scores` of all samples seen; O(modes) memory, exact whatever the batches and the processes.

    Compare with published tables at 26,000 samples (`PROTOCOL_COUNT`) only.

    Args:
        reference: [classes^channels] probabilities of the modes in the data, all positive: `product_law` where the
            digits are drawn independently. Without it there is no ``stacked_kl_data``, and `perfect` is that of the
            uniform law.
        confidence: least probability of every digit of a confident sample, in (0, 1].
        channels: digits in a picture.
        classes: of a digit.

    Raises:
        InvalidInputError: for a reference that is no positive law of the modes, an impossible confidence, or too many
            modes.
    """

    is_differentiable = False
    higher_is_better = None  # Some of the scores are, some are not.
    full_state_update = False

    counts: Tensor
    confident: Tensor
    total: Tensor

    def __init__(
        self,
        reference: Float[Tensor, " M"] | None = None,
        confidence: float = 0.99,
        channels: int = 3,
        classes: int = 10,
    ) -> None:
        super().__init__()
        modes = number_of_modes(channels, classes)
        require(0 < confidence <= 1, f"The confidence is a probability above 0 and at most 1, found {confidence}.")
        if reference is not None:
            check_reference(reference, modes)
            reference = reference.detach().double().cpu()
        # No buffer: casting the surrounding module to 16 bits would round it.
        self.reference, self.confidence, self.channels, self.classes = reference, confidence, channels, classes
        self.add_state("counts", torch.zeros(modes, dtype=torch.long), dist_reduce_fx="sum")
        self.add_state("confident", torch.zeros(modes, dtype=torch.long), dist_reduce_fx="sum")
        self.add_state("total", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    def update(self, logits: Float[Tensor, "n C classes"]) -> None:
        """Add the classifier's logits [n, channels, classes].

        Raises:
            InvalidInputError: for logits of other channels or classes.
        """
        require(
            logits.ndim == 3 and logits.shape[1:] == (self.channels, self.classes),
            f"Stacked modes need logits [samples, {self.channels}, {self.classes}], one row of classes a channel, "
            f"found {list(logits.shape)}; classify every channel on its own.",
        )
        new = stacked_statistics(logits.detach(), self.confidence)
        self.counts = self.counts + new.counts
        self.confident = self.confident + new.confident
        self.total = self.total + new.total

    def compute(self) -> dict[str, Tensor]:
        """The scores by name, scalars in float64."""
        return stacked_scores(StackedStatistics(self.counts, self.confident, self.total), self.reference)

    def protocol(self) -> str:
        """One line that says what the scores mean; under DDP to be called on every process, as `compute` is."""
        modes = len(self.counts)
        own = "" if self.reference is None else " and to the data's own law"
        return (
            f"{modes} modes of {self.channels} digits of {self.classes} classes, largest logit a channel, "
            f"n = {self._count()}, at least 1 sample per mode, KL of the samples to uniform (at most "
            f"{math.log(modes):.3f}){own}, nats, confident from {self.confidence:.4g} a digit"
        )

    def perfect(self, count: int | None = None, seed: int = 0) -> dict[str, float]:
        """What a perfect sampler scores, see `perfect_stacked`; under DDP to be called on every process.

        Args:
            count: its samples; as many as seen if None.
            seed: of the simulated standard deviations.

        Raises:
            InvalidInputError: for a count below 1, or before the first sample.
        """
        count = self._count() if count is None else count
        if self.reference is not None:
            return perfect_stacked(count, self.reference, seed=seed)
        modes = len(self.counts)
        return perfect_stacked(count, torch.full((modes,), 1 / modes, dtype=torch.float64), False, seed)

    def _count(self) -> int:
        """The samples of all processes."""
        with self.sync_context(
            dist_sync_fn=self.dist_sync_fn, should_sync=self._to_sync, should_unsync=self._should_unsync
        ):
            return int(self.total)
