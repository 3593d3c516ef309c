"""Nikaido-Isoda errors, exact where the game is finite."""

from typing import NamedTuple

from mixnash.core.games.matrix import Matrix
from mixnash.core.games.vectors import VECTOR
from mixnash.core.population import size, weights
from mixnash.core.random import Purpose
from mixnash.core.types import Profile
from mixnash.equilibrium.nikaido_isoda import nikaido_isoda
from mixnash.solving.problem import Problem

_MANY = 100  # atoms beyond which deviations are refined less: there are as many starting points
_REFINEMENTS, _FEWER = 40, 8


class Gap(NamedTuple):
    """max_y Phi(mu, y) - min_x Phi(x, nu)."""

    value: float
    exact: bool
    """Otherwise a lower bound."""


def gap_of(problem: Problem, profile: Profile) -> Gap | None:
    """The error of a profile; None on unbounded domains, where best responses need not exist, and without zero sum."""
    game = problem.game
    if isinstance(game, Matrix):
        x, y = (weights(player) @ player.params[VECTOR] for player in profile)
        return Gap(float((x @ game.matrix).max() - (game.matrix @ y).min()), exact=True)
    if not game.zero_sum or not game.minimiser.bounded or not game.maximiser.bounded:
        return None
    many = max(size(player) for player in profile) > _MANY
    refinements = _FEWER if many else _REFINEMENTS
    found = nikaido_isoda(game, profile, refinements=refinements, rng=problem.stream(Purpose.EVALUATION))
    return Gap(found.gap, exact=False)
