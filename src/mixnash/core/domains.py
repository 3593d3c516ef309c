"""Where the strategies of games on vectors live: sets with a projection, and points to search them with."""

import abc
import math
from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from mixnash.core.compositions import compositions
from mixnash.core.errors import InvalidInputError, require


class AbstractDomain(abc.ABC):
    """A closed set of R^dim. Points are the last axis of a tensor; leading axes are free."""

    bounded: bool = True
    """Whether it can be sampled, and filled by a grid."""
    periodic: bool = False
    """Whether points a whole number apart on an axis are the same."""

    @property
    @abc.abstractmethod
    def dim(self) -> int:
        """Length of a point."""

    @abc.abstractmethod
    def project(self, points: Tensor) -> Tensor:
        """The nearest points of the set (or the same point under another name, on the torus)."""

    @abc.abstractmethod
    def sample(self, count: int, rng: torch.Generator) -> Tensor:
        """Independent uniform draws [count, dim] in double precision, on the generator's device.

        Raises:
            InvalidInputError: when the set has no uniform law.
        """

    @abc.abstractmethod
    def grid(self, per_axis: int) -> Tensor:
        """Points [n, dim] in double precision that fill the set evenly, n of the order per_axis^dim.

        Raises:
            InvalidInputError: when the set cannot be filled by finitely many points.
        """

    def contains(self, points: Tensor, tolerance: float = 1e-9) -> Tensor:
        """Whether points [..., dim] lie in the closure of the set, to a distance of `tolerance`: booleans [...].

        Raises:
            InvalidInputError: when the points have another dimension.
        """
        found = points.shape[-1]
        require(found == self.dim, f"A point of this domain has {self.dim} coordinates, found {found}.")
        return self.distance(points) <= tolerance

    def distance(self, points: Tensor) -> Tensor:
        """Euclidean distances [...] of points [..., dim] to the set."""
        return (self.project(points) - points).square().sum(-1).sqrt()

    def unwrap(self, points: Tensor, reference: Tensor) -> Tensor:
        """The same points under their names nearest to the reference: elsewhere than on a torus, themselves."""
        return points + (reference - points).round() if self.periodic else points


def _dim(dim: int) -> int:
    require(dim >= 1, f"A domain needs at least one axis, found {dim}.")
    return dim


def _axes(low: Tensor, high: Tensor, per_axis: int, closed: bool) -> Tensor:
    """A product grid; without its upper faces if it is not closed."""
    require(per_axis >= 2, f"A grid needs at least 2 points per axis, found {per_axis}.")
    unit = torch.linspace(0, 1, per_axis if closed else per_axis + 1, dtype=torch.float64)[:per_axis]
    columns = [a + (b - a) * unit for a, b in zip(low.tolist(), high.tolist(), strict=True)]
    return torch.stack([one.flatten() for one in torch.meshgrid(*columns, indexing="ij")], dim=-1)


@final
class Euclidean(AbstractDomain):
    """The whole space R^dim: nothing is projected, and it can be neither sampled nor filled.

    Args:
        dim: number of axes, at least 1.
    """

    bounded = False

    def __init__(self, dim: int) -> None:
        self._dim = _dim(dim)

    @property
    def dim(self) -> int:
        """Number of axes."""
        return self._dim

    def project(self, points: Tensor) -> Tensor:
        """The points themselves."""
        return points

    def sample(self, count: int, rng: torch.Generator) -> Tensor:
        """Refused: there is no uniform law."""
        raise InvalidInputError(_UNBOUNDED)

    def grid(self, per_axis: int) -> Tensor:
        """Refused: no finite grid fills it."""
        raise InvalidInputError(_UNBOUNDED)


_UNBOUNDED = (
    "The whole space can be neither sampled nor searched: give the game a bounded domain, such as "
    "mixnash.core.domains.Box."
)


