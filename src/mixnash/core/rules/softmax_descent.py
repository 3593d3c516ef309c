"""Gradient descent on the logits of the weights."""

from typing import NamedTuple, final

import torch
from torch import Tensor

from mixnash.core.errors import require
from mixnash.core.rules.adam import Adam
from mixnash.core.rules.base import AbstractPositionRule, AbstractWeightRule
from mixnash.core.rules.sgd import SGD
from mixnash.core.types import RuleState

LOGITS = "logits"
"""The name under which the logits are a position."""


class SoftmaxDescentState(NamedTuple):
    """The state of the descent."""

    descent: RuleState


@final
class SoftmaxDescent(AbstractWeightRule):
    r"""Weights :math:`p = \operatorname{softmax}(a)` learnt as every other parameter, by backpropagation:

    .. math:: \nabla_{a_k} \Big( \sum_j p_j \ell_j - \frac{w}{K} \sum_j \log p_j \Big)
              = p_k \big( \ell_k - \langle p, \ell \rangle \big) + w \big( p_k - \tfrac1K \big),

    followed down by Adam or plain descent. Entropic mirror descent moves the same logits by :math:`\ell_k` itself: here
    a light particle hardly feels its loss any more, and the penalty w is what brings it back. Only differences of
    logits matter, so log-weights serve as logits.

    References:
        Arora, Ge, Liang, Ma, Zhang, 2017, Generalization and equilibrium in generative adversarial nets, arXiv
        1703.00573 (MIX+GAN), whose code has w = 0.1 for both players and Adam.

    Args:
        descent: what follows the gradient.
        entropy_weight: w in units of the loss, at least 0; pulls towards equal weights.

    Raises:
        InvalidInputError: when the entropy weight is negative.
    """

    def __init__(self, descent: Adam | SGD, entropy_weight: float = 0.1) -> None:
        require(entropy_weight >= 0, f"The entropy weight must be at least 0, found {entropy_weight}.")
        self.descent: AbstractPositionRule = descent
        self.entropy_weight = entropy_weight

    def init(self, log_weights: Tensor) -> SoftmaxDescentState:
        """No update made."""
        return SoftmaxDescentState(self.descent.init({LOGITS: log_weights}))

    def update(
        self, log_weights: Tensor, losses: Tensor, state: SoftmaxDescentState
    ) -> tuple[Tensor, SoftmaxDescentState]:
        """One step down the class docstring's gradient."""
        p = log_weights.exp()
        mean = (p * losses).sum(-1, keepdim=True)
        grad = p * (losses - mean) + self.entropy_weight * (p - 1 / p.shape[-1])
        no_noise = torch.Generator()  # neither descent draws from it
        moved, descent = self.descent.update({LOGITS: log_weights}, {LOGITS: grad}, state.descent, no_noise)
        return torch.log_softmax(moved[LOGITS], -1), SoftmaxDescentState(descent)
