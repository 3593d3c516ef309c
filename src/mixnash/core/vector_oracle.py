"""Oracles that evaluate games on vectors and finite games directly, without networks and draws."""

from collections.abc import Sequence
from functools import partial
from typing import final

import torch
from torch import Tensor

from mixnash.core.errors import InvalidInputError, NonFiniteError, require
from mixnash.core.games.vectors import VECTOR, AbstractVectorGame
from mixnash.core.joint import add
from mixnash.core.linearisation import Linearisation
from mixnash.core.population import weights
from mixnash.core.tree import normal_like
from mixnash.core.types import (
    BOTH,
    AbstractLinearisation,
    AbstractOracle,
    Feedback,
    Params,
    Player,
    Players,
    Point,
    Profile,
)

_gradient = partial(torch.autograd.grad, materialize_grads=True)


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
        """Payoffs of all pairs, and gradients of both players if any are asked for: one pass gives both.

        Raises:
            InvalidInputError: when the game's payoff has the wrong shape.
        """
        if not players:
            return self._payoffs(profile)
        x, y = profile.generators.params[VECTOR], profile.critics.params[VECTOR]
        if x.shape[-2] == 1 and y.shape[-2] == 1:
            seen = self._single(x, y)
        else:
            seen = self._weighted(x, y, weights(profile.generators), weights(profile.critics))
        if self._noise > 0:
            noisy = add(self._field(seen), self._noise, self._noise_like(seen))
            seen = seen._replace(generator_grads=noisy.generators, critic_grads=noisy.critics)
        return (
            seen._replace(
                generator_grads=seen.generator_grads if Player.GENERATOR in players else None,
                critic_grads=seen.critic_grads if Player.CRITIC in players else None,
            )
            if players != BOTH
            else seen
        )

    def _payoffs(self, profile: Profile) -> Feedback:
        """Without gradients."""
        x, y = (one.params[VECTOR].detach() for one in profile)
        p, q = (weights(one).detach() for one in profile)
        terms = self.game.pair_terms(x.unsqueeze(-2), y.unsqueeze(-3))
        self._check(terms.value, (*x.shape[:-1], y.shape[-2]))
        row, column = (terms.value @ q.unsqueeze(-1)).squeeze(-1), (p.unsqueeze(-2) @ terms.critic_loss).squeeze(-2)
        return Feedback(terms.value, row, column, None, None)

    def _single(self, x: Tensor, y: Tensor) -> Feedback:
        """One particle each: there is nothing to weigh, and small games are all overhead."""
        x, y = x.detach().requires_grad_(), y.detach().requires_grad_()
        if not self.game.zero_sum:
            terms = self.game.pair_terms(x, y)
            self._check(terms.value, x.shape[:-1])
            value, critic_loss = terms.value.detach(), terms.critic_loss.detach()
            (grad_x,) = _gradient(terms.generator_loss, x, torch.ones_like(value), retain_graph=True)
            (grad_y,) = _gradient(terms.critic_loss, y, torch.ones_like(value))
            return Feedback(value.unsqueeze(-1), value, critic_loss, {VECTOR: grad_x}, {VECTOR: grad_y})
        payoff = self.game.payoff(x, y)
        self._check(payoff, x.shape[:-1])
        grad_x, grad_y = _gradient(payoff, (x, y), torch.ones_like(payoff))
        value = payoff.detach()
        return Feedback(value.unsqueeze(-1), value, -value, {VECTOR: grad_x}, {VECTOR: -grad_y})

    def _weighted(self, x: Tensor, y: Tensor, p: Tensor, q: Tensor) -> Feedback:
        """All pairs in one pass forward, and one pass back per player, weighed by the opponent's probabilities."""
        x, y = x.detach().unsqueeze(-2).requires_grad_(), y.detach().unsqueeze(-3).requires_grad_()
        terms = self.game.pair_terms(x, y)
        self._check(terms.value, (*x.shape[:-2], y.shape[-2]))
        value, critic_loss = terms.value.detach(), terms.critic_loss.detach()
        (grad_x,) = _gradient(terms.generator_loss, x, q.unsqueeze(-2).expand_as(value), retain_graph=True)
        (grad_y,) = _gradient(terms.critic_loss, y, p.unsqueeze(-1).expand_as(value))
        return Feedback(
            value,
            (value @ q.unsqueeze(-1)).squeeze(-1),
            (p.unsqueeze(-2) @ critic_loss).squeeze(-2),
            {VECTOR: grad_x.squeeze(-2)},
            {VECTOR: grad_y.squeeze(-3)},
        )

    def _check(self, value: Tensor, shape: Sequence[int]) -> None:
        if value.shape == torch.Size(shape):
            return
        raise InvalidInputError(
            f"The payoff of {type(self.game).__name__} must give one number per pair, of shape {tuple(shape)}, found "
            f"{tuple(value.shape)}: reduce over the last axis only.",
        )

    @staticmethod
    def _field(seen: Feedback) -> Point:
        assert seen.generator_grads is not None
        assert seen.critic_grads is not None
        return Point(seen.generator_grads, seen.critic_grads)

    def _noise_like(self, seen: Feedback) -> Point:
        if self._drawn is None:
            assert self._rng is not None
            like = self._field(seen)
            self._drawn = Point(normal_like(like.generators, self._rng), normal_like(like.critics, self._rng))
        return self._drawn

    def linearise(self, profile: Profile) -> AbstractLinearisation:
        """The derivative of the field without its noise."""
        x, y = (one.params[VECTOR].detach().requires_grad_() for one in profile)
        terms = self.game.pair_terms(x.unsqueeze(-2), y.unsqueeze(-3))
        p, q = weights(profile.generators), weights(profile.critics)
        return Linearisation.of_losses(
            (terms.generator_loss * q.unsqueeze(-2)).sum(),
            (terms.critic_loss * p.unsqueeze(-1)).sum(),
            Point({VECTOR: x}, {VECTOR: y}),
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
            _zeros(profile.generators.params) if Player.GENERATOR in players else None,
            _zeros(profile.critics.params) if Player.CRITIC in players else None,
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


def _zeros(params: Params) -> Params:
    return {name: torch.zeros_like(leaf) for name, leaf in params.items()}
