"""Two axes on which the modes of a mixture in many dimensions are far apart, for pictures."""

import torch
from jaxtyping import Float
from torch import Tensor

from mixnash.core.mixtures import GaussianMixture


def principal_plane(mixture: GaussianMixture) -> Float[Tensor, "D 2"]:
    """Orthonormal directions along which the centres, each counted alike, vary most, the first most of all.

    Their signs make the largest coordinate positive. An isotropic mode keeps its scale when it is projected.
    """
    centred = (mixture.centres - mixture.centres.mean(dim=0)).double()
    # The full basis, so that there are two directions whatever the number of modes.
    basis = torch.linalg.svd(centred, full_matrices=True).Vh[:2]
    largest = basis.gather(1, basis.abs().argmax(dim=1, keepdim=True))
    plane: Tensor = (basis * largest.sign()).T.to(mixture.centres.dtype)
    return plane


def projected(mixture: GaussianMixture, plane: Float[Tensor, "D 2"]) -> GaussianMixture:
    """The law of the projections on two orthonormal directions."""
    return mixture._replace(centres=mixture.centres @ plane)
