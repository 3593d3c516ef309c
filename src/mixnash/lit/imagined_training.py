"""Training of populations on tensors without contents, to know what it takes before it begins."""

from collections.abc import Mapping
from typing import final

import torch

from mixnash.core.dynamics.base import AbstractDynamics
from mixnash.core.feedback import Evaluate
from mixnash.core.population import size
from mixnash.core.shares import Share, share_of
from mixnash.core.tree import flatten
from mixnash.core.types import BOTH, Feedback, Networks, Params, Player, Population, Profile
from mixnash.lit.memory import PEAK, particle_bytes
from mixnash.lit.parallel.ownership import Ownership
from mixnash.lit.step_memory import META, StepMemory, memory_of_evaluation, memory_of_steps, tensor_bytes
from mixnash.lit.step_oracles import StepOracles


@final
class ImaginedTraining:
    """A run on the process with the largest share of particles and samples.

    Args:
        dynamics: moves the players.
        oracles: what its steps play against.
        networks: both architectures.
        profile: the own particles of both players, of which shapes alone matter.
        own: which particles those are.
        event_shape: of one sample.
        draws_per_step: batches of real samples that a step consumes.
    """

    def __init__(
        self,
        dynamics: AbstractDynamics,
        oracles: StepOracles,
        networks: Networks,
        profile: Profile,
        own: Ownership,
        event_shape: tuple[int, ...],
        draws_per_step: int,
    ) -> None:
        self._dynamics, self._networks, self._own = dynamics, networks, own
        self._shares = own.largest_shares()
        self._oracles = oracles._replace(data_index=0, shares=self._shares)
        self._profile = _of_size(profile, self._shares)
        self._means = _emptied(self._profile.generators.params)
        own_batch = (
            share_of(oracles.batch_size // oracles.samples.packing, oracles.data_ranks, 0).size
            * oracles.samples.packing
        )
        samples = oracles.batch_size if oracles.cuts_batches else own_batch
        self._real = torch.empty(draws_per_step, samples, *event_shape, device=META)

    def memory(self, evaluate: Evaluate, micro_batches: int = 1, critic_chunks: int = 1) -> StepMemory:
        """What a step takes.

        A dynamics that moves particles one by one makes two whole steps. Others look at numbers, which are not there:
        of them one evaluation for both players is taken, on top of their states, old and new.

        Args:
            evaluate: evaluates in parts.
            micro_batches: how many parts of the batch.
            critic_chunks: how many parts of the critics.
        """
        found = self._memory(self._own.evaluated(evaluate, self._shares))
        return found._replace(micro_batches=micro_batches, critic_chunks=critic_chunks)

    def _memory(self, in_parts: Evaluate) -> StepMemory:
        if self._dynamics.is_separable:
            return memory_of_steps(
                self._dynamics,
                lambda: _of_size(self._profile, self._shares),
                [self._real, *self._means.values()],
                lambda step: self._oracles.oracle(self._real, step, self._networks, in_parts, _unchanged),
                lambda step: self._oracles.noise(torch.device("cpu"), step),
            )
        draws = self._oracles.draws(self._real, 0)
        held = self._held()
        one = memory_of_evaluation(self._oracles.game, self._networks, self._profile, draws(BOTH), held, in_parts)
        return one._replace(peak=one.peak + tensor_bytes(self._state()))

    def _state(self) -> list[torch.Tensor]:
        leaves = flatten(self._dynamics.init(self._profile)).values()
        return [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]

    def _held(self) -> int:
        copies = self._dynamics.extra_particles(*(size(one) for one in self._profile))
        queues = sum(count * particle_bytes(one) for count, one in zip(copies, self._profile, strict=True))
        return tensor_bytes([*self._state(), *self._means.values(), self._real]) + PEAK * queues


def _unchanged(one: Feedback) -> Feedback:
    return one


def _of_size(profile: Profile, shares: Mapping[Player, Share]) -> Profile:
    """Players without contents that have as many particles as shares say."""

    def resized(population: Population, share: Share) -> Population:
        leaves = {
            name: torch.empty(share.size, *leaf.shape[1:], dtype=leaf.dtype, device=META)
            for name, leaf in population.params.items()
        }
        return Population(leaves, torch.empty_like(population.log_weights, device=META))

    return Profile(*(resized(one, shares[player]) for player, one in zip(Player, profile, strict=True)))


def _emptied(params: Params) -> Params:
    return {name: torch.empty_like(leaf, device=META) for name, leaf in params.items()}
