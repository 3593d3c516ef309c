"""Games on vectors whose fields are known in closed form, and what dynamics do on them."""

import math

import torch

from mixnash.core.domains import AbstractDomain, Euclidean
from mixnash.core.games.bilinear import Bilinear
from mixnash.core.games.vectors import AbstractVectorGame
from mixnash.core.types import PairTerms, Profile
from mixnash.core.vector_oracle import VectorOracle
from problems import positions, run, vectors

XY = Bilinear([[1.0]])
LINE = Euclidean(1)


class WeakMinty(AbstractVectorGame):
    """a x y + b/2 (x^2 - y^2) with L = 1 and weak Minty constant -c."""

    def __init__(self, c, domain: AbstractDomain = LINE):
        super().__init__(domain, domain)
        self.a, self.b = math.sqrt(1 - c**2), -c

    def payoff(self, x, y):
        return (self.a * x * y + self.b / 2 * (x**2 - y**2)).squeeze(-1)


class Forsaken(AbstractVectorGame):
    """x (y - 0.45) + f(x) - f(y)."""

    def __init__(self):
        super().__init__(LINE, LINE)

    def payoff(self, x, y):
        return (x * (y - 0.45) + self.well(x) - self.well(y)).squeeze(-1)

    @staticmethod
    def well(u):
        return u**2 / 4 - u**4 / 2 + u**6 / 6


class Polar(AbstractVectorGame):
    """The field (a/16) (r^2 - 1)(16 r^2 - 9) z + (-y, x): a game that is not zero-sum."""

    zero_sum = False

    def __init__(self, a=1.0, domain: AbstractDomain = LINE):
        super().__init__(domain, domain)
        self.a = a

    def payoff(self, x, y):
        return (x * y).squeeze(-1)

    def pair_terms(self, x, y):
        square, value = (x**2 + y**2).squeeze(-1), self.payoff(x, y)
        own = self.a / 32 * (16 / 3 * square**3 - 25 / 2 * square**2 + 9 * square)
        return PairTerms(value, own - value, own + value)


class Curved(AbstractVectorGame):
    """A zero-sum game on R^2 x R^3 that is nowhere quadratic."""

    def __init__(self):
        super().__init__(Euclidean(2), Euclidean(3))

    def payoff(self, x, y):
        return (x[..., 0] * y[..., 0]).sin() + x[..., 1] ** 2 * y[..., 1] - (y[..., 2] - x[..., 0]) ** 3


def end(dynamics, game, start, steps):
    """The point after some steps."""
    return trajectory(dynamics, game, start, steps)[-1].tolist()


def trajectory(dynamics, game, start, steps):
    """The points [steps + 1, 2] that one particle each goes through."""
    states, _ = run(dynamics, VectorOracle(game), Profile(vectors([start[0]]), vectors([start[1]])), steps)
    return torch.stack([torch.cat([own[0] for own in positions(dynamics, state)]) for state in states])


def multiplier(dynamics, game):
    """The factor of |z| per step on a linear field that turns and stretches; the same at every step."""
    norms = trajectory(dynamics, game, [0.8, -0.6], 20).norm(dim=1)
    factors = norms[1:] / norms[:-1]
    torch.testing.assert_close(factors, factors[:1].expand_as(factors), rtol=0, atol=1e-11)
    return float(factors[0])


def adaptive_factor(c, g, curvature, relaxation=1.0):
    """Of the quadratic game, whose field multiplies by e = -c + i sqrt(1 - c^2): w = (1 - g e) z, d = -g e w."""
    e = complex(-c, math.sqrt(1 - c**2))
    forward = -g * e
    jump = forward * (1 - g * e)
    alpha = curvature + (forward * jump.conjugate()).real / abs(jump) ** 2
    return abs(1 + relaxation * alpha * jump)
