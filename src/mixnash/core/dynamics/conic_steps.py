"""One half of a mirror prox step of weights and positions, and how two halves compare; for batches of games too."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from mixnash.core.tree import map_params, over_leaf
from mixnash.core.types import AbstractOracle, Feedback, Params, Player, Population, Profile


class Half(NamedTuple):
    """Where a player gets from its base."""

    population: Population
    moved: Params
    """Displacement of the positions, along the way taken on periodic domains."""


def half_steps(
    base: Profile, probe: Profile, seen: Feedback, steps: Float[Tensor, "3 *games"], oracle: AbstractOracle
) -> tuple[Half, Half]:
    """Entropic steps of the weights, and gradient steps of the positions scaled by probe weight over base weight.

    Args:
        base: where both players start.
        probe: where they were seen.
        seen: the answer there.
        steps: step sizes of weights, generators and critics.
        oracle: projects.
    """
    first, second = (
        _half_step(player, own, ahead, side, (steps[0], step), oracle)
        for player, own, ahead, side, step in zip(Player, base, probe, _sides(seen), steps[1:], strict=True)
    )
    return first, second


def _half_step(
    player: Player,
    base: Population,
    probe: Population,
    side: tuple[Tensor, Params],
    steps: tuple[Tensor, Tensor],
    oracle: AbstractOracle,
) -> Half:
    losses, grads = side
    log_weights = torch.log_softmax(base.log_weights - steps[0].unsqueeze(-1) * losses, -1)
    # Weights stay positive, so that their logarithms stay finite and atoms can come back.
    log_weights = log_weights.clamp_min(0.97 * math.log(torch.finfo(losses.dtype).tiny))
    scale = -steps[1].unsqueeze(-1) * (probe.log_weights - base.log_weights).exp()
    free = map_params(lambda leaf, grad: leaf + over_leaf(scale, leaf) * grad, base.params, grads)
    inside = oracle.project(player, free)
    moved = map_params(torch.sub, oracle.unwrap(player, inside, free), base.params)
    return Half(Population(inside, log_weights), moved)


class Comparison(NamedTuple):
    """What the condition of mirror prox is made of; see `step_control`."""

    products: Float[Tensor, "3 *games"]
    """Change of the field from base to w, times w - z: weights of both players, generators, critics."""
    divergence: Float[Tensor, "*games"]
    """From base to w and from w to z, each block's over its step size."""
    gap: Float[Tensor, "*games"]
    """Largest difference of the weights of w and z, summed over both players."""


def compare(
    base: Profile,
    seen: Feedback,
    ahead: Feedback,
    w: tuple[Half, Half],
    z: tuple[Half, Half],
    steps: Float[Tensor, "3 *games"],
) -> Comparison:
    """Compare the probe w with the end z.

    Args:
        base: where both players start.
        seen: the answer at the base.
        ahead: the answer at w.
        w: the first half.
        z: the second half, from the base as well.
        steps: as in `half_steps`.
    """
    generators, critics = (_compare_player(*one) for one in zip(base, _sides(seen), _sides(ahead), w, z, strict=True))
    products = torch.stack([generators.weights + critics.weights, generators.positions, critics.positions])
    divergence = (
        (generators.relative_entropy + critics.relative_entropy) / steps[0]
        + generators.square / (2 * steps[1])
        + critics.square / (2 * steps[2])
    )
    return Comparison(products, divergence, generators.gap + critics.gap)


class _Share(NamedTuple):
    """Of one player, each [*games]."""

    weights: Tensor
    positions: Tensor
    relative_entropy: Tensor
    square: Tensor
    gap: Tensor


def _compare_player(
    base: Population, seen: tuple[Tensor, Params], ahead: tuple[Tensor, Params], w: Half, z: Half
) -> _Share:
    games = base.log_weights.dim() - 1
    log_a, log_w, log_z = base.log_weights, w.population.log_weights, z.population.log_weights
    p_a, p_w, p_z = log_a.exp(), log_w.exp(), log_z.exp()
    change = map_params(lambda new, old: over_leaf(p_w, new) * new - over_leaf(p_a, old) * old, ahead[1], seen[1])
    back = map_params(torch.sub, w.moved, z.moved)
    return _Share(
        ((ahead[0] - seen[0]) * (p_w - p_z)).sum(-1),
        inner(change, back, games).sum(-1),
        (p_w * (log_w - log_a) + p_z * (log_z - log_w)).sum(-1),
        (p_a * (inner(w.moved, w.moved, games) + inner(back, back, games))).sum(-1),
        (p_w - p_z).abs().amax(-1),
    )


def _sides(seen: Feedback) -> tuple[tuple[Tensor, Params], tuple[Tensor, Params]]:
    """What the weights and the positions of either player descend."""
    assert seen.generator_grads is not None
    assert seen.critic_grads is not None
    return (seen.generator_losses, seen.generator_grads), (seen.critic_losses, seen.critic_grads)


def inner(one: Params, other: Params, games: int) -> Float[Tensor, "*games K"]:
    """The inner product of each particle [*games, K, ...] of one with the same particle of the other."""
    products = [(leaf * other[name]).reshape(*leaf.shape[: games + 1], -1).sum(-1) for name, leaf in one.items()]
    return products[0] if len(products) == 1 else torch.stack(products).sum(0)
