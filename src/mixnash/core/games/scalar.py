"""Games whose strategies are numbers: the planar examples of the minimax literature."""

import abc
import math
from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from mixnash.core.domains import AbstractDomain, Euclidean
from mixnash.core.errors import require
from mixnash.core.games.vectors import AbstractVectorGame, fitting


def finite(name: str, value: float) -> float:
    """The value of a parameter, if it is finite.

    Raises:
        InvalidInputError: when it is not.
    """
    require(math.isfinite(value), f"The {name} of a game must be finite, found {value}.")
    return value


class AbstractScalarGame(AbstractVectorGame):
    """A game on numbers x and y.

    Args:
        minimiser_domain: where x lives, of one axis; `default_domain` if omitted.
        maximiser_domain: where y lives, of one axis; `default_domain` if omitted.

    Raises:
        InvalidInputError: when a domain has more than one axis.
    """

    default_domain: AbstractDomain = Euclidean(1)
    """Of a player who is given none."""

    def __init__(
        self, minimiser_domain: AbstractDomain | None = None, maximiser_domain: AbstractDomain | None = None
    ) -> None:
        super().__init__(
            fitting(minimiser_domain, self.default_domain, "minimiser"),
            fitting(maximiser_domain, self.default_domain, "maximiser"),
        )

    @abc.abstractmethod
    def scalar_payoff(self, x: Tensor, y: Tensor) -> Tensor:
        """Phi [..., 1] at x [..., 1] and y [..., 1], coordinate by coordinate."""

    def payoff(self, x: Tensor, y: Tensor) -> Tensor:
        """Phi of the class docstring."""
        return self.scalar_payoff(x, y).squeeze(-1)


@final
class EvenPolynomial:
    r""":math:`f(u) = c_1 u^2 + c_2 u^4 + c_3 u^6 + \dots`, by one power and one product: fewer steps to differentiate.

    Args:
        coefficients: c, at least one.
    """

    def __init__(self, coefficients: Sequence[float]) -> None:
        # No exponent below 2: torch's derivative of u^0 and u^1 is undefined at 0 from the second order on.
        self._exponents = 2.0 * torch.arange(1, len(coefficients) + 1, dtype=torch.float64)
        self._coefficients = torch.tensor(coefficients, dtype=torch.float64).unsqueeze(-1)

    def __call__(self, u: Tensor) -> Tensor:
        """F at u [..., 1]: [..., 1]."""
        powers: Tensor = u.pow(self._exponents.to(u)) @ self._coefficients.to(u)
        return powers
