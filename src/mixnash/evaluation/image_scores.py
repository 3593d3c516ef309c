"""Scores of images: everything that needs features, from one look at every image."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from mixnash.cache_folder import cache_folder
from mixnash.core.errors import require
from mixnash.data.base import AbstractImageData
from mixnash.data.distinct import first_places
from mixnash.data.stacked_mnist import StackedMNIST
from mixnash.lit.base import Samples
from mixnash.lit.extractors import extractors_for
from mixnash.lit.observation import LEAST_IMAGES, check_held_out, observation
from mixnash.lit.scores import feature_metrics
from mixnash.metrics.features.base import AbstractExtractor, Extracted, extract
from mixnash.metrics.frechet import FrechetDistance
from mixnash.metrics.functional.frechet import frechet_distance
from mixnash.metrics.functional.moments import feature_moments
from mixnash.metrics.manifold import PrecisionRecallDensityCoverage
from mixnash.metrics.memorisation import Memorisation
from mixnash.metrics.stacked_modes import StackedModes
from mixnash.metrics.statistics_cache import StatisticsCache, content_hash, statistics_key

TRAINING = 10_000
"""Most training images among which neighbours are sought, copies counted once."""
LEVEL = 0.01
"""Of the memorisation check."""
NEEDED = round(1 / LEVEL) - 1
"""Held-out images that the memorisation check needs."""

_SHARED = frozenset({"precision", "recall", "density", "coverage"})
"""Scores whose own names do not say whose features they are of."""


class Seen(NamedTuple):
    """Images through one extractor."""

    extractor: AbstractExtractor
    generated: Extracted
    held_out: Extracted
    training: Extracted


class ImageScores(NamedTuple):
    """Numbers about images, and what they are of."""

    samples: Samples
    metrics: dict[str, float]
    """By name; names end in the extractor's where several extractors give the same kind of number."""
    perfect: dict[str, float]
    """What real images score, where that is known: Frechet distances of one set of as many training images."""
    seen: Seen
    """Through the extractor that knows most about the data."""
    training: Float[Tensor, "t C H W"]
    """The training images behind ``seen.training``."""
    references: int
    """Different held-out images that samples were compared with."""
    left_out: tuple[str, ...]
    """A sentence for each number that is missing, and why."""
    protocol: str | None
    """How modes were counted, where they can be."""


class _Known(NamedTuple):
    """Different real images, and a hash of them."""

    images: Float[Tensor, "n C H W"]
    content: str


class _Numbers(NamedTuple):
    """What one extractor gives."""

    metrics: dict[str, float]
    perfect: dict[str, float]
    protocol: str | None


def check_images(data: AbstractImageData, count: int) -> None:
    """Refuse to score fewer images than neighbours need.

    Args:
        data: what was trained on.
        count: generated images, and held-out ones.

    Raises:
        InvalidInputError: when there are fewer than `LEAST_IMAGES`, or fewer of the held-out ones differ.
    """
    require(count >= LEAST_IMAGES, f"num_samples must be at least {LEAST_IMAGES} for images, found {count}.")
    check_held_out(data, count)


def score_images(
    data: AbstractImageData, samples: Samples, raw: Samples | None, held_out: Float[Tensor, "n C H W"]
) -> ImageScores:
    """Every number that fits the data and whose extractor is at hand; `check_images` first.

    Args:
        data: what was trained on.
        samples: generated images, and which particle made each.
        raw: images of the generators' positions as they are, where `samples` are of the moving average.
        held_out: real images that were not trained on; copies are left out.

    Raises:
        InvalidInputError: when a stored extractor is not right, or features of real images cannot be stored.
    """
    extractors, left_out = extractors_for(data)
    reference = _different(held_out)
    training = _different(data.training_draws(0, TRAINING).to(held_out.device))
    looks = [_look(one, samples.values, reference, training) for one in extractors]
    metrics: dict[str, float] = {}
    perfect: dict[str, float] = {}
    protocol = None
    for look in looks:
        numbers = _scores(data, look, samples.values, reference.images)
        metrics, perfect = metrics | numbers.metrics, perfect | numbers.perfect
        protocol = protocol or numbers.protocol
    first, name = looks[0], looks[0].extractor.metric
    of_particles, alone = _by_particle(first, samples.particle)
    metrics, left_out = metrics | of_particles, (*left_out, *alone)
    if raw is not None:
        metrics[f"{name}_raw"] = _distance(extract(first.extractor, raw.values).features, first.held_out.features, name)
    if not isinstance(data, StackedMNIST):  # whose triples are drawn anew each time
        if len(reference.images) >= NEEDED:
            metrics |= _memorisation(first)
        else:
            left_out += (_too_few(len(reference.images)),)
    return ImageScores(samples, metrics, perfect, first, training.images, len(reference.images), left_out, protocol)


