"""Oracles that evaluate games on vectors and finite games directly, without networks and draws."""

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from mixnash.core.errors import InvalidInputError, NonFiniteError, require
from mixnash.core.games.vectors import VECTOR, AbstractVectorGame
from mixnash.core.linearisation import Linearisation
from mixnash.core.population import weights
from mixnash.core.tree import map_params, normal_like, zeros_like
from mixnash.core.types import (
    AbstractLinearisation,
    AbstractOracle,
    Feedback,
    Params,
    Player,
    Players,
    Point,
    Profile,
)


@final
class VectorOracle(AbstractOracle):
    r"""A game on vectors, all pairs of particles in one pass; equal to `GameOracle` with `VECTOR_NETWORKS`.

    Many games of one kind can be played as one batch: particles are then [*games, K, dim], log-weights [*games, K], and
    the payoff broadcasts over the leading axes.

    Args:
        game: the game.
        noise: standard deviation s, at least 0, of independent Gaussian noise on every coordinate of both gradients;
            the same draw until `resample`.
        rng: of the noise; needed if it is not 0.

    Raises:
        InvalidInputError: when the noise is negative or has no generator.
    """

    def __init__(self, game: AbstractVectorGame, noise: float = 0.0, rng: torch.Generator | None = None) -> None:
        require(noise >= 0, f"The noise of an oracle must be at least 0, found {noise}.")
        require(noise == 0 or rng is not None, "An oracle with noise needs a generator of random numbers.")
        self.game, self._noise, self._rng = game, noise, rng
        self._drawn: Point | None = None

    def resample(self) -> None:
        """Forget the noise drawn."""
        self._drawn = None

    def feedback(self, profile: Profile, players: Players) -> Feedback:
        """Payoffs of all pairs, and gradients of those who are asked for.

        Raises:
            InvalidInputError: when the game's payoff has the wrong shape.
        """
        if not players:
            return self._payoffs(profile)
        x, y = profile.generators.params[VECTOR], profile.critics.params[VECTOR]
        x = x.detach().requires_grad_(Player.GENERATOR in players)
        y = y.detach().requires_grad_(Player.CRITIC in players)
        if self.game.zero_sum and x.shape[-2] == 1 and y.shape[-2] == 1:
            seen = self._single(x, y)
        else:
            seen = self._weighted(x, y, weights(profile.generators), weights(profile.critics))
        return seen if self._noise == 0 else self._noisy(seen, profile)

    def _payoffs(self, profile: Profile) -> Feedback:
        """Without gradients."""
        x, y = (one.params[VECTOR].detach() for one in profile)
        p, q = (weights(one).detach() for one in profile)
        terms = self.game.pair_terms(x.unsqueeze(-2), y.unsqueeze(-3))
        self._check(terms.value, (*x.shape[:-1], y.shape[-2]))
        row, column = (terms.value @ q.unsqueeze(-1)).squeeze(-1), (p.unsqueeze(-2) @ terms.critic_loss).squeeze(-2)
        return Feedback(terms.value, row, column, None, None)

    def _single(self, x: Tensor, y: Tensor) -> Feedback:
        """One particle each in a zero-sum game: there is nothing to weigh, and small games are all overhead."""
        payoff = self.game.payoff(x, y)
        self._check(payoff, x.shape[:-1])
        grads = iter(_gradients(payoff, [one for one in (x, y) if one.requires_grad], torch.ones_like(payoff)))
        grad_x = {VECTOR: next(grads)} if x.requires_grad else None
        grad_y = {VECTOR: -next(grads)} if y.requires_grad else None
        value = payoff.detach()
        return Feedback(value.unsqueeze(-1), value, -value, grad_x, grad_y)

    def _weighted(self, x: Tensor, y: Tensor, p: Tensor, q: Tensor) -> Feedback:
        """All pairs in one pass forward, and one pass back per player, weighed by the opponent's probabilities."""
        terms = self.game.pair_terms(x.unsqueeze(-2), y.unsqueeze(-3))
        self._check(terms.value, (*x.shape[:-1], y.shape[-2]))
        value, critic_loss = terms.value.detach(), terms.critic_loss.detach()
        grad_x = grad_y = None
        if x.requires_grad:
            (grad_x,) = _gradients(terms.generator_loss, [x], q.unsqueeze(-2).expand_as(value))
        if y.requires_grad:
            (grad_y,) = _gradients(terms.critic_loss, [y], p.unsqueeze(-1).expand_as(value))
        return Feedback(
            value,
            (value @ q.unsqueeze(-1)).squeeze(-1),
            (p.unsqueeze(-2) @ critic_loss).squeeze(-2),
            None if grad_x is None else {VECTOR: grad_x},
            None if grad_y is None else {VECTOR: grad_y},
        )

    def _check(self, value: object, shape: Sequence[int]) -> None:
        if isinstance(value, Tensor) and value.shape == torch.Size(shape):
            return
        found = tuple(value.shape) if isinstance(value, Tensor) else f"a {type(value).__name__}"
        raise InvalidInputError(
            f"The payoff of {type(self.game).__name__} must give one number per pair, a tensor of shape "
            f"{tuple(shape)}, found {found}: reduce over the last axis only.",
        )

    def _noisy(self, seen: Feedback, profile: Profile) -> Feedback:
        if self._drawn is None:
            assert self._rng is not None
            generators, critics = (normal_like(one.params, self._rng) for one in profile)
            self._drawn = Point(generators, critics)

        def add(grads: Params | None, noise: Params) -> Params | None:
            return grads and map_params(lambda leaf, draw: leaf.add(draw, alpha=self._noise), grads, noise)

        return seen._replace(
            generator_grads=add(seen.generator_grads, self._drawn.generators),
            critic_grads=add(seen.critic_grads, self._drawn.critics),
        )

    def linearise(self, profile: Profile) -> AbstractLinearisation:
        """The derivative of the field without its noise."""
        x, y = (one.params[VECTOR].detach().requires_grad_() for one in profile)
        leaves = Point({VECTOR: x}, {VECTOR: y})
        if self.game.zero_sum and x.shape[-2] == 1 and y.shape[-2] == 1:
            return _SinglePair(self.game.payoff(x, y), leaves)
        terms = self.game.pair_terms(x.unsqueeze(-2), y.unsqueeze(-3))
        p, q = weights(profile.generators), weights(profile.critics)
        return Linearisation.of_losses(
            (terms.generator_loss * q.unsqueeze(-2)).sum(),
            (terms.critic_loss * p.unsqueeze(-1)).sum(),
            leaves,
        )

    def project(self, player: Player, params: Params) -> Params:
        """The game's own projection."""
        return self.game.project(player, params)

    def propose(self, player: Player, shape: tuple[int, ...], rng: torch.Generator) -> Params | None:
        """The game's own proposals."""
        return self.game.propose(player, shape, rng)

    def unwrap(self, player: Player, params: Params, reference: Params) -> Params:
        """By the game's own domains."""
        return self.game.unwrap(player, params, reference)


