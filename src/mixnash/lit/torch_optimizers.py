"""torch's own optimisers as arguments of baselines."""

from collections.abc import Callable, Iterable
from typing import TypeAlias

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
