"""PacGAN's packing: the critic judges several samples at once."""

from collections.abc import Sequence
from typing import final

from torch import Tensor

from mixnash.core.errors import require
from mixnash.core.games.base import AbstractGame
from mixnash.core.games.wrapped import AbstractWrappedGame
from mixnash.core.types import AugmentationDraws, Batch, Generate


def pack(samples: Tensor, packing: int, axis: int = 0) -> Tensor:
    """Neighbours along an axis as packs: [..., n, *event] to [..., n // m, m, *event]; a rest below m is left out.

    Raises:
        InvalidInputError: when there are fewer samples than a pack holds.
    """
    count = samples.shape[axis] // packing
    require(count >= 1, f"Packs of {packing} need at least {packing} samples, found {samples.shape[axis]}.")
    kept = samples.narrow(axis, 0, count * packing)
    return kept.reshape(*kept.shape[:axis], count, packing, *kept.shape[axis + 1 :])


def packed_shape(event_shape: Sequence[int], packing: int) -> Sequence[int]:
    """What a critic sees: [m, *event_shape], or the event itself where nothing is packed (m = 1)."""
    return event_shape if packing == 1 else (packing, *event_shape)


@final
class PackedGame(AbstractWrappedGame):
    r"""Another game :math:`\Phi` on packs of m independent samples,

    .. math:: \Phi_m(g, d) = \Phi(g^{\otimes m}, d), \qquad d: (x_1, \dots, x_m) \mapsto R,

    where :math:`g^{\otimes m}` is the law of m samples of one generator. Real samples are packed likewise, and so are
    interpolates: a gradient penalty takes one position between a real and a generated pack, and the norm over the
    whole pack. All else is the inner game's.

    A pack never mixes generators, for only then is the payoff bilinear in the two mixed strategies. A mixture whose
    generators share out the modes is therefore seen through: its packs agree in their mode, real ones seldom do. If
    m > 1, :math:`\sum_k p_k\, g_k^{\otimes m}` is a law of independent samples only where all generators of
    positive weight are equal (the variance of :math:`g_k(A)` over k is zero for every event A). So packing helps one
    generator to cover all modes, and asks the same of each generator of a mixture.

    Neighbouring samples make a pack: they must be independent, so held-out samples that come sorted have to be shuffled
    first. A rest below m is left out.

    References:
        Lin, Khetan, Fanti, Oh, 2018, PacGAN: the power of two samples in generative adversarial networks, arXiv
        1712.04086.

    Args:
        game: the inner game.
        packing: m >= 1, samples per pack; critics take samples [n, m, *event].

    Raises:
        InvalidInputError: when the packing is below 1.
    """

    def __init__(self, game: AbstractGame, packing: int) -> None:
        require(packing >= 1, f"The packing must be at least 1 sample, found {packing}.")
        super().__init__(game)
        self._packing = packing

    @property
    def samples_together(self) -> int:
        """Those of a pack, for each sample of the inner game."""
        return self._packing * self._game.samples_together

    def _generate(self, generate: Generate, batch: Batch) -> Generate:
        axis = batch.mix.dim() - 1
        return lambda latent: pack(generate(latent), self._packing, axis)

    def _changed(self, batch: Batch) -> Batch:
        axis = batch.mix.dim() - 1
        # Evaluations without a penalty bring no anchors.
        anchor = batch.anchor if batch.anchor.numel() == 0 else pack(batch.anchor, self._packing, axis)
        mix = pack(batch.mix, self._packing, axis)[..., 0]
        packed = batch._replace(real=pack(batch.real, self._packing, axis), anchor=anchor, mix=mix)
        if batch.augmentation is None:
            return packed
        draws = AugmentationDraws(*(pack(one, self._packing, axis) for one in batch.augmentation))
        return packed._replace(augmentation=draws)
