"""The spectral norm of the derivative of a game's field: how fast the field can change around a point."""

import torch
from jaxtyping import Float
from torch import Tensor

from mixnash.core.dynamics.field_dynamics import join, split
from mixnash.core.tree import normal_like
from mixnash.core.types import AbstractLinearisation, Point

EXACT_COORDINATES = 64
"""Up to this many coordinates of both players the derivative is written out, one product per coordinate."""


def jacobian_norm(
    linearisation: AbstractLinearisation, point: Point, games: int, iterations: int, rng: torch.Generator
) -> Float[Tensor, "*games"]:
    """|J|_2 of each game: exact for few coordinates, else a lower bound by power iteration on J^T J.

    Args:
        linearisation: J at `point`.
        point: where; gives the shapes.
        games: the number of leading axes that count games.
        iterations: of the power iteration, at least 1; each is one product with J and one with its transpose.
        rng: the start of the power iteration.
    """
    origin = join(point, games)
    if origin.shape[-1] <= EXACT_COORDINATES:
        return _spectral_norm(_rows(linearisation, point, origin))
    direction = join(Point(normal_like(point.generators, rng), normal_like(point.critics, rng)), games)
    tiny = torch.finfo(origin.dtype).tiny
    length = torch.zeros_like(origin[..., 0])
    for _ in range(iterations):
        unit = direction / torch.linalg.vector_norm(direction, dim=-1, keepdim=True).clamp_min(tiny)
        image = linearisation.pushforward(split(unit, point))
        length = torch.linalg.vector_norm(join(image, games), dim=-1)
        direction = join(linearisation.pullback(image), games)
    return length


def _spectral_norm(matrix: Float[Tensor, "*games n n"]) -> Float[Tensor, "*games"]:
    """The largest singular value; NaN where an entry is not finite, which the decomposition refuses."""
    norm: Tensor = torch.linalg.matrix_norm(matrix.nan_to_num(0.0, 0.0, 0.0), ord=2)
    return torch.where(torch.isfinite(matrix).all(-1).all(-1), norm, torch.nan)


def _rows(linearisation: AbstractLinearisation, point: Point, origin: Tensor) -> Float[Tensor, "*games n n"]:
    """J, row by row: games do not see each other, so one product gives a row of all of them."""
    units = torch.eye(origin.shape[-1], dtype=origin.dtype, device=origin.device)
    rows = [linearisation.pullback(split(unit.expand_as(origin), point)) for unit in units]
    return torch.stack([join(row, origin.dim() - 1) for row in rows], dim=-2)