@final
class Box(AbstractDomain):
    """The box of points x with low <= x <= high on every axis.

    Args:
        low: lower corner, one number per axis.
        high: upper corner, above it.

    Raises:
        InvalidInputError: when the corners do not span a box.
    """

    def __init__(self, low: Sequence[float], high: Sequence[float]) -> None:
        _dim(len(low))
        require(len(low) == len(high), f"The corners of a box need equal lengths, found {len(low)} and {len(high)}.")
        require(
            all(a < b and math.isfinite(a) and math.isfinite(b) for a, b in zip(low, high, strict=True)),
            f"The upper corner of a box must be finite and above the lower one on every axis, found {low} and {high}.",
        )
        self.low = torch.tensor(low, dtype=torch.float64)
        self.high = torch.tensor(high, dtype=torch.float64)

    @property
    def dim(self) -> int:
        """Number of axes."""
        return len(self.low)

    def project(self, points: Tensor) -> Tensor:
        """Coordinates clamped."""
        return points.clamp(self.low.to(points), self.high.to(points))

    def sample(self, count: int, rng: torch.Generator) -> Tensor:
        """Uniform draws."""
        unit = torch.rand(count, self.dim, generator=rng, dtype=torch.float64, device=rng.device)
        return self.low.to(unit) + (self.high - self.low).to(unit) * unit

    def grid(self, per_axis: int) -> Tensor:
        """A product grid with the corners."""
        return _axes(self.low, self.high, per_axis, closed=True)


@final
class Torus(AbstractDomain):
    """The torus [0, 1)^dim with periodic axes; the projection wraps.

    Args:
        dim: number of axes, at least 1.
    """

    periodic = True

    def __init__(self, dim: int) -> None:
        self._dim = _dim(dim)

    @property
    def dim(self) -> int:
        """Number of axes."""
        return self._dim

    def project(self, points: Tensor) -> Tensor:
        """The same points with coordinates in [0, 1)."""
        return points.remainder(1).frac()  # the remainder of -1e-20 rounds to 1

    def distance(self, points: Tensor) -> Tensor:
        """Distances to the cube [0, 1]^dim of the points' standard names."""
        return (points.clamp(0, 1) - points).square().sum(-1).sqrt()

    def sample(self, count: int, rng: torch.Generator) -> Tensor:
        """Uniform draws."""
        return torch.rand(count, self.dim, generator=rng, dtype=torch.float64, device=rng.device)

    def grid(self, per_axis: int) -> Tensor:
        """A product grid without the repeated end."""
        return _axes(torch.zeros(self.dim), torch.ones(self.dim), per_axis, closed=False)


@final
class Simplex(AbstractDomain):
    """The probability simplex of R^dim.

    Args:
        dim: number of vertices, at least 1.
    """

    def __init__(self, dim: int) -> None:
        self._dim = _dim(dim)

    @property
    def dim(self) -> int:
        """Number of vertices."""
        return self._dim

    def project(self, points: Tensor) -> Tensor:
        """Euclidean projection.

        References:
            Held, Wolfe, Crowder, 1974; as in Duchi et al., 2008, Efficient projections onto the l1-ball, Figure 1.
        """
        points = points - points.amax(-1, keepdim=True)  # same projection, no cancellation against large entries
        ordered = points.sort(dim=-1, descending=True).values
        ranks = torch.arange(1, points.shape[-1] + 1, device=points.device, dtype=points.dtype)
        thresholds = (ordered.cumsum(-1) - 1) / ranks
        support = (ordered > thresholds).sum(-1, keepdim=True).clamp_min(1)  # 0 for NaN, which must stay NaN
        return (points - thresholds.gather(-1, support - 1)).clamp_min(0)

    def sample(self, count: int, rng: torch.Generator) -> Tensor:
        """Uniform draws: normalised exponential variables."""
        unit = torch.rand(count, self.dim, generator=rng, dtype=torch.float64, device=rng.device)
        exponential = -torch.log1p(-unit)
        return exponential / exponential.sum(-1, keepdim=True)

    def grid(self, per_axis: int) -> Tensor:
        """All points whose coordinates are multiples of 1 / (per_axis - 1)."""
        require(per_axis >= 2, f"A grid needs at least 2 points per axis, found {per_axis}.")
        return compositions(per_axis - 1, self.dim) / (per_axis - 1)


