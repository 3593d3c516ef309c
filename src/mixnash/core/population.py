r"""Mixed strategies as weighted particles :math:`\sum_k e^{a_k} \delta_{\theta_k}` (see `types.Population`)."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from mixnash.core.errors import require
from mixnash.core.types import Params, Population


def stack(particles: Sequence[Params]) -> Params:
    """Stack K particles of one architecture: leaves [...] become [K, ...].

    Raises:
        InvalidInputError: without particles, or when their names or shapes differ.
    """
    require(len(particles) > 0, "A population needs at least one particle, found none.")
    shapes = [{name: leaf.shape for name, leaf in particle.items()} for particle in particles]
    odd = next((k for k, shape in enumerate(shapes) if shape != shapes[0]), None)
    require(odd is None, f"All particles must have one architecture: particle {odd} differs from particle 0.")
    return {name: torch.stack([particle[name] for particle in particles]) for name in particles[0]}


def particle(params: Params, index: int) -> Params:
    """The parameters of one particle: leaves [K, ...] become [...]."""
    return {name: leaf[index] for name, leaf in params.items()}


def uniform_log_weights(count: int, like: Tensor) -> Float[Tensor, " K"]:
    """Log-weights -log K, of the dtype and device of `like`."""
    return torch.full((count,), -math.log(count), dtype=like.dtype, device=like.device)


def make_population(params: Params, log_weights: Float[Tensor, " K"] | None = None) -> Population:
    """The checked constructor of `Population`.

    Args:
        params: stacked leaves [K, ...].
        log_weights: unnormalised log-weights [K]; uniform if omitted.

    Raises:
        InvalidInputError: when the leading axes differ, or a log-weight is not finite.
    """
    sizes = {leaf.shape[0] for leaf in params.values()}
    require(len(sizes) == 1, f"Stacked parameters need one leading particle axis, found lengths {sorted(sizes)}.")
    (count,) = sizes
    if log_weights is None:
        return Population(params, uniform_log_weights(count, next(iter(params.values()))))
    require(
        log_weights.shape == (count,),
        f"Expected {count} log-weights, one per particle, found shape {tuple(log_weights.shape)}.",
    )
    require(bool(torch.isfinite(log_weights).all()), "Log-weights must be finite: drop particles of weight zero.")
    return Population(params, torch.log_softmax(log_weights, 0))


def size(population: Population) -> int:
    """The number of particles K."""
    return population.log_weights.shape[0]


def weights(population: Population) -> Float[Tensor, "*games K"]:
    """The probabilities of the particles."""
    return population.log_weights.exp()


def entropy(log_weights: Float[Tensor, "*games K"]) -> Float[Tensor, "*games"]:
    """Shannon entropy of the weights in nats, from 0 to log K."""
    return -(log_weights.exp() * log_weights).sum(-1)


def effective_size(log_weights: Float[Tensor, "*games K"]) -> Float[Tensor, "*games"]:
    """Effective number of particles 1 / sum_k p_k^2, from 1 to K (Kish)."""
    return 1 / log_weights.exp().square().sum(-1)
