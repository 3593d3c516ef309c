"""How far a profile is from a known equilibrium."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mixnash.core.games.matrix import Matrix
from mixnash.core.games.vectors import VECTOR, AbstractVectorGame
from mixnash.core.population import size, weights
from mixnash.core.types import Population, Profile


def distance(game: AbstractVectorGame, profile: Profile, known: Profile) -> float | None:
    r"""The root sum of squares over both players of

    - the Euclidean distance of the mean strategies on matrix games, where nothing else matters;
    - the Wasserstein-1 distance otherwise, which for pure strategies is Euclidean: exact on the line and where one
      side is a single atom. On the torus, ways lead around it.

    Returns:
        The distance, or None where the Wasserstein distance would need a transport plan in several dimensions.
    """
    domains = game.minimiser, game.maximiser
    both = [
        _between_means(one, other) if isinstance(game, Matrix) else wasserstein1(one, other, domain.periodic)
        for one, other, domain in zip(profile, known, domains, strict=True)
    ]
    return None if None in both else math.hypot(*(one for one in both if one is not None))


def _between_means(one: Population, other: Population) -> float:
    return float(torch.linalg.vector_norm(_mean(one) - _mean(other)))


def _mean(player: Population) -> Tensor:
    return weights(player) @ player.params[VECTOR]


def wasserstein1(one: Population, other: Population, on_torus: bool = False) -> float | None:
    """The Wasserstein-1 distance of two mixed strategies; None for several atoms each off the line."""
    if size(other) == 1:
        one, other = other, one
    x, y = one.params[VECTOR], other.params[VECTOR]
    if size(one) == 1:
        ways = y - x
        ways = ways - ways.round() if on_torus else ways
        return float(weights(other) @ torch.linalg.vector_norm(ways, dim=-1))
    if x.shape[-1] > 1:
        return None
    measure = _on_the_circle if on_torus else _on_the_line
    return measure(*(leaf.double().numpy().ravel() for leaf in (x, weights(one), y, weights(other))))


def _on_the_line(
    x: NDArray[np.float64], p: NDArray[np.float64], y: NDArray[np.float64], q: NDArray[np.float64]
) -> float:
    """The area between the two distribution functions."""
    places = np.concatenate([x, y])
    order = np.argsort(places)
    gaps = np.diff(places[order])
    excess = np.cumsum(np.concatenate([p, -q])[order])[:-1]
    return float(np.abs(excess) @ gaps)


def _on_the_circle(
    x: NDArray[np.float64], p: NDArray[np.float64], y: NDArray[np.float64], q: NDArray[np.float64]
) -> float:
    """The same around the circle [0, 1): the flow through one place is free, and least with the median taken away."""
    places = np.concatenate([x, y]) % 1.0
    order = np.argsort(places)
    gaps = np.diff(places[order], append=places[order[0]] + 1.0)
    excess = np.cumsum(np.concatenate([p, -q])[order])
    rising = np.argsort(excess)
    half = int(np.searchsorted(np.cumsum(gaps[rising]), 0.5))
    median = excess[rising[min(half, len(rising) - 1)]]
    return float(np.abs(excess - median) @ gaps)
