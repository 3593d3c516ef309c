"""A polynomial in two numbers, given by its coefficients."""

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from mixnash.core.domains import AbstractDomain
from mixnash.core.errors import require
from mixnash.core.games.scalar import AbstractScalarGame


@final
class PolynomialGame(AbstractScalarGame):
    r""":math:`\Phi(x, y) = \sum_{ij} c_{ij} x^i y^j`; x minimises, y maximises.

    Args:
        coefficients: c, one row per power of x, one column per power of y, both from 0.
        minimiser_domain: where x lives; the whole line if omitted.
        maximiser_domain: where y lives; the whole line if omitted.

    Raises:
        InvalidInputError: when the rows have no common positive length, a coefficient is not finite, or a domain has
            more than one axis.
    """

    def __init__(
        self,
        coefficients: Sequence[Sequence[float]],
        minimiser_domain: AbstractDomain | None = None,
        maximiser_domain: AbstractDomain | None = None,
    ) -> None:
        columns = len(coefficients[0]) if coefficients else 0
        require(
            columns > 0 and all(len(row) == columns for row in coefficients),
            "The coefficients of a polynomial game need rows of one positive length.",
        )
        self._coefficients = torch.tensor(coefficients, dtype=torch.float64)
        require(bool(torch.isfinite(self._coefficients).all()), "The coefficients of a polynomial game must be finite.")
        super().__init__(minimiser_domain, maximiser_domain)

    def scalar_payoff(self, x: Tensor, y: Tensor) -> Tensor:
        """Phi of the class docstring, as powers of x times c times powers of y."""
        rows, columns = self._coefficients.shape
        left = _powers(x, rows) @ self._coefficients.to(x)
        return (left * _powers(y, columns)).sum(-1, keepdim=True)


def _powers(u: Tensor, count: int) -> Tensor:
    """u^0, ..., u^(count - 1) of u [..., 1]."""
    # Powers 0 and 1 apart: torch's derivatives of them are undefined at 0 from the second order on.
    exponents = torch.arange(2, max(count, 2), dtype=u.dtype, device=u.device)
    return torch.cat([torch.ones_like(u), u, u.pow(exponents)], dim=-1)[..., :count]
