r"""Toy strategies: a vector in place of a network.

The generator ignores its latent and emits its vector x; the critic is the linear functional
:math:`d_y(s) = \langle s, y \rangle`, so its values at the unit vectors are y itself. With these, games on vectors are
ordinary games of two functions, and the dynamics that train GANs are tested on them unchanged. `core.vector_oracle`
evaluates the same games directly, without the detour over functions.
"""

import abc
import math

import torch
from torch import Tensor

from mixnash.core.domains import AbstractDomain
from mixnash.core.errors import require
from mixnash.core.games.base import AbstractGame
from mixnash.core.types import Batch, Critic, Generate, NetworkFunctions, Networks, PairTerms, Params, Player

VECTOR = "vector"
"""The name of the one leaf, [dim]; stacked [K, dim]."""


def _emit(params: Params, latent: Tensor) -> Tensor:
    return params[VECTOR].unsqueeze(-2).expand(*latent.shape[:-1], -1)


def _pair_with(params: Params, samples: Tensor) -> Tensor:
    return torch.einsum("...nd,...d->...n", samples, params[VECTOR])


VECTOR_NETWORKS = Networks(
    generator=NetworkFunctions(single=_emit, stacked=_emit),
    critic=NetworkFunctions(single=_pair_with, stacked=_pair_with),
)
"""Both players are vectors."""


def fitting(domain: AbstractDomain | None, default: AbstractDomain, name: str) -> AbstractDomain:
    """The domain that was asked for, or the default; both must have one dimension.

    Raises:
        InvalidInputError: when the dimensions differ.
    """
    if domain is None:
        return default
    require(
        domain.dim == default.dim,
        f"The strategies of the {name} have {default.dim} coordinates, but its domain has {domain.dim}.",
    )
    return domain


class AbstractVectorGame(AbstractGame):
    """A game on vectors, played with `VECTOR_NETWORKS` or a `VectorOracle`.

    Args:
        minimiser: the domain of x.
        maximiser: the domain of y.
    """

    zero_sum = True

    def __init__(self, minimiser: AbstractDomain, maximiser: AbstractDomain) -> None:
        self.minimiser, self.maximiser = minimiser, maximiser

    @property
    def bounded_above(self) -> bool:
        """Whether the maximiser's domain is bounded: payoffs are continuous."""
        return self.maximiser.bounded

    @abc.abstractmethod
    def payoff(self, x: Tensor, y: Tensor) -> Tensor:
        """Phi [...] at x [..., dim of x] and y [..., dim of y], whose leading axes broadcast; twice differentiable."""

    def pair_terms(self, x: Tensor, y: Tensor) -> PairTerms:
        """Phi, what x descends and what y descends, each [...]; a game that is not zero-sum overrides this."""
        value = self.payoff(x, y)
        return PairTerms(value, value, -value)

    def domain(self, player: Player) -> AbstractDomain:
        """Where a player's strategies live."""
        return self.minimiser if player is Player.GENERATOR else self.maximiser

    def terms(self, generate: Generate, critic: Critic, batch: Batch) -> PairTerms:
        """The pair's terms, at the vectors that the two functions stand for."""
        samples = generate(batch.latent)
        units = torch.eye(self.maximiser.dim, dtype=samples.dtype, device=samples.device)
        y = critic(units.expand(*(1,) * (samples.dim() - 2), *units.shape))
        return self.pair_terms(samples[..., 0, :], y)

    def penalty(self, generate: Generate, critic: Critic, batch: Batch) -> Tensor | None:
        """None."""
        return None

    def constrain_critic(self, params: Params) -> Params:
        """The parameters themselves."""
        return params

    def project(self, player: Player, params: Params) -> Params:
        """The nearest points of the player's domain."""
        return {VECTOR: self.domain(player).project(params[VECTOR])}

    def propose(self, player: Player, shape: tuple[int, ...], rng: torch.Generator) -> Params | None:
        """Uniform draws from the player's domain [*shape, dim]; None from the whole space."""
        domain = self.domain(player)
        if not domain.bounded:
            return None
        return {VECTOR: domain.sample(math.prod(shape), rng).reshape(*shape, domain.dim)}

    def unwrap(self, player: Player, params: Params, reference: Params) -> Params:
        """On the torus, the points plus the whole numbers that bring them nearest to the reference."""
        return {VECTOR: self.domain(player).unwrap(params[VECTOR], reference[VECTOR])}
