"""Games that show another game changed samples and leave all else to it."""

import abc

import torch
from torch import Tensor

from mixnash.core.games.base import AbstractGame
from mixnash.core.types import Batch, Critic, Generate, PairTerms, Params, Player


class AbstractWrappedGame(AbstractGame, abc.ABC):
    """The inner game on samples that `_generate` and `_changed` change; domains and constraints are the inner game's.

    Args:
        game: the inner game.
    """

    def __init__(self, game: AbstractGame) -> None:
        self._game = game
        self.zero_sum = game.zero_sum

    @abc.abstractmethod
    def _generate(self, generate: Generate, batch: Batch) -> Generate:
        """A generator as the critic meets it."""

    @abc.abstractmethod
    def _changed(self, batch: Batch) -> Batch:
        """The draws as the inner game meets them."""

    @property
    def bounded_above(self) -> bool:
        """Whether the inner game is."""
        return self._game.bounded_above

    @property
    def samples_together(self) -> int:
        """The inner game's."""
        return self._game.samples_together

    def terms(self, generate: Generate, critic: Critic, batch: Batch) -> PairTerms:
        """The inner game's on changed samples."""
        return self._game.terms(self._generate(generate, batch), critic, self._changed(batch))

    def penalty(self, generate: Generate, critic: Critic, batch: Batch) -> Tensor | None:
        """The inner game's on changed samples."""
        return self._game.penalty(self._generate(generate, batch), critic, self._changed(batch))

    def constrain_critic(self, params: Params) -> Params:
        """The inner game's."""
        return self._game.constrain_critic(params)

    def project(self, player: Player, params: Params) -> Params:
        """The inner game's."""
        return self._game.project(player, params)

    def propose(self, player: Player, shape: tuple[int, ...], rng: torch.Generator) -> Params | None:
        """The inner game's."""
        return self._game.propose(player, shape, rng)

    def unwrap(self, player: Player, params: Params, reference: Params) -> Params:
        """The inner game's."""
        return self._game.unwrap(player, params, reference)
