"""The processes of a run as a grid: particles x data."""

from typing import NamedTuple

import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh

from mixnash.core.errors import require
from mixnash.core.shares import Share, share_of


class Mesh(NamedTuple):
    """Where a process is among D x P processes: those of one row share out the particles, those of one column hold
    the same particles and share out the batch. Process r is in row r // P and column r % P.
    """

    particle_index: int = 0
    """The column, from 0 to P - 1."""
    particle_ranks: int = 1
    """P."""
    data_index: int = 0
    """The row, from 0 to D - 1."""
    data_ranks: int = 1
    """D."""
    particle_group: dist.ProcessGroup | None = None
    """The processes of the own row; None if P = 1."""
    data_group: dist.ProcessGroup | None = None
    """The processes of the own column; None if D = 1."""

    def share(self, total: int) -> Share:
        """The particles that this process owns of a player's `total`."""
        return share_of(total, self.particle_ranks, self.particle_index)


def make_mesh(device_type: str, particle_ranks: int | None) -> Mesh:
    """The grid over all processes of the run; the process group must exist.

    Args:
        device_type: what tensors of the exchanges live on, such as "cpu" or "cuda".
        particle_ranks: P, a divisor of the number of processes; all of them if None.

    Raises:
        InvalidInputError: when P does not divide the number of processes.
    """
    processes = dist.get_world_size()
    columns = processes if particle_ranks is None else particle_ranks
    require(
        columns >= 1 and processes % columns == 0,
        f"particle_ranks must divide the number of processes ({processes}), found {columns}: the others would own "
        "nothing.",
    )
    rows = processes // columns
    grid = init_device_mesh(device_type, (rows, columns), mesh_dim_names=("data", "particles"))
    rank = dist.get_rank()
    return Mesh(
        rank % columns,
        columns,
        rank // columns,
        rows,
        grid.get_group("particles") if columns > 1 else None,
        grid.get_group("data") if rows > 1 else None,
    )


def data_mesh() -> Mesh:
    """Every process has all particles: what Lightning's own strategies for several processes do."""
    if not dist.is_available() or not dist.is_initialized() or dist.get_world_size() == 1:
        return Mesh()
    return Mesh(data_index=dist.get_rank(), data_ranks=dist.get_world_size(), data_group=dist.group.WORLD)
