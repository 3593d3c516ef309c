"""Mixed strategies on the line, in the plane, beside the known ones."""

import torch
from matplotlib.figure import Figure

from mixnash.core.domains import AbstractDomain
from mixnash.core.games.vectors import VECTOR
from mixnash.core.population import weights
from mixnash.core.types import Population, Profile
from mixnash.figures.strategies import Atoms, MixedPanel, PlanePanel, mixed_strategies, strategies_in_plane
from mixnash.solving.history import mixture, take
from mixnash.solving.pictures.extent import extent, window_of
from mixnash.solving.solve import Solution

_BESIDE = 0.1  # particles in an unbounded domain


def strategies(solution: Solution) -> Figure:
    """Where every dynamics put its particles: the last iterate, and the time average where averages are on."""
    problem, known, shown = solution.problem, solution.problem.equilibrium, _shown(solution)
    domain = _interval(problem.game.minimiser, problem.game.maximiser, list(shown.values()))
    panels = [
        MixedPanel(
            title=name,
            minimiser=_atoms(profile.generators),
            maximiser=_atoms(profile.critics),
            known_minimiser=None if known is None else _atoms(known.generators),
            known_maximiser=None if known is None else _atoms(known.critics),
            domain=domain,
            note=_note(solution, name),
        )
        for name, profile in shown.items()
    ]
    return mixed_strategies(panels, solution.title)


def strategies_off_the_line(solution: Solution) -> Figure:
    """The same in the plane."""
    problem, known, shown = solution.problem, solution.problem.equilibrium, _shown(solution)
    found = torch.cat([player.params[VECTOR] for profile in shown.values() for player in profile])
    limits = window_of((problem.game.minimiser, problem.game.maximiser), found)
    panels = [
        PlanePanel(
            title=name,
            minimiser=_discs(profile.generators),
            maximiser=_discs(profile.critics),
            known_minimiser=None if known is None else _discs(known.generators),
            known_maximiser=None if known is None else _discs(known.critics),
            limits=limits,
            note=_note(solution, name),
        )
        for name, profile in shown.items()
    ]
    return strategies_in_plane(panels, solution.title)


def _shown(solution: Solution) -> dict[str, Profile]:
    shown: dict[str, Profile] = {}
    for name, history in solution.histories.items():
        shown[name] = take(history.profiles, -1)
        if solution.problem.averages:
            shown[f"{name}, average"] = mixture(history)
    return shown


def _atoms(player: Population) -> Atoms:
    return Atoms(player.params[VECTOR][:, 0], weights(player))


def _discs(player: Population) -> Atoms:
    return Atoms(player.params[VECTOR], weights(player))


def _note(solution: Solution, name: str) -> str:
    """The error of the last iterate or of the average."""
    for reading in solution.readings:
        if name == (reading.dynamics if reading.iterate == "last" else f"{reading.dynamics}, {reading.iterate}"):
            return "" if reading.gap is None else f"NI error {reading.gap:.2g}"
    return ""


def _interval(minimiser: AbstractDomain, maximiser: AbstractDomain, profiles: list[Profile]) -> tuple[float, float]:
    """What covers both domains, or all particles where one is unbounded."""
    one, other = extent(minimiser), extent(maximiser)
    if one is None or other is None:
        found = [player.params[VECTOR] for profile in profiles for player in profile]
        low, high = min(float(points.min()) for points in found), max(float(points.max()) for points in found)
        return low - _BESIDE, high + _BESIDE
    return min(one[0], other[0]), max(one[1], other[1])
