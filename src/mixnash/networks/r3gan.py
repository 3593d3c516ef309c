"""Modern residual networks without normalisation, at small scale."""

import math
from collections.abc import Sequence
from typing import final

from torch import nn

from mixnash.core.errors import require
from mixnash.networks.image_shapes import critic_entrance, halvings, image_shape, widths
from mixnash.networks.layered import AbstractLayeredCritic, AbstractLayeredGenerator
from mixnash.networks.learnt_grid import LearntGrid
from mixnash.networks.residual import Residual

SLOPE = 0.2
"""Of the leaky ReLU units below zero."""


def _drawn(layer: nn.Conv2d | nn.Linear, gain: float = 1.0) -> nn.Conv2d | nn.Linear:
    """The layer with normal weights of standard deviation gain / sqrt(inputs of a unit), and no offset."""
    nn.init.normal_(layer.weight, std=gain / math.sqrt(layer.weight[0].numel()))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def _block(width: int, expansion: int, group_width: int, blocks: int) -> Residual:
    """One inverted bottleneck; `blocks` is how many the network has in all."""
    inner = width * expansion
    # Fix-up: in L blocks of 3 layers all but the last layer shrink by L^(-1 / (2 * 3 - 2)); the last is zero.
    gain = math.sqrt(2 / (1 + SLOPE**2)) * blocks ** (-1 / 4)
    main = nn.Sequential(
        _drawn(nn.Conv2d(width, inner, 1), gain),
        nn.LeakyReLU(SLOPE),
        _drawn(nn.Conv2d(inner, inner, 3, padding=1, groups=inner // group_width), gain),
        nn.LeakyReLU(SLOPE),
        _drawn(nn.Conv2d(inner, width, 1, bias=False), 0.0),
    )
    return Residual(main, nn.Identity())


def _channels(seen: int, made: int) -> list[nn.Module]:
    """What changes the number of channels, if it changes."""
    return [] if seen == made else [_drawn(nn.Conv2d(seen, made, 1, bias=False))]


def _check(blocks: int, expansion: int, group_width: int, wide: list[int], network: str) -> None:
    require(
        blocks >= 1 and expansion >= 1 and group_width >= 1,
        f"{network} needs blocks, expansion and group_width of at least 1, found {blocks}, {expansion}, {group_width}.",
    )
    bad = [width * expansion for width in wide if width * expansion % group_width]
    require(
        not bad, f"{network}: groups of {group_width} channels do not divide the {bad[:1]} channels inside a block."
    )


@final
class R3GANGenerator(AbstractLayeredGenerator):
    """A learnt grid scaled by the latent, then stages of residual blocks; between stages the grid doubles by bilinear
    interpolation; a 1x1 convolution and tanh make values in [-1, 1].

    A block adds to its input a 1x1 convolution to `expansion` times the channels, a 3x3 one in groups and a 1x1 one
    back, with leaky ReLU units of slope 0.2 between them. Nothing is normalised; instead the last convolution of every
    block starts at zero, so blocks start as the identity. The published network ends without tanh.

    References:
        Huang, Gokaslan, Kuleshov, Tompkin, 2024, The GAN is dead; long live the GAN! A modern GAN baseline, arXiv
        2501.05441 (R3GAN), and its released code; Zhang, Dauphin, Ma, 2019, Fixup initialization, arXiv 1901.09321.

    Args:
        event_shape: [channels, size, size]; set from the data.
        latent_dim: length of the standard normal latent.
        width: channels of the finest stage, at least 1.
        depth: doublings; as many as leave a grid of at least 4 if None.
        blocks: residual blocks per stage, at least 1.
        growth: factor of the channels from one stage to the next coarser one, at least 1.
        expansion: channels inside a block over those outside, at least 1.
        group_width: channels of one group of the 3x3 convolution, a divisor of the channels inside every block.

    Raises:
        InvalidInputError: when the images are not square or cannot be halved so often, or a number is out of range.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        latent_dim: int = 64,
        width: int = 64,
        depth: int | None = None,
        blocks: int = 2,
        growth: int = 1,
        expansion: int = 2,
        group_width: int = 16,
    ) -> None:
        channels, size = image_shape(event_shape, "R3GANGenerator")
        require(latent_dim >= 1, f"A generator needs a latent of at least 1 dimension, found {latent_dim}.")
        doublings = halvings(size, depth, "R3GANGenerator")
        wide = widths(width, growth, doublings + 1, "R3GANGenerator")[::-1]
        _check(blocks, expansion, group_width, wide, "R3GANGenerator")
        layers: list[nn.Module] = [LearntGrid(latent_dim, wide[0], size // 2**doublings)]
        for stage, own in enumerate(wide):
            if stage:
                layers += [*_channels(wide[stage - 1], own), nn.Upsample(scale_factor=2, mode="bilinear")]
            layers += [_block(own, expansion, group_width, blocks * len(wide)) for _ in range(blocks)]
        layers += [_drawn(nn.Conv2d(width, channels, 1)), nn.Tanh()]
        super().__init__(latent_dim, nn.Sequential(*layers))


@final
class R3GANCritic(AbstractLayeredCritic):
    """The generator the other way round: a 1x1 convolution of the image, stages of residual blocks with means of 2x2
    pixels between them, then per channel one learnt sum over the grid, and a linear score.

    The published network filters more smoothly than by means of 2x2 pixels when it halves the grid.

    References:
        Huang, Gokaslan, Kuleshov, Tompkin, 2024, arXiv 2501.05441, and its released code.

    Args:
        event_shape: [channels, size, size], or [m, channels, size, size] for packs of m; set from the data.
        width: channels of the finest stage, at least 1.
        depth: halvings; as many as leave a grid of at least 4 if None.
        blocks: residual blocks per stage, at least 1.
        growth: factor of the channels from one stage to the next coarser one, at least 1.
        expansion: channels inside a block over those outside, at least 1.
        group_width: channels of one group of the 3x3 convolution, a divisor of the channels inside every block.

    Raises:
        InvalidInputError: when the images are not square or cannot be halved so often, or a number is out of range.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        width: int = 64,
        depth: int | None = None,
        blocks: int = 2,
        growth: int = 1,
        expansion: int = 2,
        group_width: int = 16,
    ) -> None:
        layers, seen, size = critic_entrance(event_shape, "R3GANCritic")
        steps = halvings(size, depth, "R3GANCritic")
        wide = widths(width, growth, steps + 1, "R3GANCritic")
        _check(blocks, expansion, group_width, wide, "R3GANCritic")
        layers.append(_drawn(nn.Conv2d(seen, width, 1)))
        for stage, own in enumerate(wide):
            if stage:
                layers += [nn.AvgPool2d(2), *_channels(wide[stage - 1], own)]
            layers += [_block(own, expansion, group_width, blocks * len(wide)) for _ in range(blocks)]
        sums = _drawn(nn.Conv2d(wide[-1], wide[-1], size // 2**steps, groups=wide[-1], bias=False))
        layers += [sums, nn.Flatten(), _drawn(nn.Linear(wide[-1], 1, bias=False))]
        super().__init__(nn.Sequential(*layers))
