"""Noticing losses and parameters that stopped being numbers, without reading them back at every step."""

from collections.abc import Callable
from typing import final

import torch
from torch import Tensor

from mixnash.core.errors import NonFiniteError
from mixnash.core.types import Player, Profile

ADVICE = (
    "Training stops here; checkpoints written before are intact. Lower the step size, restrain the critic more "
    "strongly, or let runs go back and halve their step sizes by themselves with --rollbacks N."
)


@final
class FiniteGuard:
    """Keeps the losses since the last look, and finds the particle that was the first to give NaN or infinity."""

    def __init__(self) -> None:
        self._seen: list[tuple[int, Tensor, Tensor]] = []

    def watch(self, step: int, values: Tensor, critic_losses: Tensor) -> None:
        """Keep one evaluation's payoffs [K, L] and critics' losses [L]; does not synchronise."""
        self._seen.append((step, values, critic_losses))

    def check(self) -> None:
        """Raise if any loss kept since the last look is not finite; this synchronises.

        Raises:
            NonFiniteError: naming player, particle and step of the earliest one.
        """
        if not self._seen:
            return
        steps, values, losses = zip(*self._seen, strict=True)
        self._seen = []
        # One by one: dynamics may evaluate profiles of other sizes than the players'.
        finite = torch.stack(
            [one.isfinite().all() & loss.isfinite().all() for one, loss in zip(values, losses, strict=True)]
        )
        if not bool(finite.all()):
            first = int((~finite).int().argmax())
            culprit = _culprit(values[first], losses[first])
            raise NonFiniteError(f"The loss of {culprit} became non-finite at step {steps[first]}. {ADVICE}")


def _culprit(values: Tensor, critic_losses: Tensor) -> str:
    """Who spoiled an evaluation: a generator spoils its row of the payoffs, a critic its column or its own penalty.

    Where all payoffs are spoiled it is most likely a player's only particle; where that does not tell, both are named.
    """
    bad = ~values.isfinite()
    rows, columns = bad.all(1), bad.all(0)
    generator, critic = f"generator {int(rows.int().argmax())}", f"critic {int(columns.int().argmax())}"
    if bool(bad.all()):
        alone = [name for name, count in zip((generator, critic), values.shape, strict=True) if count == 1]
        return alone[0] if len(alone) == 1 else f"{generator} and {critic}"
    if bool(rows.any()):
        return generator
    return critic if bool(columns.any()) else f"critic {int((~critic_losses.isfinite()).int().argmax())}"


def check_positions(profile: Profile, steps: int, everyones: Callable[[Player, Tensor], Tensor]) -> None:
    """Refuse mixed strategies that are no longer finite: an update can overflow although its loss was a number.

    Args:
        profile: positions of the particles that this process has, log-weights of all.
        steps: made so far.
        everyones: all rows [K] of those of the own particles of a player, so that all processes find the same.

    Raises:
        NonFiniteError: naming player and particle, and the steps made.
    """
    for player, population in zip(Player, profile, strict=True):
        own = [leaf.isfinite().reshape(len(leaf), -1).all(1) for leaf in population.params.values()]
        finite = everyones(player, torch.stack(own).all(0)) & population.log_weights.isfinite()
        if not bool(finite.all()):
            particle = int((~finite).int().argmax())
            raise NonFiniteError(
                f"The parameters of {player.value} {particle} are non-finite after step {steps - 1}. {ADVICE}"
            )
