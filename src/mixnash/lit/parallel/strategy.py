"""How `train.py` spreads a run over processes, on one node or several."""

from datetime import timedelta
from typing import Any, final

import pytorch_lightning as pl
from pytorch_lightning.strategies import DDPStrategy, StrategyRegistry
from pytorch_lightning.strategies.launchers import _SubprocessScriptLauncher
from torch import Tensor

from mixnash.core.errors import require
from mixnash.lit.parallel.collectives import answered
from mixnash.lit.parallel.launcher import WatchfulLauncher
from mixnash.lit.parallel.mesh import Mesh, data_mesh, make_mesh


@final
class PopulationStrategy(DDPStrategy):
    """Processes in a grid of D x P: rows share out the particles, columns share out the batch.

    P = 1 is data parallel, `--trainer.strategy data_parallel`: everyone holds both populations and its part of the
    batch, and feedback is averaged once per evaluation in one flat exchange. P = all is particle parallel,
    `--trainer.strategy particle_parallel`: everyone owns some generators and some critics; samples, and gradients with
    respect to samples, travel, parameters do not. Anything between is a grid::

        --trainer.strategy mixnash.lit.parallel.strategy.PopulationStrategy --trainer.strategy.particle_ranks 2

    Launching, nodes and backends are those of Lightning's `ddp`, but modules are not wrapped: their steps do not go
    through autograd's hooks, and the oracle exchanges what it has to.

    Args:
        particle_ranks: P, a divisor of the number of processes; all of them if None.
        timeout_minutes: how long a process waits for the others before it gives the run up, positive.
        process_group_backend: what tensors are exchanged by, such as "gloo" or "nccl"; what fits the device if None.

    Raises:
        InvalidInputError: when an argument is out of range; when training starts, if P does not divide the number of
            processes.
    """

    def __init__(
        self,
        particle_ranks: int | None = 1,
        timeout_minutes: float = 30.0,
        process_group_backend: str | None = None,
    ) -> None:
        require(
            particle_ranks is None or particle_ranks >= 1,
            f"particle_ranks must be at least 1, found {particle_ranks}.",
        )
        require(timeout_minutes > 0, f"timeout_minutes must be positive, found {timeout_minutes}.")
        super().__init__(timeout=timedelta(minutes=timeout_minutes), process_group_backend=process_group_backend)
        self._particle_ranks = particle_ranks
        self.mesh = Mesh()
        """Where this process is; known once processes have met."""

    def _configure_launcher(self) -> None:
        super()._configure_launcher()
        if type(self._launcher) is _SubprocessScriptLauncher:
            assert self.cluster_environment is not None
            self._launcher = WatchfulLauncher(self.cluster_environment, self.num_processes, self.num_nodes)

    def setup_environment(self) -> None:
        """Meet the other processes."""
        with answered():
            super().setup_environment()
        self.mesh = make_mesh(self.root_device.type, self._particle_ranks)

    def configure_ddp(self) -> None:
        """Nothing: the module is not wrapped."""

    def barrier(self, *args: Any, **kwargs: Any) -> None:
        """Wait for all processes."""
        with answered():
            super().barrier(*args, **kwargs)

    def broadcast(self, obj: Any, src: int = 0) -> Any:
        """What one process says to all."""
        with answered():
            return super().broadcast(obj, src)

    def reduce(self, tensor: Tensor, group: Any = None, reduce_op: Any = "mean") -> Tensor:
        """One tensor of many."""
        with answered():
            return super().reduce(tensor, group, reduce_op)


StrategyRegistry.register(
    "data_parallel", PopulationStrategy, description="everyone holds all particles and a part of the batch"
)
StrategyRegistry.register(
    "particle_parallel",
    PopulationStrategy,
    description="everyone owns a share of the particles",
    particle_ranks=None,
)


def mesh_of(trainer: pl.Trainer) -> Mesh:
    """Where this process is in the grid of a trainer's processes."""
    strategy = trainer.strategy
    return strategy.mesh if isinstance(strategy, PopulationStrategy) else data_mesh()
