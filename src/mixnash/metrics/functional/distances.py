"""Euclidean distances between two sets of points, in float64 and in blocks of bounded memory."""

import torch
from jaxtyping import Float
from torch import Tensor

_BLOCK = 1 << 20
"""Entries of one block of distances: 8 MB in float64."""


def row_blocks(points: Float[Tensor, "n D"], columns: int) -> tuple[Tensor, ...]:
    """Split points [n, D] so that the distances from one part to `columns` others fit in one block."""
    return torch.split(points, max(1, _BLOCK // max(columns, 1)))


def distances(points: Float[Tensor, "n D"], others: Float[Tensor, "m D"]) -> Float[Tensor, "n m"]:
    """Distances in float64, by differences: the usual expansion of the square cancels for tight modes far out."""
    return torch.cdist(points.double(), others.double(), compute_mode="donot_use_mm_for_euclid_dist")
