"""Residual networks of the size usual for images of 32 and 64 pixels."""

import math
from collections.abc import Sequence
from typing import final

from torch import nn

from mixnash.core.errors import require
from mixnash.networks.image_shapes import critic_entrance, halvings, image_shape, widths
from mixnash.networks.layered import AbstractLayeredCritic, AbstractLayeredGenerator
from mixnash.networks.normalizations import AbstractNormalization, GroupNormalization, NoNormalization
from mixnash.networks.residual import Residual


def _convolution(seen: int, made: int, size: int, gain: float = 1.0) -> nn.Conv2d:
    """A convolution that keeps the grid, drawn after Glorot and Bengio."""
    layer = nn.Conv2d(seen, made, size, padding=size // 2)
    nn.init.xavier_uniform_(layer.weight, gain)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def _two(first: list[nn.Module], seen: int, made: int, between: list[nn.Module]) -> list[nn.Module]:
    """Two 3x3 convolutions, each after its layers."""
    gain = math.sqrt(2)
    return [*first, _convolution(seen, made, 3, gain), *between, _convolution(made, made, 3, gain)]


def _up_block(seen: int, made: int, normal: AbstractNormalization) -> Residual:
    """Doubles the grid. The skip mixes channels before it repeats pixels: the same, at a quarter of the products."""
    first = [normal.layer(seen), nn.ReLU(), nn.Upsample(scale_factor=2, mode="nearest")]
    main = nn.Sequential(*_two(first, seen, made, [normal.layer(made), nn.ReLU()]))
    return Residual(main, nn.Sequential(_convolution(seen, made, 1), nn.Upsample(scale_factor=2, mode="nearest")))


def _first_block(seen: int, made: int) -> Residual:
    """Halves the grid of the image itself, whose values meet no unit before the first convolution."""
    main = nn.Sequential(*_two([], seen, made, [nn.ReLU()]), nn.AvgPool2d(2))
    return Residual(main, nn.Sequential(nn.AvgPool2d(2), _convolution(seen, made, 1)))


def _block(seen: int, made: int, normal: AbstractNormalization, halves: bool) -> Residual:
    """Halves the grid or keeps it. The skip takes means before it mixes channels: the same, at fewer products."""
    between = [normal.layer(made), nn.ReLU()]
    main = _two([normal.layer(seen), nn.ReLU()], seen, made, between)
    if not halves:
        return Residual(nn.Sequential(*main), nn.Identity())
    return Residual(nn.Sequential(*main, nn.AvgPool2d(2)), nn.Sequential(nn.AvgPool2d(2), _convolution(seen, made, 1)))


@final
class ResNetGenerator(AbstractLayeredGenerator):
    """A linear layer to a small grid, then residual blocks that double it, to values in [-1, 1] by tanh.

    A block is the sum of a long way (normalise, ReLU, repeat pixels, 3x3 convolution, normalise, ReLU, 3x3 convolution)
    and a short one (1x1 convolution, repeat pixels). With growth 1 and width 256 it is SNGAN's generator for 32
    pixels, with width 128 WGAN-GP's, but for the normalisation, by batches there.

    References:
        Miyato, Kataoka, Koyama, Yoshida, 2018, Spectral normalization for generative adversarial networks, arXiv
        1802.05957; Gulrajani et al., 2017, Improved training of Wasserstein GANs, arXiv 1704.00028 (the tables of
        architectures in their appendices).

    Args:
        event_shape: [channels, size, size]; set from the data.
        latent_dim: length of the standard normal latent.
        width: channels of the image's grid before the last layer, at least 1.
        depth: doublings, one block each; as many as leave a grid of at least 4 if None.
        growth: factor of the channels from one grid to the next coarser one, at least 1; 2 is usual for 64 pixels.
        normalization: in front of the ReLUs; groups of channels if None.

    Raises:
        InvalidInputError: when the images are not square or cannot be halved so often, or a size is below 1.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        latent_dim: int = 128,
        width: int = 128,
        depth: int | None = None,
        growth: int = 1,
        normalization: AbstractNormalization | None = None,
    ) -> None:
        channels, size = image_shape(event_shape, "ResNetGenerator")
        require(latent_dim >= 1, f"A generator needs a latent of at least 1 dimension, found {latent_dim}.")
        doublings = halvings(size, depth, "ResNetGenerator")
        normal = GroupNormalization() if normalization is None else normalization
        *_, top = wide = widths(width, growth, doublings + 1, "ResNetGenerator")
        grid = size // 2**doublings
        layers: list[nn.Module] = [nn.Linear(latent_dim, top * grid * grid), nn.Unflatten(1, (top, grid, grid))]
        layers += [_up_block(wide[stage], wide[stage - 1], normal) for stage in range(doublings, 0, -1)]
        layers += [normal.layer(width), nn.ReLU(), _convolution(width, channels, 3), nn.Tanh()]
        super().__init__(latent_dim, nn.Sequential(*layers))


@final
class ResNetCritic(AbstractLayeredCritic):
    """Residual blocks that halve the grid by means of 2x2 pixels, some that keep it, the mean over it, a linear score.

    A block is the sum of a long way (ReLU, 3x3 convolution, ReLU, 3x3 convolution, means) and a short one (means, 1x1
    convolution; nothing where the grid is kept). Width 128 and 32 pixels give the critic of SNGAN without its spectral
    norms, whose sum over the grid is the mean times a constant here, and the one of WGAN-GP.

    References:
        Miyato, Kataoka, Koyama, Yoshida, 2018, arXiv 1802.05957; Gulrajani et al., 2017, arXiv 1704.00028.

    Args:
        event_shape: [channels, size, size], or [m, channels, size, size] for packs of m; set from the data.
        width: channels after the first block, at least 1.
        depth: halvings, one block each; as many as leave a grid of at least 8, but at least one, if None.
        blocks: residual blocks on the last grid, at least 0.
        growth: factor of the channels from one halving to the next, at least 1; 2 is usual for 64 pixels.
        normalization: in front of the ReLUs of all blocks but the first; none if None.

    Raises:
        InvalidInputError: when the images are not square or cannot be halved so often, or a number is out of range.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        width: int = 128,
        depth: int | None = None,
        blocks: int = 2,
        growth: int = 1,
        normalization: AbstractNormalization | None = None,
    ) -> None:
        layers, seen, size = critic_entrance(event_shape, "ResNetCritic")
        require(blocks >= 0, f"ResNetCritic needs a number of further blocks of at least 0, found {blocks}.")
        most = halvings(size, depth, "ResNetCritic")
        steps = max(1, most - 1) if depth is None else depth
        normal = NoNormalization() if normalization is None else normalization
        wide = widths(width, growth, steps, "ResNetCritic")
        layers.append(_first_block(seen, width))
        layers += [_block(wide[stage - 1], wide[stage], normal, halves=True) for stage in range(1, steps)]
        layers += [_block(wide[-1], wide[-1], normal, halves=False) for _ in range(blocks)]
        layers += [nn.ReLU(), nn.AvgPool2d(size // 2**steps), nn.Flatten(), nn.Linear(wide[-1], 1)]
        super().__init__(nn.Sequential(*layers))
