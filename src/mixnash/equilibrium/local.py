r"""What a field looks like at a point: is it stationary, and where does the flow :math:`\dot z = -V(z)` go there."""

import enum
from typing import NamedTuple

import torch
from torch import Tensor

from mixnash.core.errors import NonFiniteError, require
from mixnash.core.games.vectors import VECTOR, AbstractVectorGame
from mixnash.core.joint import field
from mixnash.core.population import make_population
from mixnash.core.types import BOTH, Point, Profile
from mixnash.core.vector_oracle import VectorOracle


class Kind(enum.Enum):
    """The flow z' = -V near a stationary point, read off the eigenvalues of J; their real parts decide."""

    STABLE = "stable"
    """All positive: the point attracts."""
    UNSTABLE = "unstable"
    """Some negative, none positive: no direction attracts, some repel."""
    SADDLE = "saddle"
    """Both signs: some directions attract, some repel."""
    CYCLING = "cycling"
    """None negative, some zero with an imaginary part: to first order the flow circles."""
    DEGENERATE = "degenerate"
    """None negative, some eigenvalue zero: the first order does not tell."""


class LocalConditions(NamedTuple):
    """First and second derivatives at z = (x, y), in double precision."""

    gradient_norm: float
    """|V(z)|."""
    minimiser_curvature: Tensor
    """Eigenvalues of Phi_xx [dim of x], ascending; in general-sum games of the Hessian of the minimiser's own loss."""
    maximiser_curvature: Tensor
    """Eigenvalues of -Phi_yy [dim of y], ascending; in general-sum games of the maximiser's own loss."""
    eigenvalues: Tensor
    """Eigenvalues of J [dim of x + dim of y], complex, ascending by real part."""
    kind: Kind
    """Of the flow; means nothing where `gradient_norm` is not small."""

    def is_local_nash(self, tolerance: float = 1e-8) -> bool:
        """Whether the point is certainly a strict local Nash point: stationary, both curvatures positive.

        Sufficient, and up to zero curvatures necessary, in the interior of both domains. Gradient and curvatures are
        compared with `tolerance`, in their own units.
        """
        curvature = min(float(self.minimiser_curvature.min()), float(self.maximiser_curvature.min()))
        return self.gradient_norm <= tolerance and curvature > tolerance


def local_conditions(game: AbstractVectorGame, x: Tensor, y: Tensor, tolerance: float = 1e-9) -> LocalConditions:
    """Gradient, curvatures and the eigenvalues of the field's derivative at one point. Domains are ignored.

    Args:
        game: zero-sum or general-sum.
        x: the minimiser's point [dim].
        y: the maximiser's point [dim].
        tolerance: numbers below `tolerance` times the norm of J count as zero; at least 0.

    Raises:
        InvalidInputError: when a point does not fit its domain's dimension.
        NonFiniteError: when the field or its derivative is not finite there.
    """
    dims = game.minimiser.dim, game.maximiser.dim
    require(
        (*x.shape, *y.shape) == dims,
        f"The point of this game is x with {dims[0]} axes and y with {dims[1]}, found shapes {tuple(x.shape)} and "
        f"{tuple(y.shape)}.",
    )
    profile = Profile(*(make_population({VECTOR: one.detach().double().unsqueeze(0)}) for one in (x, y)))
    oracle = VectorOracle(game)
    slope = _flat(field(oracle.feedback(profile, BOTH)))
    jacobian = _jacobian(oracle, profile)
    own = jacobian[: dims[0], : dims[0]], jacobian[dims[0] :, dims[0] :]
    if not bool(torch.isfinite(torch.cat([slope, jacobian.flatten()])).all()):
        raise NonFiniteError(f"The field of {type(game).__name__} is not finite at {x.tolist()}, {y.tolist()}.")
    eigenvalues = torch.linalg.eigvals(jacobian)
    eigenvalues = eigenvalues[eigenvalues.real.argsort(stable=True)]
    zero = tolerance * float(torch.linalg.matrix_norm(jacobian))
    minimiser, maximiser = (torch.linalg.eigvalsh((one + one.T) / 2) for one in own)
    return LocalConditions(float(slope.norm()), minimiser, maximiser, eigenvalues, classify(eigenvalues, zero))


def classify(eigenvalues: Tensor, tolerance: float) -> Kind:
    """The kind of a linear flow z' = -J z from the eigenvalues of J; real parts up to `tolerance` count as zero."""
    real, marginal = eigenvalues.real, eigenvalues.real.abs() <= tolerance
    repels, attracts = bool((real < -tolerance).any()), bool((real > tolerance).any())
    if repels:
        return Kind.SADDLE if attracts else Kind.UNSTABLE
    if not bool(marginal.any()):
        return Kind.STABLE
    turning = bool((eigenvalues.imag[marginal].abs() > tolerance).all())
    return Kind.CYCLING if turning else Kind.DEGENERATE


def _flat(point: Point) -> Tensor:
    return torch.cat([point.generators[VECTOR][0], point.critics[VECTOR][0]])


def _jacobian(oracle: VectorOracle, profile: Profile) -> Tensor:
    """J of the pure strategies, row by row: J^T e_i."""
    linearisation = oracle.linearise(profile)
    x, y = profile.generators.params[VECTOR], profile.critics.params[VECTOR]
    units = torch.eye(x.shape[1] + y.shape[1], dtype=x.dtype)
    rows = [
        linearisation.pullback(
            Point({VECTOR: unit[: x.shape[1]].unsqueeze(0)}, {VECTOR: unit[x.shape[1] :].unsqueeze(0)})
        )
        for unit in units
    ]
    return torch.stack([_flat(row) for row in rows])
