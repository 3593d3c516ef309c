"""Small games whose fields are known in closed form, and single points on them: what tests of dynamics share."""

import math

import torch

from mixnash.core.domains import AbstractDomain, Euclidean
from mixnash.core.games.bilinear import Bilinear
from mixnash.core.games.vectors import AbstractVectorGame
from mixnash.core.types import PairTerms, Profile
from mixnash.core.vector_oracle import VectorOracle
from problems import positions, run, vectors

LINE = Euclidean(1)


class _Separable(AbstractVectorGame):
    """x (y - offset) + f(x) - g(y) on the plane."""

    def __init__(self, of_x, of_y, offset=0.0):
        super().__init__(LINE, LINE)
        self._of_x, self._of_y, self._offset = of_x, of_y, offset

    def payoff(self, x, y):
        return (x * (y - self._offset) + self._of_x(x) - self._of_y(y)).squeeze(-1)


def _wells(u):
    return u**2 / 4 - u**4 / 2 + u**6 / 6


XY = Bilinear([[1.0]])
FORSAKEN = _Separable(_wells, _wells, 0.45)


class _Bowl(AbstractVectorGame):
    """x^2 - y^2."""

    def __init__(self):
        super().__init__(LINE, LINE)

    def payoff(self, x, y):
        return (x**2 - y**2).squeeze(-1)


BOWL = _Bowl()


class WeakMinty(AbstractVectorGame):
    """a x y + b/2 (x^2 - y^2) with a = L sqrt(1 - c^2), b = -c L: Lipschitz constant L, rho = -c / L."""

    def __init__(self, lipschitz, c, domain: AbstractDomain = LINE):
        super().__init__(domain, domain)
        self._a, self._b = lipschitz * (1 - c**2) ** 0.5, -c * lipschitz

    def payoff(self, x, y):
        return (self._a * x * y + self._b / 2 * (x**2 - y**2)).squeeze(-1)


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


def walk(dynamics, x, y, steps, game=XY):
    """The points (x_t, y_t) of single particles [steps + 1, dim of x + dim of y]."""
    states, _ = run(dynamics, VectorOracle(game), Profile(vectors(x), vectors(y)), steps)
    return torch.stack([torch.cat([one[0] for one in positions(dynamics, state)]) for state in states])


def end(dynamics, x, y, steps, game=XY):
    """The last of these points as a tuple of floats."""
    return tuple(walk(dynamics, x, y, steps, game)[-1].tolist())


def radius(dynamics, x, y, steps, game=XY):
    """Its norm."""
    return float(walk(dynamics, x, y, steps, game)[-1].norm())


def multiplier(dynamics, game):
    """The factor of |z| per step on a linear field that turns and stretches; the same at every step."""
    norms = walk(dynamics, [0.8], [-0.6], 20, game).norm(dim=1)
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
