r"""What the schemes share that are written on the game's field V, with a step size of their own instead of rules.

They move the point z = (x, y) of all positions of both players; log-weights stay as they are. For populations V is the
field of `joint`: gradients averaged over the opponent's weights and not scaled by the particle's own. Step sizes and
norms of a batch of games are each game's own.
"""

import abc
from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from mixnash.core.dynamics.base import AbstractDynamics
from mixnash.core.joint import place, position, project_near
from mixnash.core.tree import map_params
from mixnash.core.types import AbstractOracle, Params, Player, Point, Profile


class FieldState(NamedTuple):
    """Both players, the point that the next step starts from, and numbers worth plotting."""

    profile: Profile
    """Both players inside their domains: what `profile` reports."""
    base: Point
    """z; some schemes let it leave the domains."""
    steps: int
    """Steps so far."""
    shown: Params
    """Numbers of the last step by name, [*games]; zeros before the first."""


class AbstractFieldDynamics(AbstractDynamics):
    """A scheme that remembers nothing but its point z."""

    @property
    @abc.abstractmethod
    def shown(self) -> tuple[str, ...]:
        """The names of the numbers of a step that are worth plotting."""

    def init(self, profile: Profile) -> FieldState:
        """Z at the players' positions."""
        return start(profile, self.shown)

    def profile(self, state: FieldState) -> Profile:
        """Both players inside their domains, with the weights they started with."""
        return state.profile

    def replace_profile(self, state: FieldState, profile: Profile) -> FieldState:
        """Z at the positions of `profile`; schedules go on."""
        return state._replace(profile=profile, base=position(profile))

    def diagnostics(self, state: FieldState) -> dict[str, float]:
        """The numbers of the last step, which are common to both players; the largest one of a batch of games."""
        return show(state)


def start(profile: Profile, shown: tuple[str, ...]) -> FieldState:
    """The state before the first step."""
    zero = torch.zeros_like(profile.generators.log_weights[..., 0])
    return FieldState(profile, position(profile), 0, dict.fromkeys(shown, zero))


def arrive(state: FieldState, base: Point, inside: Point, numbers: Mapping[str, float | Tensor]) -> FieldState:
    """The state after a step.

    Args:
        state: the state before.
        base: the new z.
        inside: its projection, for `profile`.
        numbers: what to plot, by name; tensors are [*games].
    """
    like = state.profile.generators.log_weights
    shown = {
        name: value if isinstance(value, Tensor) else like.new_full(like.shape[:-1], value)
        for name, value in numbers.items()
    }
    return FieldState(place(state.profile, inside), base, state.steps + 1, shown)


def show(state: FieldState) -> dict[str, float]:
    """The numbers of the last step under both players' names."""
    numbers = {name: float(value.max()) for name, value in state.shown.items()}
    return {f"{player.value}s/{name}": value for player in Player for name, value in numbers.items()}


# ---------------------------------------------------------------------- points as vectors


def games_of(profile: Profile) -> int:
    """The number of leading axes that count games."""
    return profile.generators.log_weights.dim() - 1


def join(point: Point, games: int) -> Float[Tensor, "*games n"]:
    """The coordinates of both players as one vector per game."""
    return torch.cat([leaf.flatten(games) for own in point for leaf in own.values()], dim=-1)


def split(vector: Float[Tensor, "*games n"], like: Point) -> Point:
    """The point that a vector stands for, in the shapes of `like`."""
    games = vector.dim() - 1
    parts = iter(vector.split_with_sizes([leaf.shape[games:].numel() for own in like for leaf in own.values()], dim=-1))
    return Point(*(map_params(lambda leaf: next(parts).reshape(leaf.shape), own) for own in like))


def advance(point: Point, scale: Float[Tensor, "*games"], direction: Point) -> Point:
    """Z + scale d, with each game's own scale."""

    def move(leaf: Tensor, step: Tensor) -> Tensor:
        return torch.addcmul(leaf, scale.reshape(*scale.shape, *(1,) * (leaf.dim() - scale.dim())), step)

    return Point(
        map_params(move, point.generators, direction.generators), map_params(move, point.critics, direction.critics)
    )


def dot(one: Float[Tensor, "*games n"], other: Float[Tensor, "*games n"]) -> Float[Tensor, "*games"]:
    """The inner product of each game."""
    product: Tensor = torch.linalg.vecdot(one, other)
    return product


def project_vector(
    oracle: AbstractOracle, vector: Float[Tensor, "*games n"], like: Point
) -> tuple[Float[Tensor, "*games n"], Point]:
    """P(z), under its name nearest to z, as a vector and as a point."""
    inside = project_near(oracle, split(vector, like))
    return join(inside, vector.dim() - 1), inside
