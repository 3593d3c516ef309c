"""Entropic mirror descent on the weights."""

from typing import NamedTuple, final

import torch
from torch import Tensor

from mixnash.core.errors import require
from mixnash.core.rules.base import AbstractWeightRule
from mixnash.core.schedules import AbstractSchedule, as_schedule


class EntropicState(NamedTuple):
    """Updates made so far."""

    updates: int


@final
class EntropicMirrorDescent(AbstractWeightRule):
    r"""Multiplicative weights with an entropy bonus tau,

    .. math:: a \leftarrow (1 - \eta_t \tau)\, a - \eta_t\, \ell, \qquad a \leftarrow a - \operatorname{logsumexp}(a).

    It is mirror descent with the Kullback-Leibler divergence on :math:`\langle p, \ell \rangle - \tau H(p)`.
    Log-weights are floored before normalising, so a particle never leaves the mixture for ever.

    References:
        Nemirovski, Yudin, 1983; Hsieh, Liu, Cevher, 2019, arXiv 1811.02002, section 3, on measures.

    Args:
        step_size: eta per unit of loss, positive.
        entropy: tau in units of the loss, with eta tau < 1; pulls towards equal weights.
        floor: smallest log-weight kept, negative.

    Raises:
        InvalidInputError: when an argument is outside its range.
    """

    def __init__(self, step_size: float | AbstractSchedule, entropy: float = 0.0, floor: float = -50.0) -> None:
        self.step_size = as_schedule(step_size, "step size of entropic mirror descent", positive=True)
        require(entropy >= 0, f"The entropy bonus must be at least 0, found {entropy}.")
        largest = self.step_size.bounds()[1]
        require(
            entropy * largest < 1,
            f"Step size times entropy bonus must stay below 1, found {largest} x {entropy}.",
        )
        require(floor < 0, f"The floor of log-weights must be negative, found {floor}.")
        self.entropy, self.floor = entropy, floor

    def init(self, log_weights: Tensor) -> EntropicState:
        """No update made."""
        del log_weights
        return EntropicState(0)

    def update(self, log_weights: Tensor, losses: Tensor, state: EntropicState) -> tuple[Tensor, EntropicState]:
        """One step of the class docstring's equation."""
        step_size = self.step_size(state.updates)
        moved = (1 - step_size * self.entropy) * log_weights - step_size * losses
        floored = torch.log_softmax(moved, -1).clamp_min(self.floor)
        return torch.log_softmax(floored, -1), EntropicState(state.updates + 1)
