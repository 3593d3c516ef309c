"""Gradient descent with momentum."""

from typing import NamedTuple, final

import torch

from mixnash.core.errors import require
from mixnash.core.rules.base import AbstractPositionRule
from mixnash.core.schedules import AbstractSchedule, as_schedule
from mixnash.core.tree import map_params
from mixnash.core.types import Params


class MomentumState(NamedTuple):
    """Updates made so far and the velocity, shaped like the parameters."""

    updates: int
    velocity: Params


@final
class Momentum(AbstractPositionRule):
    r"""Heavy-ball descent :math:`v \leftarrow \beta v - \eta_t\, g`, :math:`\theta \leftarrow \theta + v`.

    Games want it *negative*: alternating descent on the bilinear game xy, which circles for ever without momentum,
    converges for :math:`\eta < 1` with :math:`\beta = -1/2` (at best by 0.8847 per step, at 0.871) and for
    :math:`\eta < 3/2` with :math:`\beta = -1/4` (0.7158 at 1.319).

    References:
        Polyak, 1964; Gidel et al., 2019, arXiv 1807.04740, for negative momentum in games.

    Args:
        step_size: eta, positive.
        momentum: beta, in (-1, 1).

    Raises:
        InvalidInputError: when an argument is outside its range.
    """

    def __init__(self, step_size: float | AbstractSchedule, momentum: float) -> None:
        self.step_size = as_schedule(step_size, "step size of descent with momentum", positive=True)
        require(-1 < momentum < 1, f"The momentum must lie between -1 and 1, found {momentum}.")
        self.momentum = momentum

    def init(self, params: Params) -> MomentumState:
        """At rest."""
        return MomentumState(0, map_params(torch.zeros_like, params))

    def update(
        self, params: Params, grads: Params, state: MomentumState, rng: torch.Generator
    ) -> tuple[Params, MomentumState]:
        """One step of the class docstring's equations."""
        del rng
        step_size = self.step_size(state.updates)
        velocity = map_params(lambda v, g: (v * self.momentum).sub_(g, alpha=step_size), state.velocity, grads)
        return map_params(torch.add, params, velocity), MomentumState(state.updates + 1, velocity)

    def diagnostics(self, state: MomentumState) -> dict[str, float]:
        """The step size of the next update."""
        return {"step_size": self.step_size(state.updates)}
