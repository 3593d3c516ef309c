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
from mixnash.core.errors import InvalidInputError
from mixnash.core.feedback import Evaluate, feedback
from mixnash.core.games.base import AbstractGame
from mixnash.core.types import BOTH, AbstractOracle, Batch, Networks, Population, Profile

GIBIBYTE = 2**30
META = torch.device("meta")
"""Where tensors have shapes and no contents."""


class StepMemory(NamedTuple):
    """What training takes on the device of one process, in bytes, beside what libraries take."""

    held: int
    """Between steps: positions, averages, states of rules and dynamics, the step's real samples."""
    peak: int
    """The most at any moment of a step, `held` included."""
    is_bound: bool
    """Whether a step takes at least so much, since only one of its evaluations could be looked at."""
    micro_batches: int = 1
    """Parts of a batch that evaluations are split into."""
    critic_chunks: int = 1
    """Parts of the critics."""

    def __str__(self) -> str:
        """For people."""
        about = "at least" if self.is_bound else "about"
        parts = self.micro_batches, self.critic_chunks
        split = "" if parts == (1, 1) else ", evaluated in {} micro-batches x {} chunks of critics".format(*parts)
        return f"{about} {in_words(self.peak)} at the peak of a step, {in_words(self.held)} of it between steps{split}"


def in_words(count: int) -> str:
    """A number of bytes for people."""
    return f"{count / GIBIBYTE:.2f} GiB" if count >= GIBIBYTE / 10 else f"{count / 2**20:.1f} MiB"


@final
class MemoryTrace(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the memory behind all tensors that operations return while it is active, and notes the most at once.

    Memory that several tensors share counts once, until the last of them is gone. What kernels use within an operation
    is not seen.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
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


def imagined(profile: Profile) -> Profile:
    """Both players without contents."""

    def emptied(population: Population) -> Population:
        leaves = {name: torch.empty_like(leaf, device=META) for name, leaf in population.params.items()}
        return Population(leaves, torch.empty_like(population.log_weights, device=META))

    return Profile(*(emptied(one) for one in profile))


def tensor_bytes(tensors: Iterable[Tensor]) -> int:
    """What lies behind some tensors, counting once what they share."""
    storages = (tensor.untyped_storage() for tensor in tensors)
    return sum({storage._cdata: storage.nbytes() for storage in storages}.values())


def memory_of_steps(
    dynamics: AbstractDynamics,
    players: Callable[[], Profile],
    other: Iterable[Tensor],
    oracle: Callable[[int], AbstractOracle],
    noise: Callable[[int], torch.Generator],
) -> StepMemory:
    """What two steps take, the second of which begins with the states that the first one left.

    Args:
        dynamics: whose step looks at no numbers, see `AbstractDynamics.is_separable`.
        players: makes both players, without contents; whoever else held them would keep their memory from being freed.
        other: tensors without contents that exist all the time, such as averages and real samples.
        oracle: that of a step, whose draws are without contents.
        noise: that of a step.
    """
    trace = MemoryTrace()
    with trace:
        profile = players()
        trace.hold(chain(_leaves(profile), other))
        state = dynamics.init(profile)
        del profile  # a step lets go of the players it began with
        for step in range(2):
            before = state
            state, seen = dynamics.step(before, oracle(step), noise(step))
            del before, seen  # gone before the next step begins
    return StepMemory(trace.now, trace.peak, is_bound=False)


def memory_of_evaluation(
    game: AbstractGame,
    networks: Networks,
    profile: Profile,
    batch: Batch,
    held: int,
    evaluate: Evaluate = feedback,
) -> StepMemory:
    """What an evaluation for both players takes on top of what there is, for steps that cannot be made without numbers.

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
    return StepMemory(held, held + trace.peak - positions, is_bound=True)


def fitting_parts(
    estimate: Callable[[int, int], StepMemory], limit: float, most_micro_batches: int, most_critic_chunks: int
) -> tuple[int, int]:
    """How many micro-batches and chunks of critics make a step fit: as few as do, micro-batches first.

    Args:
        estimate: what a step takes with so many of both.
        limit: GiB.
        most_micro_batches: samples that can be apart.
        most_critic_chunks: critics that can be apart.

    Raises:
        InvalidInputError: when even the smallest parts take more.
    """
    tried = [(count, 1) for count in _doubled(most_micro_batches)]
    tried += [(most_micro_batches, count) for count in _doubled(most_critic_chunks)[1:]]
    for parts in tried:
        found = estimate(*parts)
        if found.peak <= limit * GIBIBYTE:
            return parts
    raise InvalidInputError(
        f"In the smallest parts there are, a step takes {found}, which is more than memory_limit={limit} GiB: give "
        "more, lower num_generators or num_critics, or share them out with --trainer.strategy particle_parallel."
    )


def _doubled(most: int) -> list[int]:
    """1, 2, 4 ... and the most itself."""
    counts = [1]
    while counts[-1] < most:
        counts.append(min(2 * counts[-1], most))
    return counts


def _leaves(profile: Profile) -> Iterator[Tensor]:
    for population in profile:
        yield from population.params.values()
        yield population.log_weights
