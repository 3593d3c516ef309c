"""Where searches for best responses start."""

import torch
from jaxtyping import Int
from torch import Tensor

from mixnash.core.errors import require
from mixnash.core.tree import map_params, normal_like, over_leaf, take
from mixnash.core.types import Params


def make_starts(
    params: Params, order: Int[Tensor, " K"], most: int, noise: float, fresh: Params, rng: torch.Generator
) -> Params:
    r"""Where one player's search starts: its most promising atoms, the same perturbed, and fresh networks.

    A perturbed leaf is :math:`\theta + s \, \mathrm{rms}(\theta) \, \xi` with :math:`\xi \sim N(0, I)`: a profile may
    be stationary without being an equilibrium, and then nothing moves from the atoms themselves.

    Args:
        params: the player's atoms, leaves [K, ...].
        order: the atoms from the most to the least promising, such as `duality_gap.promising_atoms`.
        most: of atoms, and how many perturbed ones, taking the same atoms in turn; at least 1.
        noise: s, at least 0.
        fresh: newly initialised networks, leaves [n, ...].
        rng: of the noise.

    Returns:
        Leaves [R, ...] with R = min(K, most) + most + n.

    Raises:
        InvalidInputError: when an argument is out of range.

    References:
        On duality gap as a measure for monitoring GAN training, 2021 (perturbed starts, there with absolute noise).
    """
    require(most >= 1, f"A search for best responses needs at least 1 start, found {most}.")
    require(noise >= 0, f"The noise of perturbed starts must be at least 0, found {noise}.")
    first = order[:most]
    atoms, turns = take(params, first), take(params, first[torch.arange(most, device=first.device) % len(first)])

    def perturbed(leaf: Tensor, draw: Tensor) -> Tensor:
        scale = leaf.reshape(len(leaf), -1).square().mean(1).sqrt()
        return leaf + noise * over_leaf(scale, leaf) * draw

    return joined(atoms, map_params(perturbed, turns, normal_like(turns, rng)), fresh)


def joined(*parts: Params) -> Params:
    """Stacked parameters one after the other: leaves [n, ...] and [m, ...] become [n + m, ...]."""
    return map_params(lambda *leaves: torch.cat(leaves), *parts)
