"""Precision, recall, density and coverage of features, from at most a fixed number of rows a side."""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from mixnash.core.errors import require
from mixnash.core.random import stream
from mixnash.metrics.functional.manifold import manifold_scores, perfect_manifold
from mixnash.metrics.functional.neighbours import CHUNK

_LARGEST_KEY = 1 << 62


@final
class PrecisionRecallDensityCoverage(Metric):
    """`manifold_scores` of at most `max_samples` rows a side: ``precision``, ``recall``, ``density`` and ``coverage``.

    Of more rows, a random choice without replacement is kept, in which every row has the same chance, whatever their
    order: each row draws a key from a stream of the seed and its number on this process, and the least keys stay. The
    choice does not depend on the batches. Up to `max_samples` rows in all, several processes score exactly what one
    does; beyond, each keeps its own `max_samples` and `compute` the least keys of all of them, which is the same on
    every process, but another choice than one process would make.

    Args:
        k: which neighbour a ball reaches to; 5 as usual for density and coverage, 3 in the first tables of precision
            and recall. Build one metric for each k.
        max_samples: the largest number of rows compared on each side: time grows with its square.
        seed: of the choice of rows.
        chunk: rows and columns of the blocks of distances.

    Raises:
        InvalidInputError: when k or the chunk is below 1, or `max_samples` is not above k. `compute` raises it with
            fewer than k + 1 rows on a side.
    """

    is_differentiable = False
    higher_is_better = None  # A density above 1 is no better than 1.
    full_state_update = False

    features: list[Tensor]
    reference_features: list[Tensor]
    keys: list[Tensor]
    reference_keys: list[Tensor]
    total: Tensor
    reference_total: Tensor

    def __init__(self, k: int = 5, max_samples: int = 10_000, seed: int = 0, chunk: int = CHUNK) -> None:
        super().__init__()
        require(k >= 1 and chunk >= 1, f"A ball and a chunk need k and chunk of at least 1, found {k} and {chunk}.")
        require(max_samples > k, f"Balls to neighbour {k} need max_samples of at least {k + 1}, found {max_samples}.")
        self.k, self.max_samples, self.seed, self.chunk = k, max_samples, seed, chunk
        for name in ("features", "reference_features", "keys", "reference_keys"):
            self.add_state(name, [], dist_reduce_fx="cat")
        for name in ("total", "reference_total"):
            self.add_state(name, torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    def update(self, features: Float[Tensor, "n d"], reference_features: Float[Tensor, "m d"]) -> None:
        """Add features of generated samples [n, d] and of real ones [m, d]."""
        self.features, self.keys = self._with(self.features, self.keys, features, self.total, 0)
        self.reference_features, self.reference_keys = self._with(
            self.reference_features, self.reference_keys, reference_features, self.reference_total, 1
        )
        self.total = self.total + len(features)
        self.reference_total = self.reference_total + len(reference_features)

    def compute(self) -> dict[str, Tensor]:
        """The scores by name, scalars in float64."""
        features, _ = self._least(self.features, self.keys)
        reference_features, _ = self._least(self.reference_features, self.reference_keys)
        return manifold_scores(features, reference_features, self.k, self.chunk)

    def perfect(self) -> dict[str, float]:
        """`perfect_manifold` of as many rows as are compared; under DDP to be called on every process."""
        with self.sync_context(
            dist_sync_fn=self.dist_sync_fn, should_sync=self._to_sync, should_unsync=self._should_unsync
        ):
            count, reference_count = int(self.total), int(self.reference_total)
        return perfect_manifold(min(count, self.max_samples), min(reference_count, self.max_samples), self.k)

    def _with(
        self, rows: list[Tensor], keys: list[Tensor], new: Tensor, total: Tensor, side: int
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Rows and keys with the new ones, cut where they are twice too many: less often than they come in."""
        first = int(total)
        rng = stream(torch.device("cpu"), self.seed, side)
        # Integers: unlike floating-point numbers, a cast of the surrounding module leaves them alone.
        new_keys = torch.randint(_LARGEST_KEY, (first + len(new),), generator=rng)[first:]
        rows, keys = [*rows, new.detach()], [*keys, new_keys.to(new.device)]
        if sum(map(len, rows)) < 2 * self.max_samples:
            return rows, keys
        kept_rows, kept_keys = self._least(rows, keys)
        return [kept_rows], [kept_keys]

    def _least(self, rows: list[Tensor], keys: list[Tensor]) -> tuple[Tensor, Tensor]:
        """The rows with the least keys, in the order they came in."""
        all_rows, all_keys = dim_zero_cat(rows), dim_zero_cat(keys)
        if len(all_rows) <= self.max_samples:
            return all_rows, all_keys
        chosen = all_keys.argsort(stable=True)[: self.max_samples].sort().values
        return all_rows[chosen], all_keys[chosen]
