r"""Wasserstein-2 distances between two sets of samples, in data coordinates: exact for small sets, sliced for large.

Both carry the finite-sample error of their inputs: two independent sets of 2,500 draws from one 25-mode grid of step 2
are 0.56 apart, nearly all of it fluctuation of the mode counts; a stratified reference of as many is 0.45 away.
"""

import torch
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from mixnash.core.errors import require
from mixnash.metrics.functional.distances import distances, row_blocks

MOST_SAMPLES = 5000
"""The largest sets `exact_wasserstein2` takes: a cost matrix of 200 MB and several seconds."""


def exact_wasserstein2(samples: Float[Tensor, "n D"], reference: Float[Tensor, "m D"]) -> Float[Tensor, ""]:
    r"""Exact distance of two sets of equal size,
    :math:`W_2 = (\min_\pi \frac{1}{n} \sum_i |x_i - y_{\pi(i)}|^2)^{1/2}` over permutations, in float64.

    Args:
        samples: [n, D]; where one is not finite, the distance is infinite.
        reference: [n, D].

    Raises:
        InvalidInputError: when the sizes differ, are zero or exceed `MOST_SAMPLES`.
    """
    count = len(samples)
    require(
        count == len(reference) > 0,
        f"Exact W2 assigns samples one to one and needs two sets of one size, found {count} and {len(reference)}; "
        "take equally many of both.",
    )
    require(
        count <= MOST_SAMPLES,
        f"Exact W2 takes at most {MOST_SAMPLES} samples, its cost grows with the cube of their number, found {count}; "
        "use a subset or sliced W2.",
    )
    cost = distances(samples, reference).square().cpu()
    if not bool(cost.isfinite().all()):
        return torch.tensor(torch.inf, dtype=torch.float64, device=samples.device)
    rows, columns = linear_sum_assignment(cost.numpy())
    return cost[torch.from_numpy(rows), torch.from_numpy(columns)].mean().sqrt().to(samples.device)


def sliced_wasserstein2(
    samples: Float[Tensor, "n D"], reference: Float[Tensor, "m D"], projections: int, rng: torch.Generator
) -> Float[Tensor, ""]:
    r"""Root mean square over random directions of the exact one-dimensional distance,
    :math:`SW_2 = (E_u \, W_2^2(\langle u, x \rangle, \langle u, y \rangle))^{1/2}`, u uniform on the sphere.

    In one dimension :math:`W_2^2 = \int_0^1 (F^{-1}(q) - G^{-1}(q))^2 dq`; both quantile functions are steps, so the
    integral is a finite sum between their merged breakpoints, whatever the sizes. A shift by s gives |s| / sqrt(D).
    Computed in float64.

    References:
        Bonneel et al., 2015, Sliced and Radon Wasserstein barycenters of measures, J. Math. Imaging Vis. 51.

    Args:
        samples: [n, D]; where one is not finite, the distance is infinite.
        reference: [m, D].
        projections: the number of directions; the relative error of the mean falls with its root.
        rng: draws the directions, on its own device: a CPU generator gives the same ones for samples anywhere.

    Raises:
        InvalidInputError: when a set is empty or there is no direction.
    """
    require(projections >= 1, f"Sliced W2 needs at least 1 projection, found {projections}.")
    require(
        len(samples) > 0 and len(reference) > 0,
        f"Sliced W2 needs samples on both sides, found {len(samples)} and {len(reference)}.",
    )
    if not bool(samples.isfinite().all() and reference.isfinite().all()):
        return torch.tensor(torch.inf, dtype=torch.float64, device=samples.device)
    shape = (projections, samples.shape[1])
    directions = torch.randn(shape, generator=rng, device=rng.device, dtype=torch.float64).to(samples.device)
    directions = directions / directions.norm(dim=1, keepdim=True)
    left, right, width = _merged_steps(len(samples), len(reference), samples.device)
    total = torch.zeros((), dtype=torch.float64, device=samples.device)
    for block in row_blocks(directions, len(width)):
        x, y = ((points.double() @ block.T).sort(dim=0).values for points in (samples, reference))
        total += (width @ (x[left] - y[right]).square()).sum()
    return (total / projections).sqrt()


def _merged_steps(n: int, m: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Between the merged breakpoints i/n and j/m: the index of either order statistic, and the width; each [steps].

    Breakpoints are counted in units of 1/(nm), so that the width between equal ones is exactly 0.
    """
    ends = torch.cat([torch.arange(1, n + 1, device=device) * m, torch.arange(1, m + 1, device=device) * n])
    ends = ends.sort().values
    width = ends.diff(prepend=ends.new_zeros(1)).double() / (n * m)
    return (ends - 1) // m, (ends - 1) // n, width
