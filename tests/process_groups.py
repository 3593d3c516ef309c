"""Several processes at once for unit tests, joined by gloo. Imports little: its child processes import it again."""

import os
from collections.abc import Callable
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

Check = Callable[[], None]


def run_in(processes: int, check: Check, folder: Path) -> None:
    """Call a function in so many processes that have met; what one of them raises is raised here.

    Args:
        processes: how many.
        check: a function at the top of a module.
        folder: an empty one, where they meet.
    """
    mp.spawn(_joined, args=(processes, check, str(folder)), nprocs=processes)


def _joined(rank: int, processes: int, check: Check, folder: str) -> None:
    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=processes)
    try:
        check()
    finally:
        dist.destroy_process_group()
