"""Trigonometric polynomials on the torus, one or a whole batch of them."""

import math
from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from mixnash.core.domains import AbstractDomain, Torus
from mixnash.core.errors import require
from mixnash.core.games.scalar import AbstractScalarGame
from mixnash.core.random import stream

Coefficients = Tensor | Sequence[Sequence[float]]
"""A square matrix, or [*games, N, N]."""


@final
class FourierGame(AbstractScalarGame):
    r""":math:`\Phi(x, y) = \mathrm{Re} \sum_{k, l = -n}^{n} C_{kl}\, e^{2 \pi i (k x + l y)}`; x minimises.

    One game, or a batch: C of shape [*games, N, N] is played by x [*games, ..., 1] and y [*games, ..., 1], each game
    by its own particles.

    References:
        Wang, Chizat, 2025, An exponentially converging particle method for the mixed Nash equilibrium of continuous
        games, Open Journal of Mathematical Optimization 6, doi 10.5802/ojmo.37 (random games of this form).

    Args:
        real: real parts of C, N x N with odd N = 2n + 1; rows for frequencies -n to n of x, columns for those of y.
        imaginary: imaginary parts of C, of the same shape.
        minimiser_domain: where x lives; the torus [0, 1) if omitted.
        maximiser_domain: where y lives; the torus [0, 1) if omitted.

    Raises:
        InvalidInputError: when the coefficients are not square matrices of one odd size, one of them is not finite, or
            a domain has more than one axis.
    """

    default_domain = Torus(1)

    def __init__(
        self,
        real: Coefficients,
        imaginary: Coefficients,
        minimiser_domain: AbstractDomain | None = None,
        maximiser_domain: AbstractDomain | None = None,
    ) -> None:
        parts = [torch.as_tensor(part, dtype=torch.float64) for part in (real, imaginary)]
        shape = parts[0].shape
        require(
            len(shape) >= 2 and shape == parts[1].shape and shape[-1] == shape[-2] and shape[-1] % 2 == 1,
            "The coefficients of a Fourier game need real and imaginary parts of one shape [..., N, N] with odd N, "
            f"found {tuple(shape)} and {tuple(parts[1].shape)}.",
        )
        require(
            all(bool(torch.isfinite(part).all()) for part in parts),
            "The coefficients of a Fourier game must be finite.",
        )
        self.order, self.games = shape[-1] // 2, shape[:-2]
        self._matrix = _on_waves(torch.complex(*parts))
        frequencies = torch.arange(1, self.order + 1, dtype=torch.float64)
        self._frequencies = 2 * math.pi * torch.cat([torch.zeros(1, dtype=torch.float64), frequencies, frequencies])
        # sin(t + pi / 2) = cos(t): all waves in one evaluation.
        self._phases = torch.tensor([math.pi / 2] * (self.order + 1) + [0.0] * self.order, dtype=torch.float64)
        super().__init__(minimiser_domain, maximiser_domain)

    @classmethod
    def random(cls, order: int, seed: int, games: Sequence[int] = ()) -> "FourierGame":
        """Independent coefficients C whose real and imaginary parts are Gaussian with variance 1/2.

        Args:
            order: n, at least 0.
            seed: of the draws.
            games: shape of the batch; one game if empty.

        Raises:
            InvalidInputError: when the order is negative.
        """
        require(order >= 0, f"The order of a Fourier game must be at least 0, found {order}.")
        size = 2 * order + 1
        rng = stream(torch.device("cpu"), seed)
        draws = torch.randn(2, *games, size, size, generator=rng, dtype=torch.float64) / math.sqrt(2)
        return cls(draws[0], draws[1])

    def scalar_payoff(self, x: Tensor, y: Tensor) -> Tensor:
        """Phi of the class docstring."""
        matrix = self._matrix.to(x)
        left = self._waves(x)
        left = _each(left, matrix, max(x.dim(), y.dim())) if self.games else left @ matrix
        return (left * self._waves(y)).sum(-1, keepdim=True)

    def _waves(self, u: Tensor) -> Tensor:
        """1, cos 2 pi k u and sin 2 pi k u of u [..., 1]: [..., N]."""
        return torch.sin(torch.addcmul(self._phases.to(u), u, self._frequencies.to(u)))


def _each(waves: Tensor, matrices: Tensor, rank: int) -> Tensor:
    """Waves [*games, ..., N] times the matrix [*games, N, N] of their own game, the rank filled up from the left."""
    leading = matrices.dim() - 2
    waves = waves.reshape((1,) * (rank - waves.dim()) + waves.shape)
    product = waves.reshape(*waves.shape[:leading], -1, waves.shape[-1]) @ matrices
    return product.reshape(*product.shape[:leading], *waves.shape[leading:])


def _on_waves(coefficients: Tensor) -> Tensor:
    """The real matrix A for which Phi is waves(x)' A waves(y)."""
    size = coefficients.shape[-1]
    order = size // 2
    cosines, sines = torch.zeros(2, size, size, dtype=torch.float64)  # e^(2 pi i k u) in terms of the waves
    for k in range(-order, order + 1):
        cosines[k + order, abs(k)] = 1
        if k != 0:
            sines[k + order, order + abs(k)] = math.copysign(1, k)
    basis = torch.complex(cosines, sines)
    return (basis.mT @ coefficients @ basis).real
