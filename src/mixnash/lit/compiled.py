"""Networks through `torch.compile`."""

from collections.abc import Callable
from typing import Any, final

import torch
from torch import Tensor

from mixnash.core.errors import InvalidInputError
from mixnash.core.feedback import Evaluate
from mixnash.core.games.base import AbstractGame
from mixnash.core.types import Apply, Batch, Feedback, NetworkFunctions, Networks, Params, Players, Profile

Backend = str | Callable[..., Any]
"""What `torch.compile` calls a backend: a name that it knows, or a function."""


@final
class _Compiled:
    """A network function that is compiled when it first meets inputs of some shapes."""

    def __init__(self, function: Apply, backend: Backend) -> None:
        self._function: Apply = torch.compile(function, backend=backend, dynamic=False)

    def __call__(self, params: Params, inputs: Tensor) -> Tensor:
        try:
            return self._function(params, inputs)
        except torch._dynamo.exc.TorchDynamoException as error:
            raise InvalidInputError(
                f"torch.compile could not compile these networks here: {' '.join(str(error).split())[:200]}. On a CPU "
                "it needs a C++ compiler such as g++, on a GPU Triton. Install what is missing, or train with "
                "--model.compile false: the results are the same but for rounding."
            ) from error


def compiled(networks: Networks, backend: Backend = "inductor") -> Networks:
    """The same networks with what evaluations of all pairs call, `stacked`, compiled.

    Gradients of scores in their inputs stay as they are. Those that are differentiated automatically would have to be
    differentiated twice, which compiled functions cannot: compiled whole they come out detached from the parameters,
    silently. Uncompiled they call the uncompiled network, and are right. For the same reason linearisations need the
    uncompiled networks, see `evaluated_on`. Functions of one particle, which training does not call, stay as well.

    Each new shape is compiled anew; from the eighth on torch leaves a function uncompiled.

    Args:
        networks: both architectures.
        backend: what compiles.

    Returns:
        Functions that raise `InvalidInputError` when they cannot be compiled, at their first call.
    """

    def faster(functions: NetworkFunctions) -> NetworkFunctions:
        return functions._replace(stacked=_Compiled(functions.stacked, backend))

    critic = networks.critic
    # Without a gradient of its own `stacked` itself is differentiated twice.
    return Networks(faster(networks.generator), critic if critic.input_gradient is None else faster(critic))


def evaluated_on(networks: Networks, evaluate: Evaluate) -> Evaluate:
    """An evaluation that uses other functions of the same networks than it is given."""

    def evaluated(game: AbstractGame, given: Networks, profile: Profile, batch: Batch, players: Players) -> Feedback:
        del given
        return evaluate(game, networks, profile, batch, players)

    return evaluated