def _different(images: Tensor) -> _Known:
    different = images[first_places(images)]
    return _Known(different, content_hash([different]))


def _too_few(found: int) -> str:
    return (
        f"memorised_share is left out: it needs {NEEDED} different held-out images, found {found}. Hold out "
        "more, or, where more are held out, ask for more samples: as many held-out images are drawn."
    )


def _look(extractor: AbstractExtractor, samples: Tensor, reference: _Known, training: _Known) -> Seen:
    extractor.check(tuple(samples.shape[1:]))
    extractor.to(samples.device)
    # Real images first: if their features cannot be stored, that is said before more work.
    held_out, trained = _known(extractor, reference), _known(extractor, training)
    return Seen(extractor, extract(extractor, samples), held_out, trained)


def _known(extractor: AbstractExtractor, real: _Known) -> Extracted:
    """What an extractor says about real images, which is kept on disk."""
    images = real.images
    cache = StatisticsCache(cache_folder() / "statistics")
    key = statistics_key(real.content, extractor.identity, len(images), "features")
    kept = cache.load(key)
    if kept is None:
        made = extract(extractor, images)
        arrays = {"features": made.features.cpu().numpy()}
        if made.logits is not None:
            arrays["logits"] = made.logits.cpu().numpy()
        cache.store(key, arrays)
        return made
    found = {name: torch.from_numpy(value).to(images.device) for name, value in kept.items()}
    return Extracted(found["features"], found.get("logits"))


def _scores(data: AbstractImageData, look: Seen, samples: Tensor, reference: Tensor) -> _Numbers:
    """All metrics through one extractor, and what real images score."""
    name, extractor = look.extractor.name, look.extractor
    metrics = feature_metrics(data, extractor, min(len(samples), len(reference))).to(reference.device)
    metrics.update(**observation(samples, reference, look.generated, look.held_out))
    found = {key: float(value) for key, value in metrics.compute().items()}
    # Distances fall with the number of images: as many real ones as generated ones, as far as there are.
    real = look.training.features[: len(samples)]
    floor, protocol = {extractor.metric: _distance(real, look.held_out.features, extractor.metric)}, None
    for metric in metrics.values():
        if isinstance(metric, PrecisionRecallDensityCoverage | StackedModes):
            floor |= metric.perfect()
        if isinstance(metric, StackedModes):
            protocol = metric.protocol()
    return _Numbers(_named(found, name), _named(floor, name), protocol)


def _named(scores: dict[str, float], extractor: str) -> dict[str, float]:
    return {f"{key}_{extractor}" if key in _SHARED else key: value for key, value in scores.items()}


def _distance(features: Tensor, held_out: Tensor, name: str) -> float:
    metric = FrechetDistance(name).to(features.device)
    metric.update(features, held_out)
    return float(metric.compute()[name])


def _by_particle(look: Seen, particle: Int64[Tensor, " n"]) -> tuple[dict[str, float], list[str]]:
    """The Frechet distance of each particle's own samples, from the features of the mixture's; sentences for others."""
    particles = torch.unique(particle).tolist()
    if len(particles) == 1:
        return {}, []
    real = feature_moments(look.held_out.features).mean_covariance()
    found, left_out = {}, []
    for one in particles:
        own, name = look.generated.features[particle == one], f"particle_{one}_{look.extractor.metric}"
        if len(own) < LEAST_IMAGES:
            left_out.append(
                f"{name} is left out: {len(own)} of the samples are its own, {LEAST_IMAGES} are needed; "
                f"--particle {one} draws from it alone."
            )
            continue
        found[name] = float(frechet_distance(*feature_moments(own).mean_covariance(), *real))
    return found, left_out


def _memorisation(look: Seen) -> dict[str, float]:
    metric = Memorisation(LEVEL).to(look.generated.features.device)
    metric.set_training(look.training.features)
    metric.update(look.generated.features, look.held_out.features)
    return {name: float(value) for name, value in metric.compute().items()}
