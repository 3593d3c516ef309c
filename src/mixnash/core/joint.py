r"""Both players as one point z = (x, y), for schemes that are written on the game's field

.. math:: V(z) = (\nabla_x \ell_G, \nabla_y \ell_D),

which for a zero-sum game is :math:`(\nabla_x \Phi, -\nabla_y \Phi)`. Sums and products run over all particles and
parameters of both players, as if they were one vector; weights do not enter.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from mixnash.core.tree import map_params
from mixnash.core.types import AbstractOracle, Feedback, Params, Player, Point, Profile


def position(profile: Profile) -> Point:
    """The positions of both players, without their weights."""
    return Point(profile.generators.params, profile.critics.params)


def place(profile: Profile, point: Point) -> Profile:
    """The profile with its particles moved to `point`."""
    return Profile(profile.generators._replace(params=point.generators), profile.critics._replace(params=point.critics))


def field(feedback: Feedback) -> Point:
    """V at the profile that was asked for, with gradients for both players."""
    assert feedback.generator_grads is not None
    assert feedback.critic_grads is not None
    return Point(feedback.generator_grads, feedback.critic_grads)


def add(point: Point, scale: float, direction: Point) -> Point:
    """Z + scale d."""

    def move(leaf: Tensor, step: Tensor) -> Tensor:
        return leaf.add(step, alpha=scale)

    return Point(
        map_params(move, point.generators, direction.generators), map_params(move, point.critics, direction.critics)
    )


def subtract(one: Point, other: Point) -> Point:
    """Z - w."""
    return add(one, -1.0, other)


def inner(one: Point, other: Point) -> Float[Tensor, ""]:
    """The Euclidean inner product."""
    return torch.stack([_inner(a, b) for a, b in zip(one, other, strict=True)]).sum()


def _inner(one: Params, other: Params) -> Tensor:
    return torch.stack([torch.linalg.vecdot(leaf.flatten(), other[name].flatten()) for name, leaf in one.items()]).sum()


def norm(point: Point) -> Float[Tensor, ""]:
    """The Euclidean norm."""
    return inner(point, point).sqrt()


def project(oracle: AbstractOracle, point: Point) -> Point:
    """P(z): both players back in their domains."""
    return Point(oracle.project(Player.GENERATOR, point.generators), oracle.project(Player.CRITIC, point.critics))


def unwrap(oracle: AbstractOracle, point: Point, reference: Point) -> Point:
    """The same point under its names nearest to the reference: on a torus, whole turns away; elsewhere itself."""
    return Point(
        oracle.unwrap(Player.GENERATOR, point.generators, reference.generators),
        oracle.unwrap(Player.CRITIC, point.critics, reference.critics),
    )


def project_near(oracle: AbstractOracle, point: Point) -> Point:
    """P(z) for differences with z: on a torus z itself, so that no turn is counted as a step."""
    return unwrap(oracle, project(oracle, point), point)
