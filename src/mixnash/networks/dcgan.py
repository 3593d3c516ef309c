"""Deep convolutional networks without residual connections."""

from collections.abc import Sequence
from typing import final

from torch import nn

from mixnash.core.errors import require
from mixnash.networks.image_shapes import critic_entrance, halvings, image_shape
from mixnash.networks.layered import AbstractLayeredCritic, AbstractLayeredGenerator
from mixnash.networks.normalizations import AbstractNormalization, GroupNormalization, NoNormalization


@final
class DCGANGenerator(AbstractLayeredGenerator):
    """A linear layer to a small grid, then transposed convolutions that double it, to values in [-1, 1] by tanh.

    The grid starts with width * 2^(depth - 1) channels; every doubling halves them, the last one makes the image. Sizes
    8 (grid 4, depth 1), 28 (7, 2), 32 (4, 3) and 64 (4, 4) are the usual ones.

    References:
        Radford, Metz, Chintala, 2016, Unsupervised representation learning with deep convolutional GANs, arXiv
        1511.06434, section 3, with kernels of 4 in place of 5 so that every output pixel sees as many inputs.

    Args:
        event_shape: [channels, size, size]; set from the data.
        latent_dim: length of the standard normal latent.
        width: channels before the last layer, at least 1.
        depth: doublings; as many as leave a grid of at least 4 if None.
        normalization: after every layer but the last; groups of channels if None.

    Raises:
        InvalidInputError: when the images are not square or cannot be halved so often, or a size is below 1.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        latent_dim: int = 64,
        width: int = 64,
        depth: int | None = None,
        normalization: AbstractNormalization | None = None,
    ) -> None:
        channels, size = image_shape(event_shape, "DCGANGenerator")
        require(latent_dim >= 1, f"A generator needs a latent of at least 1 dimension, found {latent_dim}.")
        require(width >= 1, f"DCGANGenerator needs a width of at least 1 channel, found {width}.")
        doublings = halvings(size, depth, "DCGANGenerator")
        normal = GroupNormalization() if normalization is None else normalization
        grid, top = size // 2**doublings, width * 2 ** (doublings - 1)
        layers: list[nn.Module] = [nn.Linear(latent_dim, top * grid * grid), nn.Unflatten(1, (top, grid, grid))]
        layers += [normal.layer(top), nn.ReLU()]
        for index in range(doublings - 1):
            wide = top // 2**index
            layers += [nn.ConvTranspose2d(wide, wide // 2, 4, 2, 1), normal.layer(wide // 2), nn.ReLU()]
        layers += [nn.ConvTranspose2d(width, channels, 4, 2, 1), nn.Tanh()]
        super().__init__(latent_dim, nn.Sequential(*layers))


@final
class DCGANCritic(AbstractLayeredCritic):
    """Convolutions that halve the grid and double the channels, leaky ReLU units of slope 0.2, then one linear score.

    References:
        Radford, Metz, Chintala, 2016, arXiv 1511.06434, section 3, with kernels of 4 in place of 5.

    Args:
        event_shape: [channels, size, size], or [m, channels, size, size] for packs of m; set from the data.
        width: channels after the first layer, at least 1.
        depth: halvings; as many as leave a grid of at least 4 if None.
        normalization: after every convolution but the first; none if None.

    Raises:
        InvalidInputError: when the images are not square or cannot be halved so often, or the width is below 1.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        width: int = 64,
        depth: int | None = None,
        normalization: AbstractNormalization | None = None,
    ) -> None:
        layers, seen, size = critic_entrance(event_shape, "DCGANCritic")
        require(width >= 1, f"DCGANCritic needs a width of at least 1 channel, found {width}.")
        steps = halvings(size, depth, "DCGANCritic")
        normal = NoNormalization() if normalization is None else normalization
        layers += [nn.Conv2d(seen, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for index in range(steps - 1):
            wide = width * 2**index
            layers += [nn.Conv2d(wide, 2 * wide, 4, 2, 1), normal.layer(2 * wide), nn.LeakyReLU(0.2)]
        grid = size // 2**steps
        layers += [nn.Flatten(), nn.Linear(width * 2 ** (steps - 1) * grid * grid, 1)]
        super().__init__(nn.Sequential(*layers))
