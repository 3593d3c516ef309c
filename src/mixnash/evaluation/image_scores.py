"""Scores of images: everything that needs features, from one look at every image."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from mixnash.cache_folder import cache_folder
from mixnash.data.base import AbstractImageData
from mixnash.data.distinct import first_places
from mixnash.data.stacked_mnist import StackedMNIST
from mixnash.lit.base import Samples
from mixnash.lit.extractors import extractors_for
from mixnash.lit.observation import observation
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
    """What real images score, where that is known: Frechet distances of one set of training images."""
    seen: Seen
    """Through the extractor that knows most about the data."""
    training: Float[Tensor, "t C H W"]
    """The training images behind ``seen.training``."""
    references: int
    """Different held-out images that samples were compared with."""
    left_out: tuple[str, ...]
    """A sentence for each number that is missing, and why."""


def score_images(
    data: AbstractImageData, samples: Samples, raw: Samples | None, held_out: Float[Tensor, "n C H W"]
) -> ImageScores:
    """Every number that fits the data and whose extractor is at hand.

    Args:
        data: what was trained on.
        samples: generated images, and which particle made each.
        raw: images of the generators' positions as they are, where `samples` are of the moving average.
        held_out: real images that were not trained on; copies are left out.

    Raises:
        InvalidInputError: when there are too few images for a metric, or a stored extractor is not right.
    """
    extractors, left_out = extractors_for(data)
    reference = held_out[first_places(held_out).to(held_out.device)]
    drawn = data.training_draws(0, TRAINING).to(held_out.device)
    training = drawn[first_places(drawn).to(drawn.device)]
    looks = [_look(one, samples.values, reference, training) for one in extractors]
    metrics: dict[str, float] = {}
    perfect: dict[str, float] = {}
    for look in looks:
        found, floor = _scores(data, look, samples, reference)
        metrics, perfect = metrics | found, perfect | floor
    first = looks[0]
    metrics |= _by_particle(first, samples.particle)
    if raw is not None:
        again = first._replace(generated=extract(first.extractor, raw.values))
        metrics[f"{first.extractor.metric}_raw"] = _distance(again.generated, first.held_out, first.extractor.metric)
    if len(reference) >= NEEDED and not isinstance(data, StackedMNIST):
        metrics |= _memorisation(first)
    elif not isinstance(data, StackedMNIST):
        left_out += (
            f"memorised_share is left out: it needs {NEEDED} different held-out images, found {len(reference)}.",
        )
    return ImageScores(samples, metrics, perfect, first, training, len(reference), left_out)


def _look(extractor: AbstractExtractor, samples: Tensor, reference: Tensor, training: Tensor) -> Seen:
    extractor.check(tuple(samples.shape[1:]))
    extractor.to(samples.device)
    return Seen(extractor, extract(extractor, samples), _known(extractor, reference), _known(extractor, training))


def _known(extractor: AbstractExtractor, images: Tensor) -> Extracted:
    """What an extractor says about real images, which is kept on disk."""
    cache = StatisticsCache(cache_folder() / "statistics")
    key = statistics_key(content_hash([images]), extractor.identity, len(images), "features")
    kept = cache.load(key)
    if kept is None:
        made = extract(extractor, images)
        arrays = {"features": made.features.cpu().numpy()}
        if made.logits is not None:
            arrays["logits"] = made.logits.cpu().numpy()
        cache.store(key, arrays)
        return made
    features, *logits = (torch.from_numpy(kept[name]).to(images.device) for name in sorted(kept))
    return Extracted(features, logits[0] if logits else None)


def _scores(
    data: AbstractImageData, look: Seen, samples: Samples, reference: Tensor
) -> tuple[dict[str, float], dict[str, float]]:
    """All metrics through one extractor, and what real images score."""
    name, extractor = look.extractor.name, look.extractor
    metrics = feature_metrics(data, extractor, min(len(samples.values), len(reference))).to(reference.device)
    metrics.update(**observation(samples.values, reference, look.generated, look.held_out))
    found = {key: float(value) for key, value in metrics.compute().items()}
    floor = {extractor.metric: _distance(look.training, look.held_out, extractor.metric)}
    for metric in metrics.values():
        if isinstance(metric, PrecisionRecallDensityCoverage | StackedModes):
            floor |= metric.perfect()
    return _named(found, name), _named(floor, name)


def _named(scores: dict[str, float], extractor: str) -> dict[str, float]:
    return {f"{key}_{extractor}" if key in _SHARED else key: value for key, value in scores.items()}


def _distance(generated: Extracted, held_out: Extracted, name: str) -> float:
    metric = FrechetDistance(name).to(generated.features.device)
    metric.update(generated.features, held_out.features)
    return float(metric.compute()[name])


def _by_particle(look: Seen, particle: Int64[Tensor, " n"]) -> dict[str, float]:
    """The Frechet distance of each particle's own samples, from the features of the mixture's."""
    particles = torch.unique(particle).tolist()
    if len(particles) == 1:
        return {}
    real = feature_moments(look.held_out.features).mean_covariance()
    found = {}
    for one in particles:
        own = look.generated.features[particle == one]
        if len(own) >= 2:
            distance = frechet_distance(*feature_moments(own).mean_covariance(), *real)
            found[f"particle_{one}_{look.extractor.metric}"] = float(distance)
    return found


def _memorisation(look: Seen) -> dict[str, float]:
    metric = Memorisation(LEVEL).to(look.generated.features.device)
    metric.set_training(look.training.features)
    metric.update(look.generated.features, look.held_out.features)
    return {name: float(value) for name, value in metric.compute().items()}