@final
class Ball(AbstractDomain):
    """The ball of a given radius around the origin.

    Args:
        dim: number of axes, at least 1.
        radius: positive.

    Raises:
        InvalidInputError: when the radius is not positive.
    """

    def __init__(self, dim: int, radius: float = 1.0) -> None:
        require(0 < radius < math.inf, f"The radius of a ball must be positive and finite, found {radius}.")
        self._dim, self.radius = _dim(dim), radius

    @property
    def dim(self) -> int:
        """Number of axes."""
        return self._dim

    def project(self, points: Tensor) -> Tensor:
        """Points outside are pulled to the sphere along the ray."""
        norm = points.norm(dim=-1, keepdim=True)
        return torch.where(norm > self.radius, points * (self.radius / norm.clamp_min(self.radius)), points)

    def sample(self, count: int, rng: torch.Generator) -> Tensor:
        """Uniform draws: a direction times the dim-th root of a uniform radius."""
        unit = torch.rand(count, 1, generator=rng, dtype=torch.float64, device=rng.device)
        normal = torch.randn(count, self.dim, generator=rng, dtype=torch.float64, device=rng.device)
        return self.radius * unit ** (1 / self.dim) * torch.nn.functional.normalize(normal, dim=-1)

    def grid(self, per_axis: int) -> Tensor:
        """The inner points of a cube's product grid, and its surface pulled to the sphere; in lexicographic order."""
        cube = _axes(-torch.ones(self.dim), torch.ones(self.dim), per_axis, closed=True)
        inner, surface = cube[cube.norm(dim=-1) < 1 - 1e-9], cube[cube.abs().amax(-1) == 1]
        points = torch.cat([inner, torch.nn.functional.normalize(surface, dim=-1)])
        ordered: Tensor = torch.unique(self.radius * points, dim=0)
        return ordered


@final
class Sphere(AbstractDomain):
    """The sphere of a given radius around the origin, with the radial retraction as projection.

    Args:
        dim: number of axes of the space around it, at least 2.
        radius: positive.

    Raises:
        InvalidInputError: when the dimension is below 2 or the radius is not positive.
    """

    def __init__(self, dim: int, radius: float = 1.0) -> None:
        require(dim >= 2, f"A sphere needs at least 2 axes, found {dim}.")
        require(0 < radius < math.inf, f"The radius of a sphere must be positive and finite, found {radius}.")
        self._dim, self.radius = dim, radius

    @property
    def dim(self) -> int:
        """Number of axes of the space around it."""
        return self._dim

    def project(self, points: Tensor) -> Tensor:
        """Points scaled to the radius; the origin, which has no nearest point, goes to the first axis."""
        norm = points.norm(dim=-1, keepdim=True)
        first = torch.zeros_like(points)
        first[..., 0] = self.radius
        tiny = torch.finfo(points.dtype).tiny
        return torch.where(norm > tiny, points * (self.radius / norm.clamp_min(tiny)), first)

    def sample(self, count: int, rng: torch.Generator) -> Tensor:
        """Uniform draws: normalised Gaussian vectors."""
        return self.project(torch.randn(count, self.dim, generator=rng, dtype=torch.float64, device=rng.device))

    def grid(self, per_axis: int) -> Tensor:
        """The surface points of a cube's product grid, pulled to the sphere."""
        cube = _axes(-torch.ones(self.dim), torch.ones(self.dim), per_axis, closed=True)
        return self.project(cube[cube.abs().amax(-1) == 1])
