r"""Nearest neighbours among many features, in blocks of bounded memory.

Squared distances come from :math:`|x|^2 + |y|^2 - 2 x \cdot y` in float64, of features less a common centre: at 2,048
dimensions 14 times as fast as sums of squared differences. Their error is at most

.. math:: \epsilon (|x|^2 + |y|^2), \quad \epsilon = 4 (D + 4) \cdot 2^{-52}.

What could depend on it is measured again by differences: the neighbours that were found, and every comparison with a
radius that is this close. So copies are at distance 0, ties are ties, and only among neighbours that are equally near
up to that error is the choice left open.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mixnash.core.errors import require

CHUNK = 1024
"""Rows of a block, and its columns: 8 MB of distances."""
_TIE = 1 + 1e-13
"""Squared distances within this factor are equal: sums of squares may be rounded by the order of summation."""


class Neighbours(NamedTuple):
    """The k nearest references of each query, nearest first."""

    distances: Float[Tensor, "n k"]
    """Float64; infinite for a query that is not finite."""
    indices: Int[Tensor, "n k"]
    """Rows of the references; one of them where several are equally near, and any for a query that is not finite."""


class SquareBlock(NamedTuple):
    """Squared distances of some rows to some others, up to the error of the module."""

    squares: Float[Tensor, "n m"]
    """Float64; may be negative by the error, and is infinite where a row is not finite."""
    norms: Float[Tensor, "n m"]
    """The sum of both squared norms, by which the error is bounded."""


def nearest(
    queries: Float[Tensor, "n D"], references: Float[Tensor, "m D"], chunk: int = CHUNK
) -> tuple[Float[Tensor, " n"], Int[Tensor, " n"]]:
    """Distance [n] of each query to its nearest reference, and that reference's row [n]; see `nearest_neighbours`."""
    found = nearest_neighbours(queries, references, 1, chunk=chunk)
    return found.distances.squeeze(1), found.indices.squeeze(1)


def nearest_neighbours(
    queries: Float[Tensor, "n D"],
    references: Float[Tensor, "m D"],
    k: int,
    excluded: Int[Tensor, " n"] | None = None,
    chunk: int = CHUNK,
) -> Neighbours:
    """The k references nearest to each query, Euclidean.

    Args:
        queries: [n, D]; one that is not finite is infinitely far from all.
        references: [m, D]; one that is not finite is infinitely far from all.
        k: how many neighbours.
        excluded: [n] one row of the references for each query that is not its neighbour: itself, by index. Copies of it
            in other rows are neighbours at distance 0.
        chunk: rows and columns of a block; memory grows with chunk x (chunk + D).

    Raises:
        InvalidInputError: when the numbers of features differ, or there are fewer than k references to choose from.
    """
    available = len(references) - (excluded is not None)
    check_features(queries, references)
    require(k >= 1 and chunk >= 1, f"Neighbours and chunk must be at least 1, found {k} and {chunk}.")
    require(available >= k, f"{k} nearest neighbours need at least {k} samples to choose from, found {available}.")
    centre = centre_of(references)
    parts = []
    for start in range(0, len(queries), chunk):
        rows = slice(start, start + chunk)
        own = None if excluded is None else excluded[rows]
        parts.append(_nearest_to_block(queries[rows], references, centre, k, own, chunk))
    if not parts:
        empty = torch.zeros(0, k, dtype=torch.float64, device=queries.device)
        return Neighbours(empty, empty.long())
    return Neighbours(torch.cat([part.distances for part in parts]), torch.cat([part.indices for part in parts]))


def ball_radii(points: Float[Tensor, "n D"], k: int, chunk: int = CHUNK) -> Float[Tensor, " n"]:
    """Squared distance of each point to its k-th nearest other one; -1, a ball that holds nothing, where there is none.

    A little enlarged so that points on the surface are inside whatever the rounding; 0 stays 0.
    """
    itself = torch.arange(len(points), device=points.device)
    distance = nearest_neighbours(points, points, k, itself, chunk).distances[:, -1]
    return torch.where(distance.isfinite(), distance.square() * _TIE, -1.0)


