"""Numbers that change while training: step sizes, temperatures. A schedule maps the update's index 0, 1, ... to one."""

import abc
import math
from typing import final

from mixnash.core.errors import require


class AbstractSchedule(abc.ABC):
    """A deterministic function of the number of updates made so far."""

    @abc.abstractmethod
    def __call__(self, step: int) -> float:
        """The value for update number `step`, counted from 0."""

    @abc.abstractmethod
    def bounds(self) -> tuple[float, float]:
        """The smallest and the largest value it ever takes."""


@final
class Constant(AbstractSchedule):
    """The same value at every update.

    Args:
        value: the value.
    """

    def __init__(self, value: float) -> None:
        self.value = value

    def __call__(self, step: int) -> float:
        """The value, whatever the step."""
        del step
        return self.value

    def bounds(self) -> tuple[float, float]:
        """The value, twice."""
        return self.value, self.value


@final
class Scaled(AbstractSchedule):
    """Another schedule times a constant factor: what a rollback makes of step sizes.

    Args:
        schedule: the other one, or a number.
        factor: positive and finite.

    Raises:
        InvalidInputError: when the factor is outside its range.
    """

    def __init__(self, schedule: float | AbstractSchedule, factor: float) -> None:
        require(0 < factor < math.inf, f"The factor of a scaled schedule must be positive and finite, found {factor}.")
        self.schedule = schedule if isinstance(schedule, AbstractSchedule) else Constant(schedule)
        self.factor = factor

    def __call__(self, step: int) -> float:
        """The other one's value times the factor."""
        return self.factor * self.schedule(step)

    def bounds(self) -> tuple[float, float]:
        """The other one's, times the factor."""
        low, high = self.schedule.bounds()
        return self.factor * low, self.factor * high


@final
class Exponential(AbstractSchedule):
    r"""Geometric decay :math:`s_t = s_0 \, r^t`.

    Args:
        start: value at update 0.
        rate: factor per update, in (0, 1].

    Raises:
        InvalidInputError: when the start is not finite or the rate is outside (0, 1].
    """

    def __init__(self, start: float, rate: float) -> None:
        _require_finite(start=start)
        require(0 < rate <= 1, f"The rate of an exponential schedule must lie in (0, 1], found {rate}.")
        self.start, self.rate = start, rate

    def __call__(self, step: int) -> float:
        """s_t as in the class docstring."""
        return self.start * self.rate**step

    def bounds(self) -> tuple[float, float]:
        """Between the start and zero."""
        return min(0.0, self.start), max(0.0, self.start)


@final
class Growth(AbstractSchedule):
    r"""Geometric growth up to a limit, :math:`s_t = \min(s_0 \, r^t, s_\infty)`: lengths of inner loops.

    Args:
        start: value at update 0, positive.
        rate: factor per update, at least 1.
        limit: largest value, at least `start`.

    Raises:
        InvalidInputError: when an argument is outside its range.
    """

    def __init__(self, start: float, rate: float, limit: float) -> None:
        _require_finite(start=start, rate=rate, limit=limit)
        require(
            0 < start <= limit, f"A growing schedule needs 0 < start <= limit, found start {start} and limit {limit}."
        )
        require(rate >= 1, f"The rate of a growing schedule must be at least 1, found {rate}.")
        self.start, self.rate, self.limit = start, rate, limit

    def __call__(self, step: int) -> float:
        """s_t as in the class docstring."""
        # Compared as logarithms first: the power itself overflows late in a run.
        if step * math.log(self.rate) >= math.log(self.limit / self.start):
            return self.limit
        return min(self.start * self.rate**step, self.limit)

    def bounds(self) -> tuple[float, float]:
        """Between start and limit."""
        return self.start, self.limit


