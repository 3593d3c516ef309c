"""Sizes of images that convolutional networks can work on."""

from collections.abc import Sequence

from torch import nn

from mixnash.core.errors import require

SMALLEST = 4
"""Pixels on a side of the smallest grid of features."""


def image_shape(event_shape: Sequence[int], network: str) -> tuple[int, int]:
    """Channels and pixels on a side.

    Raises:
        InvalidInputError: when samples are not square images.
    """
    require(
        len(event_shape) == 3 and event_shape[1] == event_shape[2] and min(event_shape) >= 1,
        f"{network} needs square images [channels, size, size], found samples of shape {list(event_shape)}.",
    )
    return event_shape[0], event_shape[1]


def halvings(size: int, wanted: int | None, network: str) -> int:
    """How often a side is halved: as wanted, or as often as leaves whole grids of at least `SMALLEST` pixels a side.

    Raises:
        InvalidInputError: when the size cannot be halved so often, or not at all.
    """
    most = 0
    while size % 2 ** (most + 1) == 0 and size // 2 ** (most + 1) >= SMALLEST:
        most += 1
    require(
        most >= 1,
        f"{network} needs images whose side is even and at least {2 * SMALLEST} pixels, found {size}: resize them.",
    )
    require(
        wanted is None or 1 <= wanted <= most,
        f"{network} can halve images of {size} pixels 1 to {most} times, found depth {wanted}.",
    )
    return most if wanted is None else wanted


def critic_entrance(event_shape: Sequence[int], network: str) -> tuple[list[nn.Module], int, int]:
    """The layers that make one image of a pack, if samples are packs; the channels after them; pixels on a side.

    Args:
        event_shape: [channels, size, size], or [m, channels, size, size] for packs of m, whose channels are joined.
        network: whose entrance it is, for the message.

    Raises:
        InvalidInputError: when samples are not square images or packs of them.
    """
    packs = event_shape[:-3]
    require(
        len(packs) <= 1 and min(packs, default=1) >= 1,
        f"{network} needs images [channels, size, size] or packs of them, found samples of shape {list(event_shape)}.",
    )
    channels, size = image_shape(event_shape[-3:], network)
    return ([nn.Flatten(1, 2)], packs[0] * channels, size) if packs else ([], channels, size)


def widths(width: int, growth: int, stages: int, network: str) -> list[int]:
    """Channels of each grid, from the finest to the coarsest.

    Args:
        width: of the finest grid.
        growth: factor from one grid to the next coarser one.
        stages: how many grids there are.
        network: whose channels they are, for the message.

    Raises:
        InvalidInputError: when the width or the growth is below 1.
    """
    require(width >= 1, f"{network} needs a width of at least 1 channel, found {width}.")
    require(growth >= 1, f"{network} needs a growth of at least 1 per halving, found {growth}.")
    return [width * growth**stage for stage in range(stages)]
