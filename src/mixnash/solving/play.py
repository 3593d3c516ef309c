"""Playing a game on vectors: one dynamics, many steps, and a record of where it went."""

import math
import time
from collections.abc import Callable
from typing import final

import torch
from torch import Tensor

from mixnash.core.dynamics.base import AbstractDynamics
from mixnash.core.errors import require
from mixnash.core.games.vectors import VECTOR
from mixnash.core.population import weights
from mixnash.core.types import AbstractOracle, Profile
from mixnash.solving.history import DivergedError, History, Record, make_history, take
from mixnash.solving.recording import RecordingOracle


def play(
    dynamics: AbstractDynamics,
    oracle: AbstractOracle,
    profile: Profile,
    steps: int,
    rng: torch.Generator,
    record_every: int = 1,
    on_record: Callable[[int], None] = lambda _: None,
) -> History:
    """Run a dynamics from a profile and record the profiles at steps 0, `record_every`, ..., and the last one.

    Args:
        dynamics: makes the steps.
        oracle: a game on vectors or a finite one; it must accept batches of profiles, as `core.vector_oracle` does.
        profile: the start, particles [*games, K, dim].
        steps: at least 0.
        rng: noise of the rules.
        record_every: at least 1.
        on_record: is told at each record how many steps have been made.

    Raises:
        InvalidInputError: when a count is out of range.
        DivergedError: when a position, a weight or the payoff is not finite at a record.
    """
    require(steps >= 0, f"The number of steps must be at least 0, found {steps}.")
    require(record_every >= 1, f"record_every must be at least 1, found {record_every}.")
    watched, state, means = RecordingOracle(oracle), dynamics.init(profile), _Means(profile)
    records = [Record(0, profile, profile, means.read(), 0.0, 0.0)]
    seconds, begun = 0.0, time.perf_counter()
    for step in range(1, steps + 1):
        watched.forget()
        state, _ = dynamics.step(state, watched, rng)
        played = watched.played()
        means.add(played)
        if step % record_every == 0 or step == steps:
            seconds += time.perf_counter() - begun
            now = dynamics.profile(state)
            if not _finite(now):
                raise DivergedError(_sentence(dynamics, step), step, make_history(records, oracle))
            seen = played if played is not None and _alike(played, now) else now
            records.append(Record(step, now, seen, means.read(), watched.gradient_calls, seconds))
            on_record(step)
            begun = time.perf_counter()
    history = make_history(records, oracle)
    finite = torch.isfinite(history.values.flatten(1).sum(1) if history.values.dim() > 1 else history.values)
    if not bool(finite.all()):
        first = int(finite.int().argmin())
        step = int(history.steps[first])
        raise DivergedError(_sentence(dynamics, step), step, take(history, slice(0, max(first, 1))))
    return history


@final
class _Means:
    """Running means of both players' played weights; evaluations with other numbers of particles are left out.

    Weights that stay the same object, as under `Frozen`, are only counted until they change.
    """

    def __init__(self, start: Profile) -> None:
        self._start = self._last = start
        self._sums = torch.zeros_like(start.generators.log_weights), torch.zeros_like(start.critics.log_weights)
        self._run = self._count = 0

    def add(self, profile: Profile | None) -> None:
        """One more step."""
        if profile is None or not _alike(profile, self._start):
            return
        (p, q), (last_p, last_q) = profile, self._last
        if p.log_weights is not last_p.log_weights or q.log_weights is not last_q.log_weights:
            self._flush()
            self._last = profile
        self._run += 1

    def read(self) -> tuple[Tensor, Tensor]:
        """The means, or the start's weights before the first step."""
        self._flush()
        if self._count == 0:
            return weights(self._start.generators), weights(self._start.critics)
        return self._sums[0] / self._count, self._sums[1] / self._count

    def _flush(self) -> None:
        if self._run:
            p, q = self._sums
            self._sums = p + self._run * weights(self._last.generators), q + self._run * weights(self._last.critics)
        self._count, self._run = self._count + self._run, 0


def _alike(one: Profile, other: Profile) -> bool:
    return all(a.log_weights.shape == b.log_weights.shape for a, b in zip(one, other, strict=True))


def _finite(profile: Profile) -> bool:
    """Whether all positions and weights are; a weight may be 0."""
    generators, critics = (player.params[VECTOR].sum() + weights(player).sum() for player in profile)
    return math.isfinite(float(generators + critics))


def _sentence(dynamics: AbstractDynamics, step: int) -> str:
    return (
        f"{type(dynamics).__name__} left the finite numbers by step {step}: a position, a weight or the payoff is NaN "
        "or infinite. Take smaller steps, or bound the game's domain."
    )
