"""Which generator serves which mode."""

import torch

from mixnash.core.mixtures import GaussianMixture
from mixnash.core.population import size
from mixnash.lit.base import AbstractGAN
from mixnash.metrics.particles import ParticleModes

SAMPLES = 256
"""Of each particle, whatever its weight, so that light ones can be judged too."""


def mode_shares(
    module: AbstractGAN, mixture: GaussianMixture, rng: torch.Generator, averaged: bool = True
) -> ParticleModes:
    """A metric that has seen equally many samples of each generator.

    Args:
        module: plays the mixture.
        mixture: the law of the data.
        rng: on the module's device.
        averaged: whether to use the moving average of the positions.
    """
    generators = module.profile(averaged).generators
    metric = ParticleModes(mixture, generators.log_weights.exp()).to(module.device)
    for particle in range(size(generators)):
        metric.update(*module.sample(SAMPLES, rng, particle, averaged))
    return metric
