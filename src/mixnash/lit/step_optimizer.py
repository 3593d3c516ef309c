"""One dynamics step as one step of a torch optimiser, so that Lightning counts our steps."""

from collections.abc import Callable, Iterable
from typing import Any, final

import torch
from torch import Tensor


@final
class StepOptimizer(torch.optim.Optimizer):
    """Calls the closure once per step and changes nothing itself.

    Lightning's `global_step` counts optimiser steps. Without an optimiser it stays 0, and `max_steps`, step-based
    checkpoints and the TensorBoard axis break silently.

    Args:
        params: the parameters that the closure moves, for Lightning's bookkeeping.
    """

    def __init__(self, params: Iterable[Tensor]) -> None:
        super().__init__(params, {})

    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Run one step of the dynamics.

        Args:
            closure: the step; required.
        """
        assert closure is not None
        closure()
