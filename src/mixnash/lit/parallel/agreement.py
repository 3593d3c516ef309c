"""All processes of a run stop after the same step, although only some of them were told to."""

from datetime import timedelta
from typing import final

import torch
import torch.distributed as dist

from mixnash.lit.parallel.collectives import answered

PATIENCE = timedelta(minutes=30)
"""How long the slowest process may take over one step and what comes between steps, such as an evaluation."""


@final
class StopAgreement:
    """One number per step and process, of which all learn the largest a step later.

    What is said at the end of step s is known at the end of step s + 1: the exchange has a whole step's time to travel,
    and goes over the CPU whatever the run trains on, so nobody waits for it and no accelerator is synchronised. All
    processes must make one together, and call it after every step.

    Args:
        patience: how long to wait for the others before the run is given up.
    """

    def __init__(self, patience: timedelta = PATIENCE) -> None:
        with answered():
            self._group = dist.new_group(backend="gloo", timeout=patience)
        self._said: torch.Tensor | None = None
        self._work: dist.Work | None = None

    def exchange(self, number: int) -> int:
        """Say a number, at least 0; the answer is the largest that anyone said the call before, 0 at first.

        Raises:
            ProcessLostError: when another process is gone.
        """
        agreed = self.finish()
        self._said = torch.tensor([number])
        with answered():
            self._work = dist.all_reduce(self._said, dist.ReduceOp.MAX, group=self._group, async_op=True)
        return agreed

    def finish(self) -> int:
        """The largest number that anyone said last, without saying another.

        Raises:
            ProcessLostError: when another process is gone.
        """
        if self._work is None or self._said is None:
            return 0
        with answered():
            self._work.wait()
        self._work = None
        return int(self._said)
