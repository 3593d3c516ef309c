"""Noticing a loss that stopped being a number, without reading it back from the device at every step."""

from typing import final

import torch
from torch import Tensor

from mixnash.core.errors import NonFiniteError


@final
class FiniteGuard:
    """Remembers on the device when each particle's loss first became NaN or infinite."""

    def __init__(self) -> None:
        self._first: dict[str, Tensor] = {}

    def watch(self, player: str, losses: Tensor, step: int) -> None:
        """Look at one player's losses [K] of one step; does not synchronise."""
        first = self._first.get(player)
        if first is None:
            first = torch.full(losses.shape, -1, dtype=torch.long, device=losses.device)
        self._first[player] = torch.where(losses.isfinite() | (first >= 0), first, step)

    def check(self) -> None:
        """Raise if any loss watched so far was not finite; this synchronises.

        Raises:
            NonFiniteError: naming player, particle and step of the earliest one.
        """
        found = [
            (int(first[first >= 0].min()), player, int(torch.where(first >= 0, first, first.max() + 1).argmin()))
            for player, first in self._first.items()
            if bool((first >= 0).any())
        ]
        if found:
            step, player, particle = min(found)
            raise NonFiniteError(
                f"The loss of {player} {particle} became non-finite at step {step}. Training stops here; checkpoints "
                "written before are intact. Lower the step size, or restrain the critic more strongly."
            )
