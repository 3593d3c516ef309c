"""Inception score, accumulated exactly over batches and processes."""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics import Metric

from mixnash.core.errors import require
from mixnash.metrics.functional.inception_score import ScoreStatistics, score_of, score_statistics


@final
class InceptionScore(Metric):
    """`score_of` all samples seen, under the key `name`; O(classes) memory.

    It is one score of all samples, not the mean over parts: see `functional.inception_score.inception_score` for that.

    Args:
        name: of the score; ``inception_score`` is that of Inception's logits alone.
        classes: the number of logits; that of the first ones if None. Give it where one of several processes may be
            left without samples.

    Raises:
        InvalidInputError: when the name is empty or there is no class.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    probabilities: Tensor
    negative_entropy: Tensor
    total: Tensor

    def __init__(self, name: str = "inception_score", classes: int | None = None) -> None:
        super().__init__()
        require(name != "", "An inception score needs a name that says whose logits it reads, found none.")
        # Of size 1 while unknown: the first sum takes the size of the logits by broadcasting.
        size = 1 if classes is None else classes
        require(size >= 1, f"Logits are of at least 1 class, found {size}.")
        self.name = name
        self.add_state("probabilities", torch.zeros(size, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("negative_entropy", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("total", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    def update(self, logits: Float[Tensor, "n classes"]) -> None:
        """Add logits [n, classes]."""
        new = score_statistics(logits)
        self.probabilities = self.probabilities + new.probabilities
        # Not in place: this restores float64 after a cast of the module.
        self.negative_entropy = self.negative_entropy + new.negative_entropy
        self.total = self.total + new.total

    def compute(self) -> dict[str, Tensor]:
        """The score, between 1 and the number of classes.

        Raises:
            InvalidInputError: without samples.
        """
        return {self.name: score_of(ScoreStatistics(self.probabilities, self.negative_entropy, self.total))}
