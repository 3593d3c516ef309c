"""Gradient calls as a paper's script would write them in torch, and a trace that turns a step into such calls.

Used by `game_speed.py`.
"""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from mixnash.core.games.vectors import VECTOR
from mixnash.core.population import weights
from mixnash.core.random import stream
from mixnash.core.types import AbstractLinearisation, AbstractOracle, Feedback, Params, Player, Players, Point, Profile

Payoff = Callable[[Tensor, Tensor], Tensor]


def forsaken(x: Tensor, y: Tensor) -> Tensor:
    return x * (y - 0.45) + x**2 / 4 - x**4 / 2 + x**6 / 6 - (y**2 / 4 - y**4 / 2 + y**6 / 6)


class Fourier:
    """Re sum_kl C_kl exp(2 pi i (k x + l y)), from waves e^(2 pi i k x) of either player."""

    def __init__(self, order: int, seed: int):
        # The draws of FourierGame.random.
        size = 2 * order + 1
        real, imaginary = torch.randn(2, size, size, generator=stream(torch.device("cpu"), seed), dtype=torch.float64)
        self.coefficients = torch.complex(real, imaginary) / math.sqrt(2)
        self.angles = 2j * math.pi * torch.arange(-order, order + 1, dtype=torch.float64)

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        left, right = torch.exp(self.angles * x.unsqueeze(-1)), torch.exp(self.angles * y.unsqueeze(-1))
        return ((left @ self.coefficients) * right).sum(-1).real


class Strategies(NamedTuple):
    """Both players of a profile as plain tensors."""

    x: Tensor
    y: Tensor
    p: Tensor
    q: Tensor

    @classmethod
    def of(cls, profile: Profile) -> "Strategies":
        x, y = (one.params[VECTOR].squeeze(-1) for one in profile)
        return cls(x, y, weights(profile.generators), weights(profile.critics))

    @property
    def pure(self) -> bool:
        return len(self.x) == len(self.y) == 1


def evaluate(payoff: Payoff, at: Strategies, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The payoffs of all pairs and their mean; those of one pair, as they are."""
    if at.pure:
        value = payoff(x, y)
        return value, value
    values = payoff(x.unsqueeze(1), y)
    return values, at.p @ values @ at.q


def gradients(payoff: Payoff, at: Strategies, players: Players) -> tuple[Tensor | None, ...]:
    """Gradients of the positions of `players`, and of mixtures their losses, which are what weights descend."""
    moves_x, moves_y = Player.GENERATOR in players, Player.CRITIC in players
    x, y = at.x.detach().requires_grad_(moves_x), at.y.detach().requires_grad_(moves_y)
    values, mean = evaluate(payoff, at, x, y)
    wanted = [one for one in (x, y) if one.requires_grad]
    found = iter(torch.autograd.grad(mean, wanted) if wanted else ())
    grad_x, grad_y = next(found) if moves_x else None, -next(found) if moves_y else None
    if at.pure:
        return grad_x, grad_y
    values = values.detach()
    return (
        grad_x / at.p if moves_x else None,
        grad_y / at.q if moves_y else None,
        values @ at.q if moves_x else None,
        -(at.p @ values) if moves_y else None,
    )


def products(payoff: Payoff, at: Strategies, wanted: list[tuple[bool, Tensor, Tensor]]) -> list[tuple[Tensor, Tensor]]:
    """Gradients with their graph and, by one more pass back each, products with J or its transpose."""
    x, y = at.x.detach().requires_grad_(), at.y.detach().requires_grad_()
    _, mean = evaluate(payoff, at, x, y)
    slopes = torch.autograd.grad(mean, (x, y), create_graph=True)
    found = []
    for transposed, a, b in wanted:
        # V = D S grad of the mean and J = D S H, with the signs S, the inverse weights D and the Hessian H.
        given = ((a, -b) if at.pure else (a / at.p, -b / at.q)) if transposed else (a, b)
        u, v = torch.autograd.grad(slopes, (x, y), given, retain_graph=True)
        found.append((u, v) if transposed else (u, -v) if at.pure else (u / at.p, -v / at.q))
    return found


# ---------------------------------------------------------------------- what a step asks for


class Trace(AbstractOracle):
    """Writes down every call of another oracle as one by hand, to be repeated later."""

    def __init__(self, oracle: AbstractOracle, payoff: Payoff):
        self._oracle, self._payoff = oracle, payoff
        self.calls: list[Callable[[], object]] = []

    def resample(self) -> None:
        self._oracle.resample()

    def feedback(self, profile: Profile, players: Players) -> Feedback:
        self.calls.append(functools.partial(gradients, self._payoff, Strategies.of(profile), players))
        return self._oracle.feedback(profile, players)

    def linearise(self, profile: Profile) -> AbstractLinearisation:
        wanted: list[tuple[bool, Tensor, Tensor]] = []
        self.calls.append(functools.partial(products, self._payoff, Strategies.of(profile), wanted))
        return TracedLinearisation(self._oracle.linearise(profile), wanted)

    def project(self, player: Player, params: Params) -> Params:
        return self._oracle.project(player, params)

    def propose(self, player: Player, shape: tuple[int, ...], rng: torch.Generator) -> Params | None:
        return self._oracle.propose(player, shape, rng)

    def unwrap(self, player: Player, params: Params, reference: Params) -> Params:
        return self._oracle.unwrap(player, params, reference)


class TracedLinearisation(AbstractLinearisation):
    """Writes down every product."""

    def __init__(self, linearisation: AbstractLinearisation, wanted: list[tuple[bool, Tensor, Tensor]]):
        self._linearisation, self._wanted = linearisation, wanted

    def pullback(self, cotangent: Point) -> Point:
        self._wanted.append((True, *(own[VECTOR].squeeze(-1) for own in cotangent)))
        return self._linearisation.pullback(cotangent)

    def pushforward(self, tangent: Point) -> Point:
        self._wanted.append((False, *(own[VECTOR].squeeze(-1) for own in tangent)))
        return self._linearisation.pushforward(tangent)
