"""The numbers that say how far a dynamics got."""

from typing import NamedTuple

from torch import Tensor

from mixnash.core.domains import AbstractDomain
from mixnash.core.games.vectors import VECTOR
from mixnash.core.population import size, weights
from mixnash.core.types import BOTH, AbstractOracle, Population, Profile
from mixnash.solving.distances import distance
from mixnash.solving.gaps import Gap, gap_of
from mixnash.solving.history import DivergedError, History, mean_profile, mean_weights, mixture, take
from mixnash.solving.outcomes import Outcome, outcome_of
from mixnash.solving.problem import Problem


class Reading(NamedTuple):
    """One line of the table; None where a number does not exist."""

    dynamics: str
    iterate: str
    """`last`, or `average` for the time average of what was played."""
    distance: float | None
    """To the known equilibrium: see `distances.distance`."""
    value: float
    """The payoff."""
    gap: float | None
    """Nikaido-Isoda error max_y Phi(mu, y) - min_x Phi(x, nu)."""
    gap_is_exact: bool
    """Otherwise it is a lower bound."""
    gradient_norm: float | None
    """Of the step z - P(z - V(z)), with every particle's square weighted; |V| without constraints."""
    outcome: Outcome | None
    """None of averages."""
    gradient_calls: float
    seconds: float


def read(problem: Problem, name: str, history: History, stopped: DivergedError | None) -> list[Reading]:
    """The lines of one dynamics: the last iterate, and the average where averages are on and the run did not diverge.

    Args:
        problem: what was run.
        name: of the dynamics.
        history: of its run.
        stopped: why the run ended early, if it did.
    """
    oracle, last = problem.exact_oracle(), take(history.profiles, -1)
    norm = None if problem.start.finite else residual(problem, oracle, last)
    gap = gap_of(problem, last) if stopped is None else None
    away = None if problem.equilibrium is None else distance(problem.game, last, problem.equilibrium)
    outcome = (
        outcome_of(problem, history, gap, norm, away) if stopped is None else Outcome("diverged", step=stopped.step)
    )
    lines = [_reading(problem, oracle, name, "last", last, gap, norm, outcome, history)]
    if problem.averages and stopped is None:
        average = average_of(problem, history)
        norm = residual(problem, oracle, average) if is_pure(average) else None
        gap = gap_of(problem, average)
        lines.append(_reading(problem, oracle, name, "average", average, gap, norm, None, history))
    return lines


def _reading(
    problem: Problem,
    oracle: AbstractOracle,
    name: str,
    iterate: str,
    profile: Profile,
    gap: Gap | None,
    norm: float | None,
    outcome: Outcome | None,
    history: History,
) -> Reading:
    return Reading(
        dynamics=name,
        iterate=iterate,
        distance=None if problem.equilibrium is None else distance(problem.game, profile, problem.equilibrium),
        value=float(weights(profile.generators) @ oracle.feedback(profile, BOTH).generator_losses),
        gap=None if gap is None else gap.value,
        gap_is_exact=gap is not None and gap.exact,
        gradient_norm=norm,
        outcome=outcome,
        gradient_calls=float(history.gradient_calls[-1]),
        seconds=float(history.seconds[-1]),
    )


def is_pure(profile: Profile) -> bool:
    """Whether both players have one particle each."""
    return size(profile.generators) == size(profile.critics) == 1


def average_of(problem: Problem, history: History) -> Profile:
    """The time average that theory speaks of: of weights, of points, or the mixture of everything that was played."""
    if problem.start.finite:
        return mean_weights(history)
    return mean_profile(history) if is_pure(problem.profile) else mixture(history)


def residual(problem: Problem, oracle: AbstractOracle, profile: Profile) -> float:
    """The length of z - P(z - V(z)), every particle's square weighted."""
    return float(residuals(problem, oracle, profile))


def residuals(problem: Problem, oracle: AbstractOracle, profiles: Profile) -> Tensor:
    """The same [...] of a batch of profiles, leaves [..., K, dim]."""
    seen = oracle.feedback(profiles, BOTH)
    assert seen.generator_grads is not None
    assert seen.critic_grads is not None
    minimiser = _square(profiles.generators, seen.generator_grads[VECTOR], problem.game.minimiser)
    return (minimiser + _square(profiles.critics, seen.critic_grads[VECTOR], problem.game.maximiser)).sqrt()


def _square(player: Population, grads: Tensor, domain: AbstractDomain) -> Tensor:
    points = player.params[VECTOR]
    steps = grads if domain.periodic else points - domain.project(points - grads)
    return (weights(player) * steps.square().sum(-1)).sum(-1)
