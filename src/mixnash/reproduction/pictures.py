"""Panels of trajectories over the field of a game."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from mixnash.core.games.vectors import AbstractVectorGame
from mixnash.equilibrium.fields import joint_field
from mixnash.figures.fields import FieldPanel, Trajectory
from mixnash.reproduction.simulate import Run

_PER_AXIS = 41


def field_on(game: AbstractVectorGame, limits: tuple[float, float, float, float]) -> NDArray[np.float64]:
    """Where both players of a planar game want to go, -V [H, W, 2], on a regular grid of the window."""
    x, y = (torch.linspace(low, high, _PER_AXIS, dtype=torch.float64) for low, high in (limits[:2], limits[2:]))
    grid_y, grid_x = torch.meshgrid(y, x, indexing="ij")
    field = joint_field(game, torch.stack([grid_x, grid_y], dim=-1).reshape(-1, 2))
    return -field.reshape(_PER_AXIS, _PER_AXIS, 2).numpy()


def panel(
    title: str,
    game: AbstractVectorGame,
    runs: Mapping[str, Run],
    limits: tuple[float, float, float, float],
    points: Sequence[tuple[float, float]],
    note: str = "",
) -> FieldPanel:
    """Trajectories by method over the field of a planar game.

    Args:
        title: of the panel.
        game: whose field is drawn.
        runs: method to trajectory.
        limits: the window.
        points: stationary points or equilibria to mark.
        note: a small line.
    """
    trajectories = [Trajectory(name, run.points.numpy()) for name, run in runs.items()]
    return FieldPanel(title, trajectories, limits, field_on(game, limits), np.array(points).reshape(-1, 2), note)
