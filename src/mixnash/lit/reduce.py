"""Completing a feedback over the processes of a run."""

import torch
import torch.distributed as dist
from torch import Tensor

from mixnash.core.tree import flatten, unflatten
from mixnash.core.types import Feedback
from mixnash.lit.parallel.collectives import sum_over, sum_pairwise
from mixnash.lit.parallel.mesh import Mesh
from mixnash.lit.parallel.traffic import Traffic


def combine(feedback: Feedback, mesh: Mesh, traffic: Traffic, pairwise: bool = False) -> Feedback:
    """The mean over the processes that share out the batch, then the sum over those that share out the particles.

    One flat exchange each; nothing where there is one process. Averaging comes first and particles' gradients are not
    summed, so payoffs and losses end equal to the last bit on all processes, and log-weights with them.

    Args:
        feedback: of this process; each process's samples weigh as its `Batch` shares say.
        mesh: who shares what.
        traffic: counts what travels.
        pairwise: whether the mean is that of `core.pairwise.Pairwise`, to the last bit.
    """
    if mesh.data_group is not None:
        feedback = _summed(feedback, mesh.data_group, traffic, 1 / mesh.data_ranks, pairwise)
    if mesh.particle_group is not None:
        parts = feedback._replace(generator_grads=None, critic_grads=None)
        whole = _summed(parts, mesh.particle_group, traffic, 1.0)
        feedback = whole._replace(generator_grads=feedback.generator_grads, critic_grads=feedback.critic_grads)
    return feedback


def _summed(
    feedback: Feedback, group: dist.ProcessGroup, traffic: Traffic, scale: float, pairwise: bool = False
) -> Feedback:
    """The sum over a group times `scale`, in one flat exchange."""
    asked = {name: part for name, part in feedback._asdict().items() if part is not None}
    leaves = {path: leaf for path, leaf in flatten(asked).items() if isinstance(leaf, Tensor)}
    flat = torch.cat([leaf.reshape(-1) for leaf in leaves.values()])
    if pairwise:
        flat = sum_pairwise(flat, group, traffic)
    else:
        sum_over(flat, group, traffic)
    if scale != 1:
        flat *= scale
    parts = torch.split(flat, [leaf.numel() for leaf in leaves.values()])
    summed = {path: part.reshape(leaf.shape) for (path, leaf), part in zip(leaves.items(), parts, strict=True)}
    return feedback._replace(**unflatten(asked, dict(summed)))
