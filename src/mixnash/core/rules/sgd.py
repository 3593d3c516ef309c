"""Gradient descent."""

from typing import NamedTuple, final

import torch

from mixnash.core.rules.base import AbstractPositionRule
from mixnash.core.schedules import AbstractSchedule, as_schedule
from mixnash.core.tree import map_params
from mixnash.core.types import Params


class SGDState(NamedTuple):
    """Updates made so far."""

    updates: int


@final
class SGD(AbstractPositionRule):
    r"""Gradient descent :math:`\theta \leftarrow \theta - \eta_t\, g`.

    Args:
        step_size: eta, positive.
    """

    def __init__(self, step_size: float | AbstractSchedule) -> None:
        self.step_size = as_schedule(step_size, "step size of SGD", positive=True)

    def init(self, params: Params) -> SGDState:
        """No update made."""
        del params
        return SGDState(0)

    def update(self, params: Params, grads: Params, state: SGDState, rng: torch.Generator) -> tuple[Params, SGDState]:
        """One step of the class docstring's equation."""
        del rng
        step_size = self.step_size(state.updates)
        new = map_params(lambda leaf, grad: leaf.sub(grad, alpha=step_size), params, grads)
        return new, SGDState(state.updates + 1)

    def diagnostics(self, state: SGDState) -> dict[str, float]:
        """The step size of the next update."""
        return {"step_size": self.step_size(state.updates)}
