"""Refusing runs whose dynamics would keep more copies of networks than there is memory for."""

import os
from pathlib import Path

import torch

from mixnash.core.dynamics.base import AbstractDynamics
from mixnash.core.errors import require
from mixnash.core.population import size
from mixnash.core.types import Population, Profile

MEMORY_FILE = Path("/proc/meminfo")
"""Where Linux says how much memory can be had without swapping."""
GIBIBYTE = 2**30
PEAK = 3
"""Times the copies themselves that a step takes: the old queue, the new one, and the mixture that is played against."""


def check_copies_fit(dynamics: AbstractDynamics, profile: Profile, device: torch.device) -> None:
    """Refuse dynamics whose queues and reservoirs are larger than what is free; allocates nothing.

    Args:
        dynamics: says how many copies of networks its state holds.
        profile: both players before training.
        device: where the state will live.

    Raises:
        InvalidInputError: naming what is needed, what is free and what to lower.
    """
    copies = dynamics.extra_particles(size(profile.generators), size(profile.critics))
    needed = PEAK * sum(count * particle_bytes(one) for count, one in zip(copies, profile, strict=True))
    if needed == 0:
        return
    free = free_bytes(device)
    require(
        free is None or needed <= free,
        f"{type(dynamics).__name__} would keep {copies[0]:,} copies of a generator and {copies[1]:,} of a critic, "
        f"which takes up to {needed / GIBIBYTE:,.2f} GiB where {(free or 0) / GIBIBYTE:,.2f} GiB are free on {device}: "
        "lower the dynamics' capacity or memory, or the number of generators and critics.",
    )


def particle_bytes(population: Population) -> int:
    """What one particle of a population takes."""
    return sum(leaf[0].numel() * leaf.element_size() for leaf in population.params.values())


def free_bytes(device: torch.device) -> int | None:
    """What can be allocated on a device now; None where nobody knows."""
    if device.type == "cuda":
        # What this process has set aside and does not use is free for it as well.
        idle = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + idle
    return _free_main_memory() if device.type == "cpu" else None


def _free_main_memory() -> int | None:
    """As the kernel says; otherwise the pages that hold nothing, which is fewer."""
    try:
        lines = MEMORY_FILE.read_text().splitlines()
        (available,) = (line.split()[1] for line in lines if line.startswith("MemAvailable:"))
        return int(available) * 1024
    except (OSError, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):  # unknown to this system
        return None
