"""Single points on small games: what tests of pure-strategy dynamics share."""

import torch

from mixnash.core.domains import Euclidean
from mixnash.core.games.bilinear import Bilinear
from mixnash.core.games.vectors import AbstractVectorGame
from mixnash.core.types import Profile
from mixnash.core.vector_oracle import VectorOracle
from problems import positions, run, vectors


class _Separable(AbstractVectorGame):
    """x (y - offset) + f(x) - g(y) on the plane."""

    def __init__(self, of_x, of_y, offset=0.0):
        super().__init__(Euclidean(1), Euclidean(1))
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
        super().__init__(Euclidean(1), Euclidean(1))

    def payoff(self, x, y):
        return (x**2 - y**2).squeeze(-1)


BOWL = _Bowl()


class WeakMinty(AbstractVectorGame):
    """a x y + b/2 (x^2 - y^2) with a = L sqrt(1 - c^2), b = -c L: Lipschitz constant L, rho = -c / L."""

    def __init__(self, lipschitz, c):
        super().__init__(Euclidean(1), Euclidean(1))
        self._a, self._b = lipschitz * (1 - c**2) ** 0.5, -c * lipschitz

    def payoff(self, x, y):
        return (self._a * x * y + self._b / 2 * (x**2 - y**2)).squeeze(-1)


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
