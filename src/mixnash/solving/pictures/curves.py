"""Curves of errors over gradient calls."""

import math

import torch
from matplotlib.figure import Figure

from mixnash.core.games.matrix import Matrix
from mixnash.core.types import BOTH, Profile
from mixnash.figures.arrays import Array
from mixnash.figures.rates import RateCurve, RatePanel, rates
from mixnash.solving.history import History, mean_path, take
from mixnash.solving.readings import residuals
from mixnash.solving.solve import Solution

_POINTS = 1000  # of a curve
_GAP = "Nikaido-Isoda error"


def gap_curves(solution: Solution) -> Figure:
    """Nikaido-Isoda error on the matrix of a finite game: last iterates, and averages of what was played."""
    oracle = solution.problem.exact_oracle()
    curves: dict[str, tuple[Array, Array]] = {}
    for name, history in solution.histories.items():
        kept = _spread(history)
        iterates = {name: kept.profiles}
        if solution.problem.averages:
            iterates[f"{name}, average"] = _averages(kept)
        for label, profiles in iterates.items():
            seen = oracle.feedback(profiles, BOTH)
            curves[label] = kept.gradient_calls, (-seen.critic_losses).amax(-1) - seen.generator_losses.amin(-1)
    return _rates(solution, curves, _GAP)


def _averages(history: History) -> Profile:
    players = zip(history.profiles, history.averages, strict=True)
    return Profile(*(player._replace(log_weights=mean.log()) for player, mean in players))


def simplex_curves(solution: Solution, game: Matrix) -> Figure:
    """Nikaido-Isoda error of points of the simplex that move: the mean strategies of both players."""
    curves: dict[str, tuple[Array, Array]] = {}
    for name, history in solution.histories.items():
        kept = _spread(history)
        x, y = (mean_path(player) for player in kept.profiles)
        curves[name] = kept.gradient_calls, (x @ game.matrix).amax(-1) - (y @ game.matrix.mT).amin(-1)
    return _rates(solution, curves, _GAP)


def gradient_curves(solution: Solution) -> Figure:
    """Length of the projected step, as in the table; of the field without constraints."""
    problem, oracle = solution.problem, solution.problem.exact_oracle()
    curves: dict[str, tuple[Array, Array]] = {}
    for name, history in solution.histories.items():
        kept = _spread(history)
        curves[name] = kept.gradient_calls, residuals(problem, oracle, kept.profiles)
    return _rates(solution, curves, "gradient norm")


def _rates(solution: Solution, curves: dict[str, tuple[Array, Array]], ylabel: str) -> Figure:
    drawn = [RateCurve(name, calls[1:], errors[1:]) for name, (calls, errors) in curves.items()]
    return rates([RatePanel("", drawn, [], ylabel)], solution.title, "gradient calls")


def _spread(history: History) -> History:
    """As many records as can be told apart on a logarithmic axis."""
    count = len(history.steps)
    if count <= _POINTS:
        return history
    kept = torch.logspace(0, math.log10(count), _POINTS, dtype=torch.float64).round().long()
    return take(history, torch.tensor(sorted(set((kept - 1).tolist()))))
