"""How far the domains of games on the line and in the plane reach."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mixnash.core.domains import AbstractDomain
from mixnash.figures.arrays import Limits

_ALONE = 0.5  # beside a domain of a single point
_PER_AXIS = 33  # points that stand for a domain of the plane
_BESIDE = 0.05  # of the width, around what is in the plane


def extent(domain: AbstractDomain) -> tuple[float, float] | None:
    """The ends of a bounded domain of one axis; None of the whole line."""
    if not domain.bounded:
        return None
    if domain.periodic:  # its grids leave out the repeated end
        return 0.0, 1.0
    ends = domain.grid(2)
    low, high = float(ends.min()), float(ends.max())
    return (low, high) if low < high else (low - _ALONE, high + _ALONE)


def window_of(domains: Sequence[AbstractDomain], points: Tensor) -> Limits:
    """What covers domains of the plane, and the points [n, 2] where one is unbounded."""
    if all(one.bounded for one in domains):
        points = torch.cat([_corners(one) for one in domains])
    low, high = points.amin(0), points.amax(0)
    beside = max(_BESIDE * float((high - low).max()), 1e-3)
    (left, bottom), (right, top) = (low - beside).tolist(), (high + beside).tolist()
    return left, right, bottom, top


def _corners(domain: AbstractDomain) -> Tensor:
    if domain.periodic:
        return torch.tensor([[0.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
    return domain.grid(_PER_AXIS)
