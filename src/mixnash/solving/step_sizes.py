"""Step sizes beside those that are proven to converge."""

import torch
from torch import Tensor

from mixnash.core.domains import AbstractDomain, Box
from mixnash.core.dynamics.base import AbstractDynamics, AbstractRuleDynamics, StepRange
from mixnash.core.errors import MixnashError
from mixnash.core.games.vectors import VECTOR
from mixnash.core.random import Purpose
from mixnash.core.rules.sgd import SGD
from mixnash.core.types import Player, Profile
from mixnash.equilibrium.weak_minty import lipschitz_constant, weak_minty_constant
from mixnash.solving.problem import Problem
from mixnash.solving.readings import is_pure

_PER_AXIS = 33  # grid points of each player on the line
_DRAWS = 1000  # in more dimensions
_STEPS = 4  # of a trial
_ROUNDING = 1e-9  # of -rho L: below, the field counts as monotone
_NONE = 1e2  # of -rho L: beyond, there is no weak-Minty constant, only a finite search for it


def unproven_steps(problem: Problem) -> list[str]:
    """A sentence for every dynamics whose constant gradient steps lie outside the range that is proven.

    Looks at pure strategies with a known equilibrium only; the constants of the field are measured on the domain, or on
    a box around equilibrium and start where it is unbounded.
    """
    known = problem.equilibrium
    if known is None or not is_pure(known) or not is_pure(problem.profile):
        return []
    try:
        points = _region(problem, known)
        lipschitz = lipschitz_constant(problem.game, points).value
        rho = min(0.0, weak_minty_constant(problem.game, _joint(known), points).value)
    except MixnashError:  # a field that vanishes everywhere, or is not finite in places
        return []
    rho = 0.0 if -rho * lipschitz < _ROUNDING else rho
    if -rho * lipschitz > _NONE:
        return []
    found = []
    for name, dynamics in problem.dynamics.items():
        proven = dynamics.proven_steps(lipschitz, rho)
        if proven is None:
            continue
        outside = [one for one in _steps(problem, dynamics) if not proven.low < one < proven.high]
        if outside:
            found.append(f"{name}: {_sentence(outside[0], proven, lipschitz, rho)}")
    return found


def _sentence(step: float, proven: StepRange, lipschitz: float, rho: float) -> str:
    constants = f"with the Lipschitz constant {lipschitz:.4g} and the weak-Minty constant {rho:.4g}"
    if proven.low >= proven.high:
        return f"no step size is proven to converge {constants}, found {step:.4g}."
    return (
        f"the step size {step:.4g} is outside the range from {proven.low:.4g} to {proven.high:.4g} that is proven to "
        f"converge {constants}."
    )


def _steps(problem: Problem, dynamics: AbstractDynamics) -> list[float]:
    """Constant steps of both players along the plain gradient; none if they are of another kind."""
    if isinstance(dynamics, AbstractRuleDynamics):
        positions = [rules.position for rules in dynamics.rules]
        bounds = [position.step_size.bounds() for position in positions if isinstance(position, SGD)]
        return [low for low, high in bounds if low == high]
    # Schemes on the field tell their step sizes from the first step on; those that choose them anew are not judged.
    oracle, rng, state = problem.exact_oracle(), problem.stream(Purpose.POSITION_NOISE), dynamics.init(problem.profile)
    told: list[dict[str, float]] = []
    for _ in range(_STEPS):
        state, _ = dynamics.step(state, oracle, rng)
        told.append(dynamics.diagnostics(state))
    return [
        value
        for name, value in told[0].items()
        if name.endswith("step_size") and all(later[name] == value for later in told)
    ]


def _region(problem: Problem, known: Profile) -> Tensor:
    """Points z = (x, y) [n, dim] that fill the place where the game is played."""
    sides = [_side(problem, known, player) for player in (Player.GENERATOR, Player.CRITIC)]
    rng = problem.stream(Purpose.EVALUATION)
    if all(side.dim == 1 for side in sides):
        x, y = (side.grid(_PER_AXIS) for side in sides)
        return torch.cartesian_prod(x[:, 0], y[:, 0])
    return torch.cat([side.sample(_DRAWS, rng) for side in sides], 1)


def _side(problem: Problem, known: Profile, player: Player) -> AbstractDomain:
    domain = problem.game.domain(player)
    if domain.bounded:
        return domain
    radius = max(float((_joint(problem.profile) - _joint(known)).abs().max()), 1e-3)
    centre = (known.generators if player is Player.GENERATOR else known.critics).params[VECTOR][0]
    return Box((centre - radius).tolist(), (centre + radius).tolist())


def _joint(profile: Profile) -> Tensor:
    """Z = (x, y) of single particles."""
    return torch.cat([player.params[VECTOR][0] for player in profile])
