"""What one file of configs/toy describes: a game, a start, and the dynamics to compare."""

import math
import re
from collections.abc import Mapping
from typing import final

import torch

from mixnash.core.dynamics.base import AbstractDynamics
from mixnash.core.errors import NonFiniteError, require
from mixnash.core.games.vectors import VECTOR, AbstractVectorGame
from mixnash.core.random import Purpose, stream
from mixnash.core.types import BOTH, AbstractOracle, Profile
from mixnash.solving.starts.base import AbstractStart
from mixnash.solving.starts.points import Points


@final
class Problem:
    """A game on vectors and everything that decides what the dynamics do on it.

    Args:
        name: of the problem; its results go to runs/solve/NAME.
        game: what is played.
        start: where all dynamics start.
        dynamics: what to run, by the name it has in the table.
        steps: how many each makes, at least 1.
        record_every: steps between two records, at least 1.
        noise: standard deviation of Gaussian noise on every coordinate of every gradient, at least 0 and finite.
        seed: of the start, of the noise and of the rules; every dynamics sees the same streams.
        averages: whether to report time averages beside last iterates.
        equilibrium: a known equilibrium, to measure distances from.
        value: the known value of the game.

    Raises:
        InvalidInputError: when a number is out of range or the dynamics or their names are missing.
    """

    def __init__(
        self,
        name: str,
        game: AbstractVectorGame,
        start: AbstractStart,
        dynamics: Mapping[str, AbstractDynamics],
        steps: int = 1000,
        record_every: int = 1,
        noise: float = 0.0,
        seed: int = 0,
        averages: bool = False,
        equilibrium: Points | None = None,
        value: float | None = None,
    ) -> None:
        require(
            re.fullmatch(r"\w[\w.\-]*", name) is not None,
            f"The name of a problem must be a plain folder name of letters, digits, '_', '-' and '.', found {name!r}.",
        )
        require(len(dynamics) > 0, "A problem needs at least one dynamics, found none.")
        require(
            all(re.fullmatch(r"[^/]+", one) for one in dynamics), "Names of dynamics must not be empty nor hold '/'."
        )
        require(steps >= 1, f"The number of steps must be at least 1, found {steps}.")
        require(record_every >= 1, f"record_every must be at least 1, found {record_every}.")
        require(0 <= noise < math.inf, f"The noise must be at least 0 and finite, found {noise}.")
        require(value is None or math.isfinite(value), f"The value of a game must be finite, found {value}.")
        require(
            noise == 0 or not start.finite,
            "Noise is added to the gradients of positions, which do not move from this start: set noise to 0.",
        )
        self.name, self.game, self.start, self.dynamics = name, game, start, dict(dynamics)
        self.steps, self.record_every, self.noise, self.seed = steps, record_every, noise, seed
        self.averages, self.value = averages, value
        self.profile = start.profile(game, self.stream(Purpose.FIXED_SET))
        self.equilibrium = None if equilibrium is None else equilibrium.profile(game, self.stream(Purpose.FIXED_SET))

    def stream(self, purpose: Purpose) -> torch.Generator:
        """The random numbers of this problem for one purpose, from their beginning."""
        return stream(torch.device("cpu"), self.seed, purpose)

    def oracle(self) -> AbstractOracle:
        """A fresh oracle, whose noise begins anew."""
        return self.start.oracle(self.game, self.profile, self.noise, self.stream(Purpose.TRAINING))

    def exact_oracle(self) -> AbstractOracle:
        """An oracle without noise."""
        return self.start.oracle(self.game, self.profile, 0.0, self.stream(Purpose.TRAINING))

    def check_start(self) -> None:
        """Ask the game once.

        Raises:
            InvalidInputError: when the payoff has the wrong shape, or is cut off from its arguments.
            NonFiniteError: when the payoff or a gradient at the start is not finite.
        """
        if not finite_at(self.exact_oracle(), self.profile):
            raise NonFiniteError(
                f"The payoff of {type(self.game).__name__} or its gradient is NaN or infinite at the start: start "
                "elsewhere, or bound the game's domain."
            )
        require(
            self.start.finite or _differentiable(self.game, self.profile),
            f"The payoff of {type(self.game).__name__} is no differentiable function of x and y: compute it with "
            "torch from start to end, without detach, item or numpy.",
        )


def _differentiable(game: AbstractVectorGame, profile: Profile) -> bool:
    """Whether autograd sees the payoff depend on at least one player."""
    x, y = (one.params[VECTOR][..., :1, :].detach().requires_grad_() for one in profile)
    return game.pair_terms(x, y).value.requires_grad


def finite_at(oracle: AbstractOracle, profile: Profile) -> bool:
    """Whether all payoffs and gradients at a profile are."""
    seen = oracle.feedback(profile, BOTH)
    grads = [leaf for player in (seen.generator_grads, seen.critic_grads) if player for leaf in player.values()]
    return all(bool(torch.isfinite(one).all()) for one in (seen.values, *grads))
