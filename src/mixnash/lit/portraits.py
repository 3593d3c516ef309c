"""Pictures of a run at one moment: what TensorBoard shows while it trains and the report when it is over."""

from functools import singledispatch

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from mixnash.core.population import size, weights
from mixnash.core.random import Purpose, stream
from mixnash.data.base import (
    AbstractDataModule,
    AbstractImageData,
    AbstractMixtureData,
    AbstractPlanarData,
    AbstractPlanarMixture,
    planar_limits,
)
from mixnash.data.projection import principal_plane, projected
from mixnash.figures.images import channels_apart, image_rows
from mixnash.figures.particles import particle_modes
from mixnash.figures.plane import critic_landscape, sample_scatter
from mixnash.figures.populations import mode_histogram, particle_weights, payoff_matrix
from mixnash.lit.base import AbstractGAN, Samples
from mixnash.lit.mode_shares import mode_shares
from mixnash.metrics.functional.cut_normal import standard_threshold
from mixnash.metrics.functional.mode_coverage import mode_statistics
from mixnash.metrics.functional.particles import overlap_matrix

SCATTERED = 4_000
"""Samples in a scatter plot."""
GRID = 160
"""Points per axis at which a critic's landscape is evaluated."""
ROWS, COLUMNS = 16, 10
"""Most particles, and images of each, in a grid of images."""


def portraits(module: AbstractGAN, data: AbstractDataModule, averaged: bool = True) -> dict[str, Figure]:
    """Every picture that fits the data, by name; draws come from a stream of their own and are always the same."""
    rng = stream(module.device, module.seed, Purpose.PICTURE)
    return _of_samples(data, module, rng, averaged) | _of_game(module, data, rng, averaged)


def _of_game(module: AbstractGAN, data: AbstractDataModule, rng: torch.Generator, averaged: bool) -> dict[str, Figure]:
    profile = module.profile(averaged)
    particles = size(profile.generators)
    latent = torch.randn(particles, 256, module.latent_dim, generator=rng, device=module.device)
    payoffs = module.payoffs(data.held_out(1024).to(module.device), latent, averaged)
    p, q = weights(profile.generators).cpu(), weights(profile.critics).cpu()
    return {
        "payoffs": payoff_matrix(payoffs.cpu(), p, q, "Payoff of each pair"),
        "weights": particle_weights(p, q, "Weights of the particles"),
    }


@singledispatch
def _of_samples(
    data: AbstractDataModule, module: AbstractGAN, rng: torch.Generator, averaged: bool
) -> dict[str, Figure]:
    del data, module, rng, averaged
    return {}


@_of_samples.register
def _(data: AbstractPlanarData, module: AbstractGAN, rng: torch.Generator, averaged: bool) -> dict[str, Figure]:
    samples = _drawn(module, rng, averaged)
    # The number of particles fixes the colours, also where a light one has no sample.
    particles = size(module.profile(averaged).generators)
    return {
        "samples": sample_scatter(
            samples.values, samples.particle, data.limits, "Samples by particle", None, particles
        ),
        "critic": _landscape(module, data, samples),
    }


@_of_samples.register
def _(data: AbstractPlanarMixture, module: AbstractGAN, rng: torch.Generator, averaged: bool) -> dict[str, Figure]:
    samples = _drawn(module, rng, averaged)
    particles = size(module.profile(averaged).generators)
    return {
        "samples": sample_scatter(
            samples.values, samples.particle, data.limits, "Samples by particle", data.mixture, particles
        ),
        "critic": _landscape(module, data, samples),
        **_of_modes(data, module, samples, rng, averaged),
    }


@_of_samples.register
def _(data: AbstractMixtureData, module: AbstractGAN, rng: torch.Generator, averaged: bool) -> dict[str, Figure]:
    samples = _drawn(module, rng, averaged)
    plane = principal_plane(data.mixture)
    shown = projected(data.mixture, plane)
    scatter = sample_scatter(
        samples.values @ plane,
        samples.particle,
        planar_limits(shown),
        f"Samples by particle, projected from {len(plane)} dimensions on the first two principal axes of the centres",
        shown,
        size(module.profile(averaged).generators),
        ("principal axis 1", "principal axis 2"),
    )
    return {"samples": scatter, **_of_modes(data, module, samples, rng, averaged)}


def _of_modes(
    data: AbstractMixtureData, module: AbstractGAN, samples: Samples, rng: torch.Generator, averaged: bool
) -> dict[str, Figure]:
    """What can be counted, in any number of dimensions."""
    threshold = standard_threshold(data.event_shape[0])
    found = mode_statistics(samples.values, data.mixture, threshold).high_quality
    by_particle = mode_shares(module, data.mixture, rng, averaged).histogram.cpu()
    return {
        "particles": particle_modes(by_particle, overlap_matrix(by_particle), "Which particle serves which mode"),
        "modes": mode_histogram(found, data.mixture.weights * found.sum(), "High-quality samples per mode"),
    }


@_of_samples.register
def _(data: AbstractImageData, module: AbstractGAN, rng: torch.Generator, averaged: bool) -> dict[str, Figure]:
    """A row per particle, or of the `ROWS` heaviest, in their order, and one of the data.

    All make their images of the same latents, whatever their weights are: rows can be compared with each other, and
    with the same row after another number of steps.
    """
    del rng
    shares = weights(module.profile(averaged).generators).cpu()
    shown = sorted(shares.argsort(descending=True, stable=True)[:ROWS].tolist())
    rows = [
        module.sample(COLUMNS, stream(module.device, module.seed, Purpose.PICTURE), particle, averaged).values.cpu()
        for particle in shown
    ]
    rows.append(data.held_out(COLUMNS).cpu())
    labels = [f"particle {particle}, {100 * float(shares[particle]):.3g} %" for particle in shown]
    chosen = "" if len(shown) == len(shares) else f", the {ROWS} heaviest of {len(shares)}"
    images = np.stack([channels_apart(row) for row in rows])
    return {"samples": image_rows(images, [*labels, "data"], f"Samples by particle and its weight{chosen}")}


def _drawn(module: AbstractGAN, rng: torch.Generator, averaged: bool) -> Samples:
    samples = module.sample(SCATTERED, rng, averaged=averaged)
    return Samples(samples.values.cpu(), samples.particle.cpu())


@torch.no_grad()
def _landscape(module: AbstractGAN, data: AbstractPlanarData, samples: Samples) -> Figure:
    """The mixture of critics, each score averaged by the critics' weights."""
    critics = module.profile(averaged=False).critics
    xmin, xmax, ymin, ymax = data.limits
    ys, xs = torch.linspace(ymin, ymax, GRID), torch.linspace(xmin, xmax, GRID)
    points = torch.cartesian_prod(ys, xs).flip(1).to(module.device)
    scores = torch.zeros(len(points), device=module.device)
    for index, weight in enumerate(weights(critics)):
        scores += weight * module.criticise({name: leaf[index] for name, leaf in critics.params.items()}, points)
    values: Tensor = scores.reshape(GRID, GRID).cpu()
    mixture = data.mixture if isinstance(data, AbstractMixtureData) else None
    return critic_landscape(values, data.limits, "Critic's score", samples.values[:500], mixture)
