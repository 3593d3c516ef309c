"""How much memory a training step takes, found by making it on tensors that have shapes and no contents."""

import weakref
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any, NamedTuple, final

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mixnash.core.dynamics.base import AbstractDynamics
from mixnash.core.feedback import Evaluate, feedback
from mixnash.core.games.base import AbstractGame
from mixnash.core.types import BOTH, AbstractOracle, Batch, Networks, Params, Population, Profile

GIBIBYTE = 2**30
META = torch.device("meta")
"""Where tensors have shapes and no contents."""


class StepMemory(NamedTuple):
    """What training takes on the device of one process, in bytes, beside what libraries take."""

    held: int
    """Between steps: positions, averages, states of rules and dynamics, the step's real samples."""
    peak: int
    """The most at any moment of a step, `held` included."""

    def __str__(self) -> str:
        """For people."""
        return f"{_gibibytes(self.peak)} at the peak of a step, {_gibibytes(self.held)} between steps"


def _gibibytes(count: int) -> str:
    return f"{count / GIBIBYTE:.2f} GiB" if count >= GIBIBYTE / 10 else f"{count / 2**20:.1f} MiB"


@final
class MemoryTrace(TorchDispatchMode):
    """Adds up the memory behind all tensors that operations return while it is active, and notes the most at once.

    Memory that several tensors share counts once, until the last of them is gone. What kernels use within an operation
    is not seen.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now, self.peak = 0, 0
        """Bytes."""
        self._sizes: dict[int, int] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run an operation and look at what it returns."""
        del types
        returned = func(*args, **(kwargs or {}))
        self.hold(tree_leaves(returned))
        return returned

    def hold(self, tensors: Iterable[Any]) -> None:
        """Count tensors that were there before."""
        for tensor in tensors:
            if isinstance(tensor, Tensor):
                self._see(tensor.untyped_storage())

    def _see(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key not in self._sizes:
            self._sizes[key] = storage.nbytes()
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._forget, key)

    def _forget(self, key: int) -> None:
        self.now -= self._sizes.pop(key)


def without_contents(tensor: Tensor) -> Tensor:
    """A tensor of the same shape and precision that takes no memory."""
    return torch.empty_like(tensor, device=META, requires_grad=False)


def imagined(profile: Profile) -> Profile:
    """Both players without contents."""

    def emptied(population: Population) -> Population:
        params: Params = {name: without_contents(leaf) for name, leaf in population.params.items()}
        return Population(params, without_contents(population.log_weights))

    return Profile(*(emptied(one) for one in profile))


def memory_of_steps(
    dynamics: AbstractDynamics,
    profile: Profile,
    other: Iterable[Tensor],
    oracle: Callable[[int], AbstractOracle],
    noise: Callable[[int], torch.Generator],
) -> StepMemory:
    """What two steps take, the second of which begins with the states that the first one left.

    Args:
        dynamics: whose step looks at no numbers, see `AbstractDynamics.is_separable`.
        profile: both players, without contents.
        other: tensors without contents that exist all the time, such as averages and real samples.
        oracle: that of a step, whose draws are without contents.
        noise: that of a step.
    """
    trace = MemoryTrace()
    with trace:
        state = dynamics.init(profile)
        trace.hold(chain(_leaves(profile), other))
        for step in range(2):
            before = state
            state, seen = dynamics.step(before, oracle(step), noise(step))
            # What a step leaves behind is gone before the next one begins.
            del before, seen, profile
            profile = dynamics.profile(state)
    return StepMemory(trace.now, trace.peak)


def memory_of_evaluation(
    game: AbstractGame,
    networks: Networks,
    profile: Profile,
    batch: Batch,
    held: int,
    evaluate: Evaluate = feedback,
) -> StepMemory:
    """What an evaluation for both players takes on top of something else: for steps that cannot be made without numbers.

    Args:
        game: the game.
        networks: both architectures.
        profile: both players, without contents.
        batch: draws without contents.
        held: bytes that exist all the time, positions included.
        evaluate: how the game is evaluated.
    """
    trace = MemoryTrace()
    with trace:
        trace.hold(_leaves(profile))
        positions = trace.now
        evaluate(game, networks, profile, batch, BOTH)
    return StepMemory(held, held + trace.peak - positions)


def _leaves(profile: Profile) -> Iterator[Tensor]:
    for population in profile:
        yield from population.params.values()
        yield population.log_weights
