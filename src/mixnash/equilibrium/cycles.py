r"""Limit cycles of trajectories: how large, how long, and whether the trajectory has settled on one."""

import itertools
import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from mixnash.core.errors import require

_RETURNS = 3
"""Fewer returns to the section say nothing about settling."""

_POINT = 1e-9
"""A trajectory of smaller radius, relative to its distance from the origin plus one, has converged."""


class Cycle(NamedTuple):
    """A closed curve that a trajectory follows, in double precision."""

    centre: Tensor
    """What radii are distances from [dim]."""
    mean_radius: float
    """Averaged over whole turns, in steps (in time, not in arc length)."""
    min_radius: float
    """Smallest over the turns seen, at the trajectory's own points."""
    max_radius: float
    """Largest over the turns seen."""
    period: float
    """Steps per turn, fractional; times the step size it is the period of the flow."""
    turns: int
    """Whole turns that the numbers are averaged over."""
    drift: float
    """Change of the mean radius from the first to the last turn, relative to it."""


def detect_cycle(
    points: Float[Tensor, "steps dim"],
    centre: Float[Tensor, " dim"] | None = None,
    tail: float = 0.5,
    tolerance: float = 1e-2,
) -> Cycle | None:
    r"""The limit cycle that the end of a trajectory follows, or None where it converges, drifts or escapes.

    The tail is seen in the plane of its two principal directions around the centre. A turn ends where the angle there
    has grown by :math:`2 \pi`: at the returns to a Poincare section, a half-line from the centre, located between steps
    by linear interpolation. The tail is a cycle if there are at least 3 returns and they all hit the section at one
    place, the mean radius of the turns being constant too.

    Args:
        points: the trajectory, at equal steps.
        centre: a point that the cycle winds around; the mean of the tail if omitted.
        tail: which part of the trajectory at its end to look at, in (0, 1].
        tolerance: largest spread of the returns, and largest change of the mean radius from the first to the last
            turn, both relative to the mean radius. A spiral that moves less within the tail passes for a cycle.

    Raises:
        InvalidInputError: when the trajectory is no list of points of a plane or a space, or an argument is out of
            range.
    """
    require(
        points.dim() == 2 and points.shape[1] >= 2,
        f"A trajectory needs points [steps, axes] with at least 2 axes, found shape {tuple(points.shape)}.",
    )
    require(0 < tail <= 1, f"The tail must be a part of the trajectory in (0, 1], found {tail}.")
    require(tolerance > 0, f"The tolerance of a cycle must be positive, found {tolerance}.")
    z = points[len(points) - math.ceil(tail * len(points)) :].detach().double()
    if len(z) < 2 * _RETURNS or not bool(torch.isfinite(z).all()):
        return None
    middle = z.mean(0) if centre is None else centre.detach().double()
    offsets = z - middle
    radii = offsets.norm(dim=1)
    if float(radii.max()) <= _POINT * (1 + float(middle.norm())):
        return None
    times = _returns(offsets)
    if len(times) < _RETURNS:
        return None
    hits = _at(offsets, times)
    turns = torch.stack([radii[_between(a, b)].mean() for a, b in itertools.pairwise(times)])
    whole = radii[_between(times[0], times[-1])]
    mean = float(whole.mean())
    drift = float((turns[-1] - turns[0]).abs()) / mean
    spread = float((hits - hits[-1]).norm(dim=1).max()) / mean
    if max(drift, spread) > tolerance:
        return None
    period = float(times[-1] - times[0]) / (len(times) - 1)
    return Cycle(middle, mean, float(whole.min()), float(whole.max()), period, len(times) - 1, drift)


def _returns(offsets: Tensor) -> Tensor:
    """Times, in steps, at which the angle has advanced by a whole number of turns."""
    plane = torch.linalg.svd(offsets - offsets.mean(0), full_matrices=False).Vh[:2]
    flat = offsets @ plane.T
    angles = torch.atan2(flat[:, 1], flat[:, 0])
    steps = angles.diff()
    steps = steps - 2 * math.pi * (steps / (2 * math.pi)).round()
    turned = torch.cat([torch.zeros(1, dtype=steps.dtype), steps.cumsum(0)]) / (2 * math.pi)
    turned = turned if float(turned[-1]) >= 0 else -turned
    reached = turned.cummax(0).values
    marks = torch.arange(1, math.floor(float(reached[-1])) + 1, dtype=turned.dtype)
    after = torch.searchsorted(reached, marks)
    return after - 1 + (marks - turned[after - 1]) / (turned[after] - turned[after - 1])


def _at(offsets: Tensor, times: Tensor) -> Tensor:
    before = times.floor().long().clamp(0, len(offsets) - 2)
    share = (times - before).unsqueeze(-1)
    return (1 - share) * offsets[before] + share * offsets[before + 1]


def _between(start: Tensor, end: Tensor) -> slice:
    return slice(math.ceil(float(start)), max(math.ceil(float(end)), math.ceil(float(start)) + 1))
