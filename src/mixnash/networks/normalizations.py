"""How convolutional networks normalise: a choice per network, one class each."""

import abc
from typing import final

from torch import nn

from mixnash.core.errors import require


class AbstractNormalization(abc.ABC):
    """Makes the layers that normalise."""

    @abc.abstractmethod
    def layer(self, channels: int) -> nn.Module:
        """A layer on [n, channels, H, W]."""


@final
class NoNormalization(AbstractNormalization):
    """Leaves everything as it is: the default of critics, as gradient penalties ask for."""

    def layer(self, channels: int) -> nn.Module:
        """The identity."""
        del channels
        return nn.Identity()


@final
class GroupNormalization(AbstractNormalization):
    """Every sample by itself, over groups of channels: pure, so it fits populations, penalties and any batch size.

    References:
        Wu, He, 2018, Group normalization, arXiv 1803.08494.

    Args:
        groups: how many at most; a layer whose channels they do not divide takes the largest number that does.

    Raises:
        InvalidInputError: when there is no group.
    """

    def __init__(self, groups: int = 8) -> None:
        require(groups >= 1, f"Group normalisation needs at least 1 group, found {groups}.")
        self._groups = groups

    def layer(self, channels: int) -> nn.Module:
        """Torch's layer."""
        groups = next(count for count in range(min(self._groups, channels), 0, -1) if channels % count == 0)
        return nn.GroupNorm(groups, channels)


@final
class BatchNormalization(AbstractNormalization):
    """By the mean and variance of the particle's own batch, in training and afterwards alike.

    There are no running statistics: they would be changed inside a step, which has to be a pure function. So a sample
    depends on those drawn with it, scores of one batch are not those of its halves, and several processes normalise
    each by its share. Gradient penalties, which take each sample's own gradient, do not fit it, and neither does a
    critic of several generators: it sees their samples as one batch, so what it pays one depends on the others, and the
    payoff is none of pairs. Offered because the published DCGANs have it; prefer `GroupNormalization`.

    References:
        Ioffe, Szegedy, 2015, Batch normalization, arXiv 1502.03167, Algorithm 1.
    """

    def layer(self, channels: int) -> nn.Module:
        """Torch's layer without running statistics."""
        return nn.BatchNorm2d(channels, track_running_stats=False)


def mixes_samples(network: nn.Module) -> bool:
    """Whether what a network makes of a sample depends on the others in its batch."""
    return any(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())
