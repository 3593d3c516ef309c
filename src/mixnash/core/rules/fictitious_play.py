"""Fictitious play on the weights."""

import math
from typing import NamedTuple, final

import torch
from torch import Tensor

from mixnash.core.errors import require
from mixnash.core.rules.base import AbstractWeightRule


class FictitiousPlayState(NamedTuple):
    """Updates made so far."""

    updates: int


@final
class FictitiousPlay(AbstractWeightRule):
    r"""The weights are the frequencies of past best responses,

    .. math:: p_{t+1} = \frac{(t + c)\, p_t + e_{k_t}}{t + c + 1}, \qquad k_t = \arg\min_k \ell_k(q_t),

    the first of several minima. With positions that stay (`still.Still`) this is classical fictitious play on a finite
    game: under simultaneous dynamics both players answer each other's history of the same length. There the weights
    are averages already, and they are what converges. The initial weights count as c rounds, so all log-weights stay
    finite; single precision no longer resolves a round after about 10^7 of them.

    References:
        Brown, 1951, Iterative solution of games by fictitious play; Robinson, 1951, An iterative method of solving a
        game: convergence on every finite zero-sum game.

    Args:
        prior_count: c > 0 in rounds.

    Raises:
        InvalidInputError: when the count is not positive and finite.
    """

    def __init__(self, prior_count: float = 1.0) -> None:
        require(
            0 < prior_count < math.inf,
            f"The prior count of fictitious play must be positive and finite, found {prior_count}.",
        )
        self.prior_count = prior_count

    def init(self, log_weights: Tensor) -> FictitiousPlayState:
        """No update made."""
        del log_weights
        return FictitiousPlayState(0)

    def update(
        self, log_weights: Tensor, losses: Tensor, state: FictitiousPlayState
    ) -> tuple[Tensor, FictitiousPlayState]:
        """One step of the class docstring's equation, on logarithms."""
        count = state.updates + self.prior_count
        kept = log_weights - math.log1p(1 / count)
        gained = torch.logaddexp(kept, torch.full_like(kept, -math.log(count + 1)))
        best = losses.argmin(-1, keepdim=True)
        new = kept.scatter(-1, best, gained.gather(-1, best))
        # Normalised by the formula; again against the drift of rounding.
        return torch.log_softmax(new, -1), FictitiousPlayState(state.updates + 1)
