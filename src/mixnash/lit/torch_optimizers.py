"""torch's own optimisers as arguments of baselines, and how baselines use them."""

from collections.abc import Callable, Iterable
from typing import TypeAlias

import pytorch_lightning as pl
import torch
from torch import Tensor

from mixnash.core.errors import InvalidInputError

MakeOptimizer: TypeAlias = Callable[[Iterable[Tensor]], torch.optim.Optimizer]
"""Makes a torch optimiser of given parameters."""


def check_optimizer(name: str, make: MakeOptimizer) -> None:
    """Refuse an optimiser whose numbers torch refuses.

    Raises:
        InvalidInputError: naming the argument.
    """
    try:
        make([torch.nn.Parameter(torch.zeros(1))])
    except ValueError as error:
        raise InvalidInputError(f"The {name} cannot be built: {error}.") from error


def step_optimizer(module: pl.LightningModule, index: int) -> None:
    """Let a player's optimiser move: the generators' if 0, the critics' if 1.

    Only the generators go through Lightning's wrapper, which counts: a step is one generator update.
    """
    if index == 0:
        wrapped = module.optimizers()
        assert isinstance(wrapped, list)
        wrapped[0].step()
    else:
        plain_optimizers(module)[index].step()


def plain_optimizers(module: pl.LightningModule) -> list[torch.optim.Optimizer]:
    """Both players' optimisers without Lightning's wrapper, which would count their steps."""
    plain = module.optimizers(use_pl_optimizer=False)
    assert isinstance(plain, list)
    return plain


def mean_over_processes(trainer: pl.Trainer, value: Tensor) -> Tensor:
    """The mean over all processes of a data-parallel run; the value itself if there is but one."""
    return value if trainer.world_size == 1 else torch.as_tensor(trainer.strategy.reduce(value, None, "mean"))


def as_configured(optimizers: Iterable[torch.optim.Optimizer]) -> None:
    """Give optimisers the step sizes that they were made with: restoring their states brought those of the checkpoint,
    whatever the resumed run's configuration says.
    """
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = optimizer.defaults["lr"]
