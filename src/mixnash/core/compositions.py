"""Ways to distribute a whole number over places: grids of the simplex, strategies of Colonel Blotto."""

import itertools

import torch
from torch import Tensor


def compositions(total: int, parts: int) -> Tensor:
    """All vectors [n, parts] of whole numbers from 0 on with the given sum, as floats, in lexicographic order."""
    # The gaps between parts - 1 bars.
    places = total + parts - 1
    bars = [(-1, *chosen, places) for chosen in itertools.combinations(range(places), parts - 1)]
    return torch.tensor(bars, dtype=torch.float64).diff(dim=1) - 1
