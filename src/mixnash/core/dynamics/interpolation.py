"""Points on the line through two profiles."""

import torch
from torch import Tensor

from mixnash.core.tree import map_params
from mixnash.core.types import Population, Profile


def interpolate(start: Profile, end: Profile, weight: float) -> Profile:
    """Positions start + weight (end - start); log-weights likewise, then normalised.

    Args:
        start: reached at weight 0.
        end: reached at weight 1.
        weight: any number; outside [0, 1] it extrapolates, and positions may leave their domain.
    """

    def on_line(one: Tensor, other: Tensor) -> Tensor:
        return torch.lerp(one, other, weight)

    def between(one: Population, other: Population) -> Population:
        return Population(
            map_params(on_line, one.params, other.params),
            torch.log_softmax(on_line(one.log_weights, other.log_weights), -1),
        )

    return Profile(between(start.generators, end.generators), between(start.critics, end.critics))
