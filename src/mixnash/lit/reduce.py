"""Averaging a feedback over the processes of a data-parallel run."""

import torch
import torch.distributed as dist
from torch import Tensor

from mixnash.core.tree import flatten, unflatten
from mixnash.core.types import Feedback


def average_feedback(feedback: Feedback) -> Feedback:
    """The mean over all processes, in one flat all-reduce; the identity without a process group.

    Every process must hold equally many samples, so that the mean of means is the mean.
    """
    if not dist.is_available() or not dist.is_initialized() or dist.get_world_size() == 1:
        return feedback
    asked = {name: part for name, part in feedback._asdict().items() if part is not None}
    leaves = {path: leaf for path, leaf in flatten(asked).items() if isinstance(leaf, Tensor)}
    flat = torch.cat([leaf.reshape(-1) for leaf in leaves.values()])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    parts = torch.split(flat, [leaf.numel() for leaf in leaves.values()])
    averaged = {path: part.reshape(leaf.shape) for (path, leaf), part in zip(leaves.items(), parts, strict=True)}
    return feedback._replace(**unflatten(asked, dict(averaged)))
