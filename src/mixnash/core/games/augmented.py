"""Differentiable augmentation: the critic sees changed samples only, real and generated ones alike."""

from typing import final

import torch
from torch import Tensor

from mixnash.core.augmentations.base import AbstractAugmentation
from mixnash.core.games.base import AbstractGame
from mixnash.core.types import Batch, Critic, Generate, PairTerms, Params, Player


@final
class AugmentedGame(AbstractGame):
    r"""Another game :math:`\Phi` on augmented samples,

    .. math:: \Phi_T(g, d) = E_T\, \Phi(T \circ g, d) \quad \text{with real samples } T(x),

    T drawn anew for each sample. The generator's gradient passes through T: it is told how to make samples that look
    real after the change, not changed ones. Penalties are taken at augmented samples, and interpolates lie between
    them. All else is the inner game's.

    A batch without draws for augmentation, as in evaluations, is played without it: the inner game itself.

    References:
        Zhao, Liu, Lin, Zhu, Han, 2020, Differentiable augmentation for data-efficient GAN training, arXiv 2006.10738,
        equations 4 and 5.

    Args:
        game: the inner game.
        augmentation: T.
    """

    def __init__(self, game: AbstractGame, augmentation: AbstractAugmentation) -> None:
        self._game, self._augmentation = game, augmentation
        self.zero_sum = game.zero_sum

    @property
    def bounded_above(self) -> bool:
        """Whether the inner game is."""
        return self._game.bounded_above

    def terms(self, generate: Generate, critic: Critic, batch: Batch) -> PairTerms:
        """The inner game's on augmented samples."""
        return self._game.terms(self._generate(generate, batch), critic, self._augmented(batch))

    def penalty(self, generate: Generate, critic: Critic, batch: Batch) -> Tensor | None:
        """The inner game's on augmented samples."""
        return self._game.penalty(self._generate(generate, batch), critic, self._augmented(batch))

    def _generate(self, generate: Generate, batch: Batch) -> Generate:
        draws = batch.augmentation
        if draws is None:
            return generate
        return lambda latent: self._augmentation(generate(latent), draws.generated)

    def _augmented(self, batch: Batch) -> Batch:
        draws = batch.augmentation
        if draws is None:
            return batch
        with torch.no_grad():
            real = self._augmentation(batch.real, draws.real)
            anchor = self._augmentation(batch.anchor, draws.anchor)
        return batch._replace(real=real, anchor=anchor, augmentation=None)

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