@final
class Polynomial(AbstractSchedule):
    r"""Polynomial decay :math:`s_t = s_0 \, (1 + t/\tau)^{-a}` of stochastic approximation.

    Args:
        start: value at update 0.
        power: exponent a >= 0; 0.5 and 1 are the classical choices.
        timescale: tau > 0 in updates.

    Raises:
        InvalidInputError: when the start is not finite, the power negative or the timescale not positive.
    """

    def __init__(self, start: float, power: float, timescale: float = 1.0) -> None:
        _require_finite(start=start)
        require(power >= 0, f"The power of a polynomial schedule must be at least 0, found {power}.")
        require(timescale > 0, f"The timescale of a polynomial schedule must be positive, found {timescale}.")
        self.start, self.power, self.timescale = start, power, timescale

    def __call__(self, step: int) -> float:
        """s_t as in the class docstring."""
        return float(self.start * (1 + step / self.timescale) ** -self.power)

    def bounds(self) -> tuple[float, float]:
        """Between the start and zero."""
        return min(0.0, self.start), max(0.0, self.start)


@final
class Linear(AbstractSchedule):
    r"""A straight line from start to end, :math:`s_t = s_0 + (e - s_0) \min((t - h)^+ / T, 1)`, after holding `start`
    for h updates: temperatures that are to be zero from some update on.

    Args:
        start: value until update `hold`.
        end: value from update `hold + steps` on.
        steps: length T of the line in updates, positive. Critics that make n updates per training step need n times the
            training steps.
        hold: updates h before the line begins.

    Raises:
        InvalidInputError: when an end is not finite, `steps` not positive or `hold` negative.
    """

    def __init__(self, start: float, end: float, steps: int, hold: int = 0) -> None:
        _require_finite(start=start, end=end)
        require(steps > 0, f"A linear schedule needs a positive number of steps, found {steps}.")
        require(hold >= 0, f"A linear schedule cannot hold its start for {hold} updates; use 0 or more.")
        self.start, self.end, self.steps, self.hold = start, end, steps, hold

    def __call__(self, step: int) -> float:
        """s_t as in the class docstring."""
        progress = min(max(step - self.hold, 0) / self.steps, 1.0)
        return self.end + (self.start - self.end) * (1 - progress)

    def bounds(self) -> tuple[float, float]:
        """Between start and end."""
        return min(self.start, self.end), max(self.start, self.end)


@final
class Cosine(AbstractSchedule):
    r"""Half a cosine from start to end,
    :math:`s_t = e + (s_0 - e)(1 + \cos(\pi \min(t - h, T)^+ / T)) / 2`, after holding `start` for h updates.

    Args:
        start: value until update `hold`.
        end: value from update `hold + steps` on.
        steps: length T of the descent in updates, positive. Critics that make n updates per training step need n
            times the training steps.
        hold: updates h before the descent begins.

    Raises:
        InvalidInputError: when an end is not finite, `steps` not positive or `hold` negative.
    """

    def __init__(self, start: float, end: float, steps: int, hold: int = 0) -> None:
        _require_finite(start=start, end=end)
        require(steps > 0, f"A cosine schedule needs a positive number of steps, found {steps}.")
        require(hold >= 0, f"A cosine schedule cannot hold its start for {hold} updates; use 0 or more.")
        self.start, self.end, self.steps, self.hold = start, end, steps, hold

    def __call__(self, step: int) -> float:
        """s_t as in the class docstring."""
        progress = min(max(step - self.hold, 0) / self.steps, 1.0)
        return self.end + (self.start - self.end) * (1 + math.cos(math.pi * progress)) / 2

    def bounds(self) -> tuple[float, float]:
        """Between start and end."""
        return min(self.start, self.end), max(self.start, self.end)


def _require_finite(**values: float) -> None:
    for name, value in values.items():
        require(math.isfinite(value), f"The {name} of a schedule must be finite, found {value}.")


def as_schedule(value: float | AbstractSchedule, name: str, *, positive: bool) -> AbstractSchedule:
    """A number as a constant schedule; any schedule checked for its sign.

    Args:
        value: a number or a schedule.
        name: what it is, for the message.
        positive: whether a schedule that is zero throughout is refused.

    Raises:
        InvalidInputError: when it ever is negative or not finite, or never positive where `positive`.
    """
    schedule = value if isinstance(value, AbstractSchedule) else Constant(value)
    lowest, highest = schedule.bounds()
    require(
        lowest >= 0 and math.isfinite(highest) and (highest > 0 or not positive),
        f"The {name} must be {'positive' if positive else 'at least 0'} and finite at every step, "
        f"found values from {lowest} to {highest}.",
    )
    return schedule
