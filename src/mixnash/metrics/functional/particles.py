r"""How the particles of a mixed strategy share the modes of a Gaussian mixture out among themselves.

All follows from a histogram [K, M + 1]: how many of a particle's samples are on each mode, and in the last column how
many are on none. With h its rows normalised to shares of a particle's samples, and p the particles' weights.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mixnash.core.errors import require
from mixnash.core.mixtures import GaussianMixture
from mixnash.metrics.functional.mode_coverage import nearest_modes

SERVED = 0.01
"""A particle serves the modes that get at least this share of its samples."""
ALONE = 0.95
"""A particle owns alone the modes to which it gives at least this share of what the mixture puts there."""


def particle_histogram(
    samples: Float[Tensor, "n D"],
    particle: Int[Tensor, " n"],
    mixture: GaussianMixture,
    threshold: float,
    particles: int,
) -> Int[Tensor, "K columns"]:
    """High-quality samples by particle and mode, and in the last of M + 1 columns the particle's other samples.

    Args:
        samples: [n, D] in data coordinates.
        particle: the generator each sample comes from [n], from 0 to particles - 1.
        mixture: the data's law, M modes.
        threshold: t in units of sigma.
        particles: the number of generators K.

    Raises:
        InvalidInputError: when a particle's index is out of range, or the axes differ.
    """
    require(
        bool(((particle >= 0) & (particle < particles)).all()),
        f"Samples must name particles from 0 to {particles - 1}; check the number of particles.",
    )
    nearest, distance = nearest_modes(samples, mixture)
    modes = len(mixture.centres)
    cell = (particle * modes + nearest)[distance < threshold]
    on_modes = torch.bincount(cell, minlength=particles * modes).reshape(particles, modes)
    astray = torch.bincount(particle, minlength=particles) - on_modes.sum(1)
    return torch.cat([on_modes, astray.unsqueeze(1)], dim=1)


def particle_shares(histogram: Int[Tensor, "K columns"]) -> Float[Tensor, "K columns"]:
    """H in float64: rows sum to 1, those of particles without samples to 0."""
    found = histogram.double()
    return found / found.sum(1, keepdim=True).clamp(min=1)


def overlap_matrix(histogram: Int[Tensor, "K columns"]) -> Float[Tensor, "K K"]:
    r""":math:`O_{kl} = \sum_m \min(h_{km}, h_{lm})` over the modes, in [0, 1]: what two particles do alike.

    Samples on no mode count in no pair, as two strays need not be near each other: :math:`O_{kk}` is the particle's
    high-quality share.
    """
    on_modes = particle_shares(histogram)[:, :-1]
    return torch.minimum(on_modes.unsqueeze(0), on_modes.unsqueeze(1)).sum(-1)


def particle_scores(histogram: Int[Tensor, "K columns"], weights: Float[Tensor, " K"]) -> dict[str, Tensor]:
    r"""How modes and particles are matched.

    * ``particle_overlap``: :math:`\sum_{k \neq l} p_k p_l O_{kl} / \sum_{k \neq l} p_k p_l`, in [0, 1]; 0 if every
      mode is left to one particle, and for a single particle.
    * ``modes_per_particle``: :math:`\sum_k p_k |\{m : h_{km} \geq 0.01\}|`, from 0 to M; how many modes a particle
      serves.
    * ``particles_alone``: the share of the K particles that own a mode alone: at least 0.95 of what the mixture puts
      there, :math:`p_k h_{km} \geq 0.95 \sum_l p_l h_{lm} > 0`.

    Args:
        histogram: from `particle_histogram`.
        weights: p [K], summing to 1.

    Returns:
        Scalars in float64.

    Raises:
        InvalidInputError: when the numbers of particles differ.
    """
    require(
        len(histogram) == len(weights),
        f"Each particle needs a weight, found {len(weights)} weights for {len(histogram)} particles.",
    )
    p, shares = weights.double(), particle_shares(histogram)[:, :-1]
    pairs = torch.outer(p, p).fill_diagonal_(0)
    mass = p.unsqueeze(1) * shares
    alone = ((mass >= ALONE * mass.sum(0)) & (mass > 0)).any(1)
    return {
        "particle_overlap": (pairs * overlap_matrix(histogram)).sum()
        / pairs.sum().clamp(min=torch.finfo(p.dtype).tiny),
        "modes_per_particle": p @ (shares >= SERVED).sum(1).double(),
        "particles_alone": alone.double().mean(),
    }