@final
class FiniteOracle(AbstractOracle):
    """A finite game: the payoff matrix of given pure strategies, which cannot move; their gradients are zero.

    For infinite games restricted to grids, and for weights alone: an evaluation is two matrix-vector products.

    Args:
        payoff: A [K, L], or [*games, K, L]; the row player pays it.

    Raises:
        NonFiniteError: when an entry is not finite.
    """

    def __init__(self, payoff: Tensor) -> None:
        require(payoff.dim() >= 2, f"A payoff matrix needs two axes, found shape {tuple(payoff.shape)}.")
        if not bool(torch.isfinite(payoff).all()):
            raise NonFiniteError("The payoff matrix of a finite game has an entry that is not finite.")
        self.payoff = payoff

    @classmethod
    def on(cls, game: AbstractVectorGame, profile: Profile) -> "FiniteOracle":
        """A game restricted to the particles of a profile."""
        x, y = (one.params[VECTOR] for one in profile)
        return cls(game.payoff(x.unsqueeze(-2), y.unsqueeze(-3)))

    def resample(self) -> None:
        """Nothing is drawn."""

    def feedback(self, profile: Profile, players: Players) -> Feedback:
        """Rows pay A q, columns pay -p'A."""
        p, q = weights(profile.generators), weights(profile.critics)
        return Feedback(
            self.payoff,
            (self.payoff @ q.unsqueeze(-1)).squeeze(-1),
            -(p.unsqueeze(-2) @ self.payoff).squeeze(-2),
            zeros_like(profile.generators.params) if Player.GENERATOR in players else None,
            zeros_like(profile.critics.params) if Player.CRITIC in players else None,
        )

    def linearise(self, profile: Profile) -> AbstractLinearisation:
        """Zero: no position can move."""
        leaves = Point(
            *({name: leaf.detach().requires_grad_() for name, leaf in one.params.items()} for one in profile)
        )
        constant = [torch.zeros_like(leaf) for own in leaves for leaf in own.values()]
        return Linearisation(constant, leaves)

    def project(self, player: Player, params: Params) -> Params:
        """The parameters themselves."""
        del player
        return params

    def propose(self, player: Player, shape: tuple[int, ...], rng: torch.Generator) -> Params | None:
        """Refused: positions do not count here."""
        del player, shape, rng
        raise InvalidInputError(
            "A finite oracle cannot evaluate new strategies: play games.matrix.Matrix on the vertices of the simplices "
            "in its place, or a dynamics without births (birth_interval 0)."
        )


@final
class _SinglePair(AbstractLinearisation):
    r"""J = S H of one particle each in a zero-sum game, with the signs :math:`S = \mathrm{diag}(1, -1)`.

    As the Hessian H is symmetric, each product is one pass back.
    """

    def __init__(self, payoff: Tensor, leaves: Point) -> None:
        flat = [one[VECTOR] for one in leaves]
        self._hessian = Linearisation(_gradients(payoff, flat, torch.ones_like(payoff), differentiable=True), leaves)

    def pullback(self, cotangent: Point) -> Point:
        """H S c."""
        return self._hessian.pullback(_against(cotangent))

    def pushforward(self, tangent: Point) -> Point:
        """S H v."""
        return _against(self._hessian.pullback(tangent))


def _against(point: Point) -> Point:
    return point._replace(critics={VECTOR: -point.critics[VECTOR]})


def _gradients(
    output: Tensor, leaves: Sequence[Tensor], cotangent: Tensor, differentiable: bool = False
) -> Sequence[Tensor]:
    """One pass back; zeros where the output does not depend on a leaf."""
    if not output.requires_grad:
        return [torch.zeros_like(leaf) for leaf in leaves]
    return torch.autograd.grad(
        output, leaves, cotangent, retain_graph=True, create_graph=differentiable, materialize_grads=True
    )
