"""Every number about a finished run, as one flat record."""

import math
from importlib.metadata import version
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor
from torchmetrics import MetricCollection

from mixnash.core.errors import require
from mixnash.core.population import effective_size, entropy, size, stored_numbers
from mixnash.core.random import Purpose, stream
from mixnash.core.types import Population
from mixnash.data.base import AbstractDataModule, AbstractImageData, AbstractMixtureData
from mixnash.data.stacked_mnist import StackedMNIST
from mixnash.evaluation.equilibrium import Equilibrium
from mixnash.evaluation.image_scores import ImageScores, check_images, score_images
from mixnash.evaluation.load import LoadedRun
from mixnash.lit.base import Samples
from mixnash.lit.mode_shares import mode_shares
from mixnash.lit.scores import evaluation_metrics
from mixnash.metrics.mode_coverage import ModeCoverage
from mixnash.metrics.transport import SlicedWasserstein2, Wasserstein2

Plain: TypeAlias = str | int | float | bool | None
"""What a JSON object can hold as a value."""

PAYOFF_REAL, PAYOFF_LATENT = 1024, 256
"""Real samples, and latents per generator, behind the payoff matrix."""
REPEATS = 5
"""Sets of training samples behind the perfect value of a distance."""


class Result(NamedTuple):
    """Numbers about a run at one checkpoint."""

    metrics: dict[str, float]
    """Every metric by name."""
    perfect: dict[str, float]
    """What a perfect sampler scores under the same name, and its standard deviation under name + ``_std``.

    For mode coverage from `ModeCoverage.perfect`; for distances from `REPEATS` sets of training samples in place of
    generated ones. Squared MMD has none: it is unbiased, so about 0.
    """
    game: dict[str, int | float]
    """Both players' numbers of particles and parameters (all particles together), effective sizes 1 / sum p^2,
    entropies in nats, and the payoff matrix A: ``payoff_value`` p^T A q, ``payoff_min``, ``payoff_max``, and
    ``payoff_gap`` max_l (p^T A)_l - min_k (A q)_k, how much both players together gain by moving all their weight to
    their best particle; 0 at an equilibrium of the weights. Where modes can be counted also ``particle_overlap``,
    ``modes_per_particle`` and ``particles_alone`` of `metrics.functional.particles`."""
    about: dict[str, Plain]
    """What was evaluated and how."""
    equilibrium: Equilibrium | None = None
    """How far the mixtures are from equilibrium, if it was asked for."""
    images: ImageScores | None = None
    """What the numbers of images are of; None for points."""

    def flat(self) -> dict[str, Plain]:
        """One JSON-safe object. What is not finite becomes the text ``nan``, ``inf`` or ``-inf``."""
        perfect = {f"perfect_{name}": self.perfect[name] for name in sorted(self.perfect)}
        gap = {} if self.equilibrium is None else self.equilibrium.record()
        numbers = {name: _json_safe(value) for name, value in (self.metrics | perfect | self.game | gap).items()}
        return {**self.about, **numbers}


def evaluate(
    run: LoadedRun, num_samples: int = 10_000, seed: int = 0, averaged: bool = True, particle: int | None = None
) -> Result:
    """Score samples of the mixture, or of one of its particles, against held-out samples.

    Args:
        run: what to evaluate.
        num_samples: generated and held-out samples, at least 1; the metrics' time grows with its square.
        seed: of the samples and of the payoffs' latents.
        averaged: whether to use the moving average of the generators' positions.
        particle: which generator; all by their weights if None.

    Raises:
        InvalidInputError: when there are no samples, too few for a metric, or no such particle.
    """
    require(num_samples >= 1, f"num_samples must be at least 1, found {num_samples}.")
    if isinstance(run.data, AbstractImageData):
        check_images(run.data, num_samples)
    module, device = run.module, run.module.device
    samples = module.sample(num_samples, stream(device, seed, Purpose.EVALUATION), particle, averaged)
    reference = run.data.held_out(num_samples).to(device)
    metrics = evaluation_metrics(run.data).to(device)
    scores = _scores(metrics, samples.values, reference)
    rng = stream(device, seed, Purpose.EVALUATION)  # once more: the same latents
    images = _images(run, samples, reference, rng if averaged else None, particle)
    coverage = next((metric for metric in metrics.values() if isinstance(metric, ModeCoverage)), None)
    about: dict[str, Plain] = {
        "experiment": run.experiment,
        "checkpoint": str(run.checkpoint_path),
        "step": run.step,
        "num_samples": num_samples,
        "seed": seed,
        "averaged": averaged,
        "particle": particle,
        "device": str(device),
        "protocol": _protocol(coverage, images),
        "num_modes": _number_of_modes(run.data),
        "reference_images": None if images is None else images.references,
        "training_images": None if images is None else len(images.training),
        "left_out": None if images is None else " ".join(images.left_out),
        "mixnash_version": version("mixnash"),
        "torch_version": torch.__version__,
    }
    perfect = {} if coverage is None else coverage.perfect()
    perfect |= _distances_of_training_data(run.data, reference, num_samples)
    if images is not None:
        scores, perfect = scores | images.metrics, perfect | images.perfect
    game = _game(run, seed, averaged) | _particles(run, seed, averaged)
    return Result(scores, perfect, game, about, images=images)


