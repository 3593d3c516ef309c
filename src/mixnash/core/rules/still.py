"""Positions that never move."""

from typing import NamedTuple, final

import torch

from mixnash.core.rules.base import AbstractPositionRule
from mixnash.core.types import Params


class StillState(NamedTuple):
    """Nothing."""


@final
class Still(AbstractPositionRule):
    """Positions stay as they are: finite games and games on grids, where only weights move."""

    def init(self, params: Params) -> StillState:
        """Nothing to remember."""
        del params
        return StillState()

    def update(
        self, params: Params, grads: Params, state: StillState, rng: torch.Generator
    ) -> tuple[Params, StillState]:
        """The positions themselves."""
        del grads, rng
        return params, state

    def diagnostics(self, state: StillState) -> dict[str, float]:
        """Nothing to plot."""
        del state
        return {}
