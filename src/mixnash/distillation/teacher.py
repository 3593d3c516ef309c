"""The mixture to be imitated, its generators in an order in which neighbours are close."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mixnash.core.errors import require
from mixnash.core.population import size
from mixnash.core.types import Apply, Population
from mixnash.lit.base import AbstractGAN

LOOKED_AT = 256
"""Samples of each generator behind its mean."""


class Teacher(NamedTuple):
    """A mixture, ordered."""

    generators: Population
    """Leaves [K, ...], log-weights [K], in the order of the tour."""
    apply: Apply
    """All generators at once: parameters [K, ...], latents [K, n, latent_dim] to samples [K, n, *event_shape]."""
    latent_dim: int
    order: Int[Tensor, " K"]
    """Which generator of the run stands at each place."""


def make_teacher(module: AbstractGAN, averaged: bool, rng: torch.Generator) -> Teacher:
    """A run's mixture, ordered by a tour through the means of its generators' samples.

    Args:
        module: the run.
        averaged: whether to use the moving average of the positions.
        rng: of the samples, on the module's device.

    Raises:
        InvalidInputError: when the run has one generator only.
    """
    generators = module.profile(averaged).generators
    count = size(generators)
    require(count >= 2, "This run has one generator already: there is no mixture to distil. Give a run with several.")
    functions = module.networks.generator
    latent = torch.randn(count, LOOKED_AT, module.latent_dim, generator=rng, device=module.device)
    with torch.no_grad():
        means = functions.stacked(generators.params, latent).flatten(2).mean(1)
    order = greedy_tour(means)
    ordered = {name: leaf[order] for name, leaf in generators.params.items()}
    return Teacher(
        Population(ordered, generators.log_weights[order]), functions.stacked, module.latent_dim, order.cpu()
    )


def greedy_tour(points: Float[Tensor, "K D"]) -> Int[Tensor, " K"]:
    """An order of points in which each one's successor is the nearest that is left; it starts far from the middle.

    A generator that leaps from one to the next crosses short gaps, and has little to change in its output.
    """
    distances = torch.cdist(points.double(), points.double())
    here = int((points - points.mean(0)).double().norm(dim=1).argmax())
    tour = [here]
    for _ in range(len(points) - 1):
        distances[:, here] = torch.inf
        here = int(distances[here].argmin())
        tour.append(here)
    return torch.tensor(tour, device=points.device)
