r"""Step sizes that are found by rejection, for mirror prox in blocks.

A step from a base goes over a probe w to an end z. With N the product of the change of the field, from base to probe,
with w - z, split into blocks :math:`N = \sum_k N_k`, and D the sum of the divergences of base to w and w to z, each
over its step size, the estimates behind mirror prox need :math:`N \le D`. It holds if
:math:`r_k = n N_k / D \le 1` in each of the n blocks, so each block can be held to its own ratio.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor


class StepControl(NamedTuple):
    """When to reject, and by how much to change step sizes."""

    rejection_ratio: float
    """Blocks with a larger r are rejected."""
    growth_ratio: float
    """Blocks with a smaller r grow, if no block was rejected."""
    growth: float
    """Factor."""
    shrinkage: float
    """Factor."""


class Verdict(NamedTuple):
    """On one trial; the first axis counts the blocks."""

    failed: Bool[Tensor, "blocks *games"]
    easy: Bool[Tensor, "blocks *games"]


def judge(
    control: StepControl,
    products: Float[Tensor, "blocks *games"],
    divergence: Float[Tensor, "*games"],
    rounding: Float[Tensor, "*games"],
) -> Verdict:
    """Judge a trial of each game.

    Args:
        control: thresholds.
        products: N_k.
        divergence: D.
        rounding: games with a smaller divergence, or smaller products, are so near to rest that nothing is judged.

    Returns:
        Which blocks failed: all of them where a number is not finite. And which can do with larger steps.
    """
    size = products.abs().sum(0)
    judged = (divergence > rounding) & (size > rounding)
    broken = ~torch.isfinite(divergence + size)
    ratios = len(products) * products
    failed = (judged & (ratios > control.rejection_ratio * divergence)) | broken
    return Verdict(failed, judged & ~broken & (ratios < control.growth_ratio * divergence))


def resize(
    control: StepControl, sizes: Tensor, verdict: Verdict, bounds: tuple[Tensor, Tensor]
) -> Float[Tensor, "blocks *games"]:
    """Failed blocks shrink; in games in which none failed, easy ones grow.

    Args:
        control: factors.
        sizes: step sizes [blocks, *games].
        verdict: on the trial that was made with them.
        bounds: least and largest sizes, shapes that broadcast.
    """
    shrunk = torch.maximum(sizes * control.shrinkage, bounds[0])
    grown = torch.minimum(sizes * control.growth, bounds[1])
    easy = verdict.easy & ~verdict.failed.any(0)
    return torch.where(verdict.failed, shrunk, torch.where(easy, grown, sizes))