def _images(
    run: LoadedRun, samples: Samples, reference: Tensor, rng: torch.Generator | None, particle: int | None
) -> ImageScores | None:
    """The scores of images; with a generator, also of the positions as they are."""
    if not isinstance(run.data, AbstractImageData):
        return None
    raw = None if rng is None else run.module.sample(len(samples.values), rng, particle, averaged=False)
    return score_images(run.data, samples, raw, reference)


def _protocol(coverage: ModeCoverage | None, images: ImageScores | None) -> str | None:
    """How modes were counted, where they can be."""
    if coverage is not None:
        return coverage.protocol()
    return None if images is None else images.protocol


def _number_of_modes(data: AbstractDataModule) -> int | None:
    if isinstance(data, AbstractMixtureData):
        return len(data.mixture.centres)
    return data.num_modes if isinstance(data, StackedMNIST) else None


def _scores(metrics: MetricCollection, samples: Tensor, reference: Tensor) -> dict[str, float]:
    metrics.reset()
    metrics.update(samples=samples.flatten(1), reference=reference.flatten(1))
    return {name: float(score) for name, score in metrics.compute().items()}


def _distances_of_training_data(data: AbstractDataModule, reference: Tensor, count: int) -> dict[str, float]:
    """Mean and standard deviation of each distance between real and held-out samples: it is not 0 for finitely many."""
    chosen = {
        name: metric
        for name, metric in evaluation_metrics(data).items()
        if isinstance(metric, SlicedWasserstein2 | Wasserstein2)
    }
    metrics = MetricCollection(dict(chosen)).to(reference.device)
    repeats = [
        _scores(metrics, data.training_draws(index, count).to(reference.device), reference) for index in range(REPEATS)
    ]
    values = {name: torch.tensor([scores[name] for scores in repeats]).double() for name in repeats[0]}
    means = {name: float(value.mean()) for name, value in values.items()}
    return means | {f"{name}_std": float(value.std()) for name, value in values.items()}


def _game(run: LoadedRun, seed: int, averaged: bool) -> dict[str, int | float]:
    module = run.module
    profile = module.profile(averaged)
    rng = stream(module.device, seed, Purpose.EVALUATION, 1)  # another stream than the samples'
    shape = (size(profile.generators), PAYOFF_LATENT, module.latent_dim)
    latent = torch.randn(shape, generator=rng, device=module.device)
    payoffs = module.payoffs(run.data.held_out(PAYOFF_REAL).to(module.device), latent, averaged).double()
    p, q = (population.log_weights.double().exp() for population in profile)
    return {
        **_player("generator", profile.generators),
        **_player("critic", profile.critics),
        "payoff_value": float(p @ payoffs @ q),
        "payoff_min": float(payoffs.min()),
        "payoff_max": float(payoffs.max()),
        "payoff_gap": float((p @ payoffs).max() - (payoffs @ q).min()),
    }


def _particles(run: LoadedRun, seed: int, averaged: bool) -> dict[str, int | float]:
    """How generators and modes are matched, where the data have modes that can be counted."""
    if not isinstance(run.data, AbstractMixtureData):
        return {}
    rng = stream(run.module.device, seed, Purpose.EVALUATION, 2)  # a stream of its own
    found = mode_shares(run.module, run.data.mixture, rng, averaged).compute()
    return {name: float(score) for name, score in found.items()}


def _player(name: str, population: Population) -> dict[str, int | float]:
    log_weights = population.log_weights.double()
    return {
        f"{name}s": size(population),
        f"{name}_effective_size": float(effective_size(log_weights)),
        f"{name}_entropy": max(0.0, float(entropy(log_weights))),
        f"parameters_{name}s": stored_numbers(population.params),
    }


def _json_safe(value: int | float) -> Plain:
    return value if math.isfinite(value) else str(float(value))
