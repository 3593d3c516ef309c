r"""Mixed strategies as weighted particles :math:`\sum_k e^{a_k} \delta_{\theta_k}` (see `types.Population`)."""

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int
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


def drawn_indices(
    log_weights: Float[Tensor, "*games K"], uniforms: Float[Tensor, "*games n"]
) -> Int[Tensor, "*games n"]:
    """Particles drawn by their weights: the inverse distribution function at numbers uniform on [0, 1)."""
    cumulative = log_weights.exp().cumsum(-1)
    # The total may miss 1 by rounding.
    chosen = torch.searchsorted(cumulative, uniforms * cumulative[..., -1:], right=True)
    return chosen.clamp_max(log_weights.shape[-1] - 1)


def merge(
    population: Population, radius: float, displacement: Callable[[Tensor, Tensor], Tensor] = torch.sub
) -> Population:
    """One particle in place of each group of coincident ones.

    From the heaviest particle down, a particle that no group holds yet becomes the centre of one and takes in all
    remaining particles within `radius` of it. Its position stays, for a mean may lie outside the domain and is no
    network; its weight is the group's. The centres keep their order. Log-weights need not be normalised beforehand.

    Args:
        population: leaves [K, ...], log-weights [K].
        radius: largest Euclidean distance over all parameters, at least 0.
        displacement: of a leaf [K, ...] from another [...], whose norm is the distance; on a periodic domain the
            shortest way around, so that 0 and 1 - 1e-9 coincide.

    Raises:
        InvalidInputError: when the radius is negative.
    """
    require(radius >= 0, f"The radius within which particles coincide must be at least 0, found {radius}.")
    groups = coincident(
        population.log_weights, lambda centre: _distances(population.params, centre, displacement), radius
    )
    centres = torch.unique(groups)
    merged = torch.stack([population.log_weights[groups == centre].logsumexp(0) for centre in centres])
    return Population(_select(population.params, centres), torch.log_softmax(merged, 0))


def coincident(
    log_weights: Float[Tensor, " K"], distances: Callable[[int], Float[Tensor, " K"]], radius: float
) -> Int[Tensor, " K"]:
    """The centre of each particle's group of coincident ones, as in `merge`.

    Args:
        log_weights: of the particles, normalised or not.
        distances: of all particles from the one of a given index.
        radius: at least 0.
    """
    groups = torch.full_like(log_weights, -1, dtype=torch.long)
    for centre in log_weights.argsort(descending=True, stable=True).tolist():
        if groups[centre] < 0:
            near = distances(centre) <= radius
            near[centre] = True
            groups[near & (groups < 0)] = centre
    return groups


def _distances(params: Params, centre: int, displacement: Callable[[Tensor, Tensor], Tensor]) -> Float[Tensor, " K"]:
    squares = [displacement(leaf, leaf[centre]).square().reshape(len(leaf), -1).sum(1) for leaf in params.values()]
    return torch.stack(squares).sum(0).sqrt()


def _select(params: Params, indices: Tensor) -> Params:
    return {name: leaf[indices] for name, leaf in params.items()}


def prune(population: Population, smallest_weight: float) -> Population:
    """Without the particles of weight `smallest_weight` or less, and the other weights scaled up to sum to one.

    The heaviest particle always stays. Log-weights need not be normalised beforehand.

    Args:
        population: leaves [K, ...], log-weights [K].
        smallest_weight: a probability in [0, 1).

    Raises:
        InvalidInputError: when the smallest weight is not a probability below 1.
    """
    require(
        0 <= smallest_weight < 1,
        f"The weight below which particles are dropped must be at least 0 and below 1, found {smallest_weight}.",
    )
    normalised = torch.log_softmax(population.log_weights, 0)
    kept = normalised.exp() > smallest_weight
    kept[normalised.argmax()] = True
    indices = kept.nonzero().flatten()
    return Population(_select(population.params, indices), torch.log_softmax(normalised[indices], 0))


def stored_numbers(params: Params) -> int:
    """How many numbers stacked parameters hold: what particles share has stride 0 along their axis and counts once."""
    return sum(
        math.prod(length for length, stride in zip(leaf.shape, leaf.stride(), strict=True) if stride != 0)
        for leaf in params.values()
    )
