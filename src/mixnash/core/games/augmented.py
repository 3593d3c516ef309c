"""Differentiable augmentation: the critic sees changed samples only, real and generated ones alike."""

from typing import final

import torch

from mixnash.core.augmentations.base import AbstractAugmentation
from mixnash.core.games.base import AbstractGame
from mixnash.core.games.wrapped import AbstractWrappedGame
from mixnash.core.types import Batch, Generate


@final
class AugmentedGame(AbstractWrappedGame):
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
        super().__init__(game)
        self._augmentation = augmentation

    def _generate(self, generate: Generate, batch: Batch) -> Generate:
        draws = batch.augmentation
        if draws is None:
            return generate
        return lambda latent: self._augmentation(generate(latent), draws.generated)

    def _changed(self, batch: Batch) -> Batch:
        draws = batch.augmentation
        if draws is None:
            return batch
        with torch.no_grad():
            real = self._augmentation(batch.real, draws.real)
            anchor = self._augmentation(batch.anchor, draws.anchor)
        return batch._replace(real=real, anchor=anchor, augmentation=None)
