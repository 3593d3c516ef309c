"""What a report shows of images only: their classes, and whether they are copies of training images."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from mixnash.core.errors import require
from mixnash.evaluation.pictures import Picture, draw_picture
from mixnash.figures.image_modes import DIGITS, class_histogram, particle_classes, stacked_modes
from mixnash.figures.images import channels_apart
from mixnash.figures.neighbours import neighbour_rows
from mixnash.lit.base import Samples
from mixnash.metrics.features.base import Extracted
from mixnash.metrics.functional.neighbours import nearest_neighbours

SEARCHED, SHOWN, NEAREST = 1_000, 8, 8
"""Samples whose neighbours are sought; those of them that are shown; neighbours of each."""
MOST_CLASSES = 100
"""More classes than this are those of a classifier for something else, and are not shown."""
_CHANNELS = "RGB"


class Classes(NamedTuple):
    """What a classifier makes of samples and of the data."""

    generated: Float[Tensor, "n *classes"]
    """Logits of the samples: [n, classes], or [n, 3, 10] for three digits stacked."""
    held_out: Float[Tensor, "m *classes"]
    """Logits of held-out images."""


class Views(NamedTuple):
    """Samples and training images as an extractor sees them, so that likeness is not a matter of pixels."""

    generated: Extracted
    training: Extracted
    extractor: str
    """Its name."""


def class_pictures(classes: Classes, particle: Int64[Tensor, " n"], shares: Float[Tensor, " K"]) -> list[Picture]:
    """The classes of the samples against the data's, by particle, and the modes of stacked digits.

    Args:
        classes: logits of the same n samples and of the data.
        particle: which generator made each sample.
        shares: the generators' weights.

    Raises:
        InvalidInputError: when shapes differ.
    """
    generated, held_out = (_labels(logits) for logits in (classes.generated, classes.held_out))
    per_place = classes.generated.shape[-1]
    require(
        len(generated) == len(particle) and classes.held_out.shape[1:] == classes.generated.shape[1:],
        f"Classes need logits of {len(particle)} samples and of as many classes for the data, found "
        f"{list(classes.generated.shape)} and {list(classes.held_out.shape)}.",
    )
    if per_place > MOST_CLASSES:
        return []
    names = [str(index) for index in range(per_place)]
    pictures = [_histogram(generated, held_out, names)]
    if len(shares) > 1:
        pictures.append(_served(generated, particle, shares, names))
    if generated.shape[1] == len(_CHANNELS) and per_place == DIGITS:
        pictures.append(_stacked(generated))
    return pictures


def neighbour_picture(samples: Samples, training: Float[Tensor, "m C H W"], views: Views) -> Picture:
    """Samples beside the training images that are nearest to them: the first few draws, and those with the nearest.

    Args:
        samples: [n, C, H, W]; neighbours of the first `SEARCHED` are sought.
        training: at least one image.
        views: of both, in their order: distances are between these features.

    Raises:
        InvalidInputError: when numbers or shapes of samples, images and views differ.
    """
    images, among = samples.values.cpu(), training.cpu()
    require(
        images.shape[1:] == among.shape[1:] and len(among) >= 1,
        f"Neighbours need training images of the samples' shape {list(images.shape[1:])}, found {list(among.shape)}.",
    )
    queries, references = views.generated.features.cpu(), views.training.features.cpu()
    require(
        (len(queries), len(references)) == (len(images), len(among)),
        f"Neighbours need features of {len(images)} samples and {len(among)} training images, found {len(queries)} and "
        f"{len(references)}.",
    )
    searched = min(SEARCHED, len(images))
    found = nearest_neighbours(queries[:searched], references, min(NEAREST, len(among)))
    chosen = _rows(found.distances[:, 0])
    particles = samples.particle.cpu()[chosen].tolist()
    drawn = min(SHOWN // 2, len(chosen))
    labels = [f"{'a draw' if row < drawn else 'close'}, particle {particle}" for row, particle in enumerate(particles)]
    near = torch.stack([torch.as_tensor(channels_apart(among[row])) for row in found.indices.cpu()[chosen]])
    figure = neighbour_rows(
        channels_apart(images[chosen]),
        near,
        found.distances.cpu()[chosen],
        labels,
        f"Samples and the nearest of {len(among):,} training images",
    )
    caption = (
        f"Above the first draws of the mixture, below those of {searched:,} that are nearest to a training image. "
        "Samples that repeat one show it beside themselves, at a distance near 0. Distances are Euclidean between "
        f"the features of {views.extractor}. Where training mirrors its images, an image and its mirror image count as "
        "two."
    )
    return draw_picture("neighbours", caption, figure)


def _histogram(generated: Tensor, held_out: Tensor, names: Sequence[str]) -> Picture:
    caption = (
        "What a classifier takes the samples for, and what it takes held-out images for. Bars should end within the "
        "pale bands, where nineteen of twenty draws from the data would end."
    )
    if generated.shape[1] > 1:
        caption += " The digits of all channels are counted together."
    found, expected = (labels.flatten().bincount(minlength=len(names)) for labels in (generated, held_out))
    return draw_picture("classes", caption, class_histogram(found, expected, names, "Predicted classes of the samples"))


def _served(generated: Tensor, particle: Tensor, shares: Tensor, names: Sequence[str]) -> Picture:
    caption = (
        "Generators that share the classes out among themselves show few dark cells per row. Each row is of one "
        "generator's samples, whatever its weight."
    )
    columns = list(names)
    if generated.shape[1] > 1:
        columns = [channel + name for channel in _CHANNELS for name in names]
        caption += f" {columns[0]} is a {names[0]} in the red channel."
    table = _by_particle(generated, particle, len(shares), len(names))
    title = "Which particle serves which class"
    return draw_picture("particle_classes", caption, particle_classes(table, shares, columns, title))


def _stacked(generated: Tensor) -> Picture:
    caption = (
        "Samples of each of the thousand triples of digits, in colours on a logarithmic scale; triples that no sample "
        "shows are pale grey."
    )
    modes = (generated * torch.tensor([DIGITS**2, DIGITS, 1])).sum(1).bincount(minlength=DIGITS**3)
    return draw_picture("stacked_modes", caption, stacked_modes(modes, "Modes of the stacked digits"))


def _labels(logits: Tensor) -> Int64[Tensor, "n places"]:
    """The likeliest class of each of the digits in an image; a single place where nothing is stacked."""
    require(
        (logits.ndim == 2 or (logits.ndim == 3 and logits.shape[1] == len(_CHANNELS))) and len(logits) > 0,
        f"Expected logits of shape [n, classes] or [n, 3, classes], found {list(logits.shape)}.",
    )
    return logits.cpu().argmax(-1).reshape(len(logits), -1)


def _by_particle(labels: Tensor, particle: Tensor, particles: int, per_place: int) -> Int64[Tensor, "K columns"]:
    """Samples of each particle [K, places * classes] by place and class."""
    columns = labels.shape[1] * per_place
    at = labels + per_place * torch.arange(labels.shape[1])
    cells = particle.cpu().unsqueeze(1) * columns + at
    return cells.flatten().bincount(minlength=particles * columns).reshape(particles, columns)


def _rows(distances: Float[Tensor, " n"]) -> Int64[Tensor, " shown"]:
    """The first samples, then the others with the nearest neighbours."""
    first = min(SHOWN // 2, len(distances))
    others = distances[first:].cpu().argsort(stable=True) + first
    return torch.cat([torch.arange(first), others[: SHOWN - first]])
