"""The check against copies of training samples, accumulated exactly over batches and processes."""

from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from mixnash.core.errors import require
from mixnash.metrics.functional.memorisation import (
    authentic_share,
    check_level,
    check_training,
    memorised_share,
    nearest_other,
)
from mixnash.metrics.functional.neighbours import CHUNK, nearest


@final
class Memorisation(Metric):
    """`memorisation_scores` of all samples seen; two numbers a sample, exact whatever the batches and the processes.

    Call `set_training` once before the first update, on every process with all of the training features: they are no
    state, hence neither summed up nor reset, and in no checkpoint.

    Args:
        level: share of the held-out samples that count as near the training set, in (0, 0.5]; what a perfect sampler
            scores.
        chunk: rows and columns of the blocks of distances.

    Raises:
        InvalidInputError: for an impossible level or chunk. `compute` raises it with fewer than 1/level - 1 held-out
            samples.
    """

    is_differentiable = False
    higher_is_better = None  # Less is better down to what a perfect sampler scores.
    full_state_update = False

    distances: list[Tensor]
    others: list[Tensor]
    held_out_distances: list[Tensor]
    held_out_others: list[Tensor]

    def __init__(self, level: float = 0.01, chunk: int = CHUNK) -> None:
        super().__init__()
        check_level(level)
        require(chunk >= 1, f"A chunk has at least 1 row, found {chunk}.")
        self.level, self.chunk = level, chunk
        self._training = torch.zeros(0, 0)
        self._others = torch.zeros(0, dtype=torch.float64)
        for name in ("distances", "others", "held_out_distances", "held_out_others"):
            self.add_state(name, [], dist_reduce_fx="cat")

    def set_training(self, features: Float[Tensor, "t d"]) -> None:
        """Compare with these training samples from now on; to be followed by `reset` if others were set before.

        Args:
            features: [t, d], at least 2 rows, finite; best on the samples' device, as every update moves it.

        Raises:
            InvalidInputError: as `check_training`.
        """
        check_training(features)
        self._training = features.detach()
        self._others = torch.full((len(features),), torch.nan, dtype=torch.float64, device=features.device)

    def update(self, features: Float[Tensor, "n d"], reference_features: Float[Tensor, "m d"]) -> None:
        """Add features of generated samples [n, d] and of real ones that were not trained on [m, d].

        Raises:
            InvalidInputError: before `set_training`, or when the numbers of features differ.
        """
        training = self._training
        require(
            len(training) > 0, "The memorisation check needs the training samples first: call set_training(features)."
        )
        for new, distances, others in (
            (features, self.distances, self.others),
            (reference_features, self.held_out_distances, self.held_out_others),
        ):
            found, rows = nearest(new.detach(), training.to(new.device), self.chunk)
            distances.append(found)
            others.append(self._nearest_other(training, rows.to(training.device)).to(new.device))

    def compute(self) -> dict[str, Tensor]:
        """The scores by name, scalars in float64."""
        distances, others, held_out, held_out_others = map(
            dim_zero_cat, (self.distances, self.others, self.held_out_distances, self.held_out_others)
        )
        return {
            "memorised_share": memorised_share(distances, held_out, self.level),
            "authentic_share": authentic_share(distances, others),
            "held_out_authentic_share": authentic_share(held_out, held_out_others),
        }

    def _nearest_other(self, training: Tensor, rows: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
        """`nearest_other`, measured once for every training sample that is asked for."""
        unknown = torch.unique(rows[self._others[rows].isnan()])
        self._others[unknown] = nearest_other(training, unknown, self.chunk)
        return self._others[rows]
