"""How large the gradients of every particle are."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from pytorch_lightning.loggers import Logger, TensorBoardLogger
from pytorch_lightning.utilities import rank_zero_only
from torch import Tensor

from mixnash.core.types import Feedback, Params, Player, Point

NAMED = 16
"""Most particles of a player that have a number each."""


def particle_norms(params: Params) -> Float[Tensor, " K"]:
    """The Euclidean norm of every particle's leaves together.

    Args:
        params: leaves [K, ...]; at least one.
    """
    leaves = [leaf.reshape(len(leaf), -1) for leaf in params.values()]
    norms = [torch.linalg.vector_norm(leaf, dim=1, dtype=_precise(leaf)) for leaf in leaves]
    together: Tensor = torch.linalg.vector_norm(torch.stack(norms), dim=0)
    return together


def _precise(leaf: Tensor) -> torch.dtype:
    """At least float32, whose squares do not overflow so soon."""
    return torch.promote_types(leaf.dtype, torch.float32)


def gradient_norms(seen: Feedback, positions: Point) -> dict[Player, Tensor]:
    """The norms [K] and [L] of those gradients in a feedback that are of the particles there are.

    A player is left out whose gradients were not asked for, or are of another number of particles, as where opponents
    are sampled or a population grows.

    Args:
        seen: what a step returned.
        positions: both players' particles.
    """
    gradients = (seen.generator_grads, seen.critic_grads)
    return {
        player: particle_norms(grads)
        for player, grads, params in zip(Player, gradients, positions, strict=True)
        if grads is not None and _count(grads) == _count(params)
    }


def _count(params: Params) -> int:
    return len(next(iter(params.values())))


def norm_metrics(norms: Mapping[Player, Tensor]) -> dict[str, Tensor]:
    """`gradients/generators_min`, `_mean` and `_max`; of up to 16 particles also one number each.

    Args:
        norms: of all particles of a player.
    """
    metrics: dict[str, Tensor] = {}
    for player, values in norms.items():
        name = f"gradients/{player.value}"
        metrics |= {f"{name}s_min": values.amin(), f"{name}s_mean": values.mean(), f"{name}s_max": values.amax()}
        if len(values) <= NAMED:
            metrics |= {f"{name}_{index}": value for index, value in enumerate(values)}
    return metrics


@rank_zero_only
def draw_norms(norms: Mapping[Player, Tensor], loggers: Sequence[Logger], steps: int) -> None:
    """A histogram for each player in TensorBoard, of those norms that are finite.

    Args:
        norms: of all particles of a player.
        loggers: those of the run; others than TensorBoard have no histograms.
        steps: how many were made.
    """
    for player, values in norms.items():
        finite = values[values.isfinite()]
        for logger in loggers:
            if isinstance(logger, TensorBoardLogger) and len(finite) > 0:
                logger.experiment.add_histogram(f"gradients/{player.value}s", finite, steps)
