r"""Global search for best responses: the smallest values of a function over the domain of one player.

Candidates fill the domain, the best local ones are refined by a semismooth Newton method on the natural residual

.. math:: F(x) = x - P(x - t \nabla f(x)),

which is zero exactly at the stationary points of f on the domain, whatever the domain's shape; steps that do not
descend are replaced by projected gradient steps.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from mixnash.core.domains import AbstractDomain
from mixnash.core.errors import NonFiniteError, require

Loss: TypeAlias = Callable[[Tensor], Tensor]
"""Points [n, dim] to numbers [n], each a twice differentiable function of its own point."""

_COMPARED = 512
"""Among so many of the best candidates, those with a better neighbour are not refined."""


class Effort(NamedTuple):
    """How hard to search."""

    per_axis: int = 2001
    """Grid points of an interval or a circle."""
    starts: int = 4096
    """Candidates in more dimensions: a grid in the plane, uniform draws beyond."""
    refinements: int = 40
    """Most Newton or gradient steps from each candidate that is refined."""
    kept: int = 16
    """Candidates refined."""


class Minima(NamedTuple):
    """Local minimisers, best first."""

    points: Float[Tensor, "m dim"]
    values: Float[Tensor, " m"]


def difference(domain: AbstractDomain, end: Tensor, start: Tensor) -> Tensor:
    """`end - start`; on a torus by the shortest way around."""
    return domain.unwrap(end, start) - start


def candidates(domain: AbstractDomain, effort: Effort, rng: torch.Generator) -> Float[Tensor, "n dim"]:
    """Points that fill the domain, and its extreme points along the axes (the vertices of a simplex).

    Raises:
        InvalidInputError: when the domain is unbounded.
    """
    if domain.dim == 1:
        filling = domain.grid(effort.per_axis)
    elif domain.dim == 2:
        filling = domain.grid(max(2, round(effort.starts**0.5)))
    else:
        filling = domain.sample(effort.starts, rng).cpu()
    axes = 1e6 * torch.eye(domain.dim, dtype=torch.float64)
    return torch.cat([filling, domain.project(axes), domain.project(-axes)])


def minimise(
    loss: Loss, domain: AbstractDomain, effort: Effort, rng: torch.Generator, known: Float[Tensor, "k dim"]
) -> Minima:
    """The best local minima found; the first is an upper bound of the true minimum.

    Args:
        loss: f, in double precision.
        domain: where to search; bounded.
        effort: how hard.
        rng: of the candidates in more than two dimensions.
        known: further candidates, all of which are refined.

    Raises:
        InvalidInputError: when the domain is unbounded.
        NonFiniteError: when f is not finite at a candidate.
    """
    points = candidates(domain, effort, rng)
    values = checked(loss, points)
    best = values.argsort(stable=True)[:_COMPARED]
    chosen = _local_minima(points[best])[: effort.kept]
    start = torch.cat([points[best][chosen], known])
    refined = refine(loss, domain, start, effort.refinements)
    order = refined.values.argsort(stable=True)
    return Minima(refined.points[order], refined.values[order])


def checked(loss: Loss, points: Tensor) -> Tensor:
    """Values without gradients, all of them finite."""
    with torch.no_grad():
        values = loss(points)
    if not bool(torch.isfinite(values).all()):
        worst = points[~torch.isfinite(values)][0]
        raise NonFiniteError(f"The payoff is not finite against the point {worst.tolist()} of the domain.")
    return values


def _local_minima(ordered: Tensor) -> Tensor:
    """Indices of those points, given best first, that have no better one next to them."""
    if len(ordered) == 1:
        return torch.zeros(1, dtype=torch.long)
    distances = torch.cdist(ordered, ordered)
    nearest = distances.clone().fill_diagonal_(torch.inf).amin(1).median()
    better = torch.ones_like(distances, dtype=torch.bool).tril(-1)
    return (~((distances <= 1.5 * nearest) & better).any(1)).nonzero().flatten()


def refine(loss: Loss, domain: AbstractDomain, points: Tensor, steps: int) -> Minima:
    """Descend from each of the points [m, dim], within the domain, until nothing improves or `steps` are done."""
    points = domain.project(points)
    values = checked(loss, points)
    for _ in range(steps):
        proposals = _proposals(loss, domain, points)
        with torch.no_grad():
            found = loss(proposals.flatten(0, 1)).reshape(proposals.shape[:2])
        lowest, which = torch.where(torch.isfinite(found), found, torch.inf).min(1)
        improved = lowest < values
        if not bool(improved.any()):
            break
        chosen = proposals[torch.arange(len(points)), which]
        points = torch.where(improved.unsqueeze(-1), chosen, points)
        values = torch.where(improved, lowest, values)
    return Minima(points, values)


@torch.enable_grad()
def _proposals(loss: Loss, domain: AbstractDomain, points: Tensor) -> Tensor:
    """Points to try next [m, n, dim]: along the Newton step, and along the projected gradient."""
    x = points.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(x).sum() + 0 * x.sum(), x, create_graph=True, materialize_grads=True)
    hessian = _finite(_rows(gradient, x))
    gradient = _finite(gradient.detach())
    size = hessian.flatten(1).norm(dim=1) + gradient.norm(dim=1)
    rate = (1 / size.clamp_min(1e-12)).unsqueeze(-1)

    moved = (points - rate * gradient).requires_grad_()
    projected = domain.project(moved)
    slope = _rows(projected, moved)
    identity = torch.eye(domain.dim, dtype=points.dtype)
    residual = difference(domain, points, projected.detach())
    derivative = identity - slope @ (identity - rate.unsqueeze(-1) * hessian)
    newton = -(torch.linalg.pinv(derivative, rtol=1e-9) @ residual.unsqueeze(-1)).squeeze(-1)

    halves = 0.5 ** torch.arange(6, dtype=points.dtype).reshape(-1, 1)
    rates = 4.0 ** torch.arange(-6, 9, dtype=points.dtype).reshape(-1, 1)
    steps = torch.cat([halves * newton.unsqueeze(1), -rates * (rate * gradient).unsqueeze(1)], dim=1)
    return domain.project(points.unsqueeze(1) + steps)


def _finite(derivatives: Tensor) -> Tensor:
    """Where a derivative does not exist, nothing is proposed."""
    return derivatives.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)


def _rows(outputs: Tensor, inputs: Tensor) -> Tensor:
    """Derivative [m, dim, dim] of outputs [m, dim], each row of which depends on its own row of the inputs only."""
    if not outputs.requires_grad:
        return torch.zeros(*inputs.shape, inputs.shape[-1], dtype=inputs.dtype)
    columns = [
        torch.autograd.grad(outputs[:, i].sum(), inputs, retain_graph=True, materialize_grads=True)[0]
        for i in range(outputs.shape[-1])
    ]
    return torch.stack(columns, dim=1)


def require_positive(effort: Effort) -> None:
    """Raise `InvalidInputError` unless every count of an effort is possible."""
    require(
        effort.per_axis >= 2 and effort.starts >= 4 and effort.refinements >= 0 and effort.kept >= 1,
        "A search needs at least 2 points per axis, 4 starts, 0 refinements and 1 point to keep, found "
        f"{effort.per_axis}, {effort.starts}, {effort.refinements} and {effort.kept}.",
    )