def square_block(x: Float[Tensor, "n D"], y: Float[Tensor, "m D"], centre: Float[Tensor, " D"]) -> SquareBlock:
    """All squared distances of two sets that fit in one block, about a float64 centre: `centre_of` one of them."""
    x, y = x.double() - centre, y.double() - centre
    norms = x.square().sum(1).unsqueeze(1) + y.square().sum(1)
    squares = torch.addmm(norms, x, y.T, alpha=-2).nan_to_num_(nan=torch.inf, posinf=torch.inf)
    return SquareBlock(squares, norms)


def within(
    block: SquareBlock, radii: Float[Tensor, "#n #m"], x: Float[Tensor, "n D"], y: Float[Tensor, "m D"]
) -> Bool[Tensor, "n m"]:
    """Where rows of x and y are at most a radius apart, on the surface included.

    Args:
        block: `square_block` of x and y.
        radii: squared, from `ball_radii`; [n, 1] or [1, m].
        x: [n, D].
        y: [m, D].
    """
    inside, all_radii = block.squares <= radii, radii.expand(block.squares.shape)
    error = 4 * (x.shape[1] + 4) * torch.finfo(torch.float64).eps
    unsure = ((block.squares - radii).abs() <= error * block.norms).nonzero()
    for pairs in torch.split(unsure, max(1, CHUNK * CHUNK // max(x.shape[1], 1))):
        row, column = pairs.T
        inside[row, column] = _squares(x[row], y[column]) <= all_radii[row, column]
    return inside


def centre_of(features: Float[Tensor, "n D"]) -> Float[Tensor, " D"]:
    """Mean of some finite rows, in float64: distances do not depend on it, their rounding does."""
    some = features[:CHUNK]
    finite = some[some.isfinite().all(dim=1)]
    return finite.sum(0, dtype=torch.float64) / max(len(finite), 1)


def check_features(features: Tensor, references: Tensor) -> None:
    """Refuse features of two kinds.

    Raises:
        InvalidInputError: unless both are [rows, D] with one D.
    """
    require(
        features.ndim == 2 and references.ndim == 2 and features.shape[1] == references.shape[1],
        f"Both sets must be [rows, features] with equally many features, found {list(features.shape)} and "
        f"{list(references.shape)}; extract them with one extractor.",
    )


def _nearest_to_block(
    block: Tensor, references: Tensor, centre: Tensor, k: int, excluded: Tensor | None, chunk: int
) -> Neighbours:
    """Of one block of queries; the best k so far are merged with one block of references at a time."""
    best = torch.full((len(block), 0), torch.inf, dtype=torch.float64, device=block.device)
    indices = best.long()
    for start in range(0, len(references), chunk):
        squares = square_block(block, references[start : start + chunk], centre).squares
        if excluded is not None:
            here = ((excluded >= start) & (excluded < start + squares.shape[1])).nonzero().squeeze(1)
            squares[here, excluded[here] - start] = torch.inf
        near = squares.topk(min(k, squares.shape[1]), largest=False)
        best, indices = torch.cat([best, near.values], 1), torch.cat([indices, near.indices + start], 1)
        kept = best.topk(min(k, best.shape[1]), largest=False)
        best, indices = kept.values, indices.gather(1, kept.indices)
    return _measured(block, references, best, indices)


def _measured(block: Tensor, references: Tensor, best: Tensor, indices: Tensor) -> Neighbours:
    """The chosen neighbours by differences, nearest first."""
    columns = [_squares(block, references[column]).sqrt() for column in indices.unbind(dim=1)]
    exact = torch.stack(columns, dim=1).masked_fill(~best.isfinite(), torch.inf)
    order = exact.argsort(dim=1, stable=True)
    return Neighbours(exact.gather(1, order), indices.gather(1, order))


def _squares(x: Tensor, y: Tensor) -> Tensor:
    """Squared distances of pairs of rows, by differences."""
    return (x.double() - y.double()).square().sum(-1)
