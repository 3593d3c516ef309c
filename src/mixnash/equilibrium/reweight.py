r"""The best weights of given generators, against critics that answer them.

The generators' weights p solve :math:`\min_p \max_d \sum_k p_k \Phi(g_k, d)`, a convex problem whose maximum is known
only where somebody has searched for the best critic. Every critic found is a cut, a column of payoffs F[:, l], below
the true maximum:

.. math:: \min_p \max_{l \le L} (p^\top F)_l \;\le\; \min_p \max_d \sum_k p_k \Phi(g_k, d).

The left side is a finite game, solved exactly. Its own p is a vertex: it carries weight on no more generators than
there are critics, so with few critics it drops generators that matter. The level method asks for less: the next
weights are those nearest to the present ones that do part of what the finite game promises.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp
from torch import Tensor

from mixnash.core.errors import require
from mixnash.equilibrium.linear_program import solve_matrix_game

Respond: TypeAlias = Callable[[Tensor], Tensor]
"""New critics against weights p [K]: their payoffs [K, new]."""

_FLOOR = 1e-12
"""Least weight of a generator: logarithms stay finite."""


class Reweighting(NamedTuple):
    """Weights, and what is known about them; double precision."""

    weights: Float[Tensor, " K"]
    """Of all weights tried, those with the least `worst`."""
    worst: float
    """max_l (p'F)_l over all critics found: a lower bound of what the best critic wins."""
    bound: float
    """The value of the finite game: no weights do better against the critics found."""
    worst_before: float
    """`worst` of the weights at the start."""
    payoff: Float[Tensor, "K L"]
    """F, all critics found."""
    rounds: int
    """How many searches for critics were made."""


def reweight(
    payoff: Float[Tensor, "K L"],
    start: Float[Tensor, " K"],
    respond: Respond,
    rounds: int,
    tolerance: float,
    level: float = 0.5,
) -> Reweighting:
    r"""The level method on the weights, with the entropy's geometry.

    With :math:`\underline v` the value of the finite game and
    :math:`\bar v` the least worst payoff of the weights tried,

    .. math:: p \leftarrow \arg\min_{p'} KL(p' \| p) \quad \text{subject to} \quad
              p'^\top F \le \underline v + \text{level} \cdot (\bar v - \underline v).

    It stops when :math:`\bar v - \underline v` is within the tolerance, or after so many rounds.

    References:
        Lemarechal, Nemirovskii, Nesterov, 1995, New variants of bundle methods, Mathematical Programming 69 (recalled,
        and with the Euclidean distance there).

    Args:
        payoff: F of the critics known at first [K, L]; L may be 0.
        start: weights at first [K], positive or zero, summing to 1.
        respond: searches for critics; what it returns joins F.
        rounds: most searches, at least 1.
        tolerance: at least 0, in units of the payoff.
        level: in (0, 1); small ones trust the finite game more.

    Raises:
        InvalidInputError: when an argument is outside its range, or there is one generator.
    """
    require(rounds >= 1, f"Reweighting needs at least 1 round, found {rounds}.")
    require(0 < level < 1, f"The level must lie between 0 and 1, found {level}.")
    require(tolerance >= 0, f"The tolerance must be at least 0, found {tolerance}.")
    require(len(start) >= 2, f"Reweighting needs at least 2 generators, found {len(start)}.")
    found, tried = payoff.double().cpu(), [_positive(start.double().cpu())]
    made = 0
    while True:
        made += 1
        found = torch.cat([found, respond(tried[-1]).double().cpu()], 1)
        worsts = (torch.stack(tried) @ found).amax(1)
        best = int(worsts.argmin())
        bound = solve_matrix_game(found).value
        if made == rounds or float(worsts[best]) - bound <= tolerance:
            return Reweighting(tried[best], float(worsts[best]), bound, float(worsts[0]), found, made)
        aim = bound + level * (float(worsts[best]) - bound)
        tried.append(nearest_below(found, tried[-1], aim))


def nearest_below(payoff: Float[Tensor, "K L"], centre: Float[Tensor, " K"], aim: float) -> Float[Tensor, " K"]:
    r"""The weights nearest to a centre, in relative entropy, against which no column wins more than `aim`.

    .. math:: p_k \propto c_k\, e^{-(F \mu)_k}, \qquad
              \mu = \arg\max_{\mu \ge 0} -\log \sum_k c_k e^{-(F \mu)_k} - \text{aim} \sum_l \mu_l.

    Args:
        payoff: F [K, L], in double precision.
        centre: c [K], positive, summing to 1.
        aim: above the value of the game; otherwise there are no such weights.
    """
    unit = float((payoff - aim).abs().max()) or 1.0
    excess: NDArray[np.float64] = ((payoff - aim) / unit).numpy()
    log_centre: NDArray[np.float64] = centre.log().numpy()

    def dual(multipliers: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        scores = log_centre - excess @ multipliers
        total = logsumexp(scores)
        return float(total), -excess.T @ np.exp(scores - total)

    solved = minimize(
        dual,
        np.zeros(excess.shape[1]),
        jac=True,
        bounds=[(0, None)] * excess.shape[1],
        method="L-BFGS-B",
        options={"maxiter": 2000, "ftol": 1e-15, "gtol": 1e-9},
    )
    scores = log_centre - excess @ np.asarray(solved.x, dtype=np.float64)
    return _positive(torch.from_numpy(np.exp(scores - logsumexp(scores))))


def _positive(weights: Tensor) -> Tensor:
    raised = weights.clamp_min(_FLOOR)
    return raised / raised.sum()
