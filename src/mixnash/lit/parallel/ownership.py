"""What a process of a run owns, and how parts become the whole: in checkpoints, in evaluation, in pictures."""

from collections.abc import Mapping
from typing import final

import torch
import torch.distributed as dist
from torch import Tensor

from mixnash.core.dynamics.base import AbstractDynamics
from mixnash.core.errors import require
from mixnash.core.feedback import Evaluate
from mixnash.core.shares import Share, share_of
from mixnash.core.tree import Leaf, flatten
from mixnash.core.types import Params, Player, Population, Profile
from mixnash.lit.parallel.collectives import collect_rows, gather_rows, sum_over
from mixnash.lit.parallel.mesh import Mesh
from mixnash.lit.parallel.sharded_feedback import ShardedFeedback
from mixnash.lit.parallel.traffic import Traffic

Owners = Mapping[str, Player]
"""By the name of a tensor, whose particles its rows are; tensors that all processes have are left out."""


@final
class Ownership:
    """Which particles of both players this process has.

    Args:
        mesh: where this process is.
        generators: K.
        critics: L.
        traffic: counts what travels.

    Raises:
        InvalidInputError: when there are more processes than particles of a player.
    """

    def __init__(self, mesh: Mesh, generators: int, critics: int, traffic: Traffic) -> None:
        require(
            mesh.particle_ranks <= min(generators, critics),
            f"{mesh.particle_ranks} processes cannot share out {generators} generators and {critics} critics: each "
            "needs one of both. Give particle_ranks a smaller number (see docs/scaling.md), use "
            "--trainer.strategy data_parallel, or raise num_generators or num_critics.",
        )
        self._group, self._traffic, self._ranks = mesh.particle_group, traffic, mesh.particle_ranks
        self._is_first_row = mesh.data_index == 0
        self.shares = {Player.GENERATOR: mesh.share(generators), Player.CRITIC: mesh.share(critics)}
        """The own particles of each player."""

    @property
    def is_partial(self) -> bool:
        """Whether some particles are elsewhere."""
        return self._group is not None

    def largest_shares(self) -> dict[Player, Share]:
        """Those of the process that has the most particles."""
        return {player: share_of(share.total, self._ranks, 0) for player, share in self.shares.items()}

    def evaluated(self, evaluate: Evaluate, shares: Mapping[Player, Share] | None = None) -> Evaluate:
        """An evaluation of the game on the own shares, or on others."""
        if self._group is None:
            return evaluate
        generators, critics = (self.shares if shares is None else shares).values()
        return ShardedFeedback(generators, critics, self._group, self._traffic, evaluate)

    def everyones(self, player: Player, rows: Tensor) -> Tensor:
        """All rows [K, ...] of the own ones, on every process."""
        if self._group is None:
            return rows
        if rows.dtype == torch.bool:  # which not every backend exchanges
            return self.everyones(player, rows.byte()).bool()
        return gather_rows(rows, self.shares[player], self._group, self._traffic)

    def completed(self, parts: Tensor) -> Tensor:
        """The sum of everyone's parts, in place."""
        if self._group is not None:
            sum_over(parts, self._group, self._traffic)
        return parts

    def collected(self, tensors: Mapping[str, Leaf], owners: Owners) -> dict[str, Leaf]:
        """The tensors with all particles on the CPU of the first process; elsewhere as they are."""
        group = self._group
        if group is None or not self._is_first_row:
            return dict(tensors)
        return {name: self._collect(leaf, owners.get(name), group) for name, leaf in tensors.items()}

    def _collect(self, leaf: Leaf, owner: Player | None, group: dist.ProcessGroup) -> Leaf:
        if owner is None:
            return leaf
        assert isinstance(leaf, Tensor)
        whole = collect_rows(leaf, self.shares[owner], group)
        return leaf if whole is None else whole

    def cut(self, tensors: Mapping[str, Leaf], owners: Owners) -> dict[str, Leaf]:
        """The own particles of tensors that hold all of them; others, such as those of other sizes, as they are."""
        if self._group is None:  # not every state has its particles in its rows: queues have their places there
            return dict(tensors)
        return {name: self._cut_one(leaf, owners.get(name)) for name, leaf in tensors.items()}

    def _cut_one(self, leaf: Leaf, owner: Player | None) -> Leaf:
        if owner is None or not isinstance(leaf, Tensor) or len(leaf) != self.shares[owner].total:
            return leaf
        return leaf[self.shares[owner].cut].clone()

    def whole_params(self, player: Player, params: Params, device: torch.device) -> Params:
        """All particles of a player on the first process, on a device; elsewhere the own ones."""
        whole = self.collected(params, dict.fromkeys(params, player))
        return {name: leaf.to(device) for name, leaf in whole.items() if isinstance(leaf, Tensor)}

    def owners(self, dynamics: AbstractDynamics, profile: Profile) -> dict[str, Player]:
        """Whose particles are the rows of each tensor of a dynamics' state.

        Found by what changes when a player has one particle more; nothing is allocated. Empty where nothing is shared
        out.

        Args:
            dynamics: makes the state.
            profile: the own particles.
        """
        if not self.is_partial:
            return {}
        shapes = {more: _shapes(dynamics, profile, more) for more in (None, *Player)}
        return {
            name: player for player in Player for name, shape in shapes[None].items() if shapes[player][name] != shape
        }


def _shapes(dynamics: AbstractDynamics, profile: Profile, more: Player | None) -> dict[str, torch.Size]:
    """Shapes of a dynamics' state, with one particle more of a player."""

    def enlarged(population: Population, count: int) -> Population:
        leaves = {
            name: torch.empty(len(leaf) + count, *leaf.shape[1:], device="meta")
            for name, leaf in population.params.items()
        }
        return Population(leaves, population.log_weights.to("meta"))

    imagined = Profile(*(enlarged(one, int(player is more)) for player, one in zip(Player, profile, strict=True)))
    state = flatten(dynamics.init(imagined))
    return {name: leaf.shape for name, leaf in state.items() if isinstance(leaf, Tensor)}
