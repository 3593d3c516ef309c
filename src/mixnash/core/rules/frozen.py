"""Weights that never change."""

from typing import NamedTuple, final

from torch import Tensor

from mixnash.core.rules.base import AbstractWeightRule


class FrozenState(NamedTuple):
    """Nothing."""


@final
class Frozen(AbstractWeightRule):
    """Weights stay as they are: Wasserstein dynamics, where only positions move."""

    def init(self, log_weights: Tensor) -> FrozenState:
        """Nothing to remember."""
        del log_weights
        return FrozenState()

    def update(self, log_weights: Tensor, losses: Tensor, state: FrozenState) -> tuple[Tensor, FrozenState]:
        """The weights themselves."""
        del losses
        return log_weights, state
