"""How to read numbers about images, whose names carry the extractor that saw them."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Reading(NamedTuple):
    """What a metric is called and how to read it."""

    label: str
    sentence: str


WHOLE: Mapping[str, Reading] = MappingProxyType(
    {
        "fid_raw": Reading("FID: not averaged", "The same of the generators' positions as they are, not averaged."),
        "fid": Reading(
            "FID",
            "Frechet distance of Inception features to held-out images. Falls with the number of samples: say n.",
        ),
        "stacked_modes": Reading("Modes covered", "Of the thousand triples of digits, those with at least one sample."),
        "stacked_kl_uniform": Reading(
            "KL to uniform", "How far the triples' shares are from equal ones, in nats. Published tables have this one."
        ),
        "stacked_kl_data": Reading("KL to the data", "The same against the shares that the training digits have."),
        "confident_modes": Reading(
            "Confident modes", "Counted among samples whose every digit has a probability of 0.99."
        ),
        "confident_share": Reading("Confident share", "Samples whose every digit has a probability of at least 0.99."),
        "memorised_share": Reading(
            "Memorised share",
            "Samples nearer to one of at most 10,000 training images than 99 of 100 held-out images are. A perfect "
            "sampler scores 0.01.",
        ),
        "authentic_share": Reading(
            "Authentic share",
            "Samples farther from their nearest training image than that one is from its own nearest neighbour.",
        ),
        "held_out_authentic_share": Reading("The same of held-out images", "What a perfect sampler scores."),
    }
)
"""By whole names."""

BEGINNINGS: Mapping[str, Reading] = MappingProxyType(
    {
        "fd_": Reading("Frechet distance", "Of Gaussians fitted to features. Falls with the number of samples."),
        "kid_": Reading("Kernel distance", "Squared MMD of features, unbiased: about 0, even negative, if equal."),
        "is_": Reading("Inception score", "Sure classes, all of them: from 1 to the number of classes."),
        "precision_": Reading("Precision", "Share of samples among the real ones, within balls to neighbour 5."),
        "recall_": Reading(
            "Recall", "Share of real images among the samples, likewise. Junk far and wide is rewarded."
        ),
        "density_": Reading(
            "Density", "How many real balls hold a sample, by neighbours. 1 is perfect, more too central."
        ),
        "coverage_": Reading("Coverage", "Share of real images with a sample in their ball."),
    }
)
"""By how names begin; what follows is the extractor."""

ENDINGS: Mapping[str, Reading] = MappingProxyType(
    {
        "_raw": Reading("not averaged", "The same of the generators' positions as they are, not averaged."),
        "_std": Reading(
            "sd", "Standard deviation over the random subsets of the kernel distance; 0 where each is all there is."
        ),
    }
)
"""What is added to labels, and sentences, by how names end."""

_PARTICLE = re.compile(r"particle_(?P<number>\d+)_(?P<distance>.+)")


def image_reading(name: str) -> Reading:
    """What to call a number about images; its name with spaces if it is unknown."""
    if name in WHOLE:
        return WHOLE[name]
    particle = _PARTICLE.fullmatch(name)
    if particle is not None:
        distance = image_reading(particle["distance"]).label
        return Reading(f"{distance}, particle {particle['number']}", "Of its own samples, of which there are fewer.")
    for beginning, reading in BEGINNINGS.items():
        if name.startswith(beginning):
            of = name.removeprefix(beginning)
            for ending, (words, sentence) in ENDINGS.items():
                if of.endswith(ending):
                    return Reading(f"{reading.label}: {of.removesuffix(ending)}, {words}", sentence)
            return Reading(f"{reading.label}: {of}", reading.sentence)
    return Reading(name.replace("_", " "), "")
