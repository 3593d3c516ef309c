"""The duality gap of a GAN: its own data, latents and networks for the search of `equilibrium.duality_gap`."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple, final

import torch
from torch import Tensor

from mixnash.core.errors import require
from mixnash.core.population import size
from mixnash.core.random import Purpose, mix_key, stream
from mixnash.core.types import BOTH, Batch, NetworkFunctions, Networks, Params, Player, Players, Point, Profile
from mixnash.data.base import AbstractDataModule
from mixnash.equilibrium.duality_gap import DualityGap, GapDraws, duality_gap, promising_atoms, require_bounded
from mixnash.equilibrium.starts import make_starts
from mixnash.lit.base import AbstractGAN
from mixnash.lit.draws import StepDraws

_STARTS, _FRESH, _TRAIN, _SPLIT, _SEARCH, _SCORE, _NOISE = range(7)  # streams
_LEAST = 16
"""Latents per generator in a critic's update at least: enough for a few packs."""
_BOX = 4096
"""Real samples whose box generators are kept near."""


class SearchPlan(NamedTuple):
    """How hard to search for deviations, and how precisely to score them."""

    marks: tuple[int, ...]
    """Updates after which candidates are looked at, from 0; the last is the budget."""
    starts: int = 4
    """Of each kind for each player: most promising atoms, perturbed atoms, fresh networks."""
    noise: float = 0.25
    """Standard deviation of the perturbation, relative to the root mean square of each parameter tensor."""
    train_samples: int = 256
    """Real samples per update, and generated ones of the whole mixture."""
    generator_samples: int = 64
    """Latents per generator that deviates, for its updates, and least of each generator for choosing and scoring."""
    samples: int = 512
    """Real samples per batch for choosing and scoring."""
    search_batches: int = 16
    """For choosing."""
    score_batches: int = 50
    """For scoring, at least 2."""
    margin: float = 0.1
    """Generators, deviating ones and the mixture's own, play in the box of the real samples, widened on each side by
    this share of its length: beyond the data nothing holds a critic down, and a generator that runs away gains without
    bound, whatever the mixtures are."""


def measure_gap(
    module: AbstractGAN, data: AbstractDataModule, plan: SearchPlan, seed: int, step: int, averaged: bool
) -> DualityGap:
    """A lower bound of the duality gap of a GAN's mixtures.

    Deviators are trained on the training data, chosen on one part of the held-out data and scored on another. All draws
    come from streams of their own: neither training nor the global random state is disturbed. Samples are clipped to
    the widened box of the real ones, see `SearchPlan.margin`: this is what bounds the generators' side.

    Args:
        module: the GAN; its parameters stay as they are.
        data: where real samples come from.
        plan: the effort.
        seed: of every draw.
        step: steps of the run so far; deviators see the training samples of the steps after it.
        averaged: whether to take the moving average of the generators' positions.

    Raises:
        InvalidInputError: when critics can win without bound, the plan is out of range, or fewer than two held-out
            samples differ.
    """
    require_bounded(module.game)
    profile, device = module.profile(averaged), module.device
    train = _TrainingDraws(module, data, plan, size(profile.generators), _key(seed, _TRAIN), step)
    counts = plan.samples * plan.search_batches, plan.samples * plan.score_batches
    choosing, scoring = split_held_out(data, *counts, seed)
    latents = max(plan.generator_samples, math.ceil(plan.samples / size(profile.generators)))
    draws = GapDraws(
        train,
        _batches(module, choosing, plan.samples, latents, _key(seed, _SEARCH)),
        _batches(module, scoring, plan.samples, latents, _key(seed, _SCORE)),
    )
    networks = _kept_near_the_data(module.networks, data.training_draws(step, _BOX).to(device), plan.margin)
    rng = stream(device, seed, Purpose.EQUILIBRIUM, _STARTS)
    starts = Point(*(_starts(module, networks, profile, player, plan, draws.search, seed, rng) for player in Player))
    noise = stream(device, seed, Purpose.EQUILIBRIUM, _NOISE)
    return duality_gap(module.game, networks, profile, starts, draws, plan.marks, noise)


def _kept_near_the_data(networks: Networks, real: Tensor, margin: float) -> Networks:
    """The same generators with their samples clipped to the widened box of real samples [n, *event]."""
    low, high = real.amin(0), real.amax(0)
    wider = margin * (high - low)
    low, high = low - wider, high + wider
    whole = networks.generator

    def single(params: Params, latent: Tensor) -> Tensor:
        return whole.single(params, latent).clamp(low, high)

    def stacked(params: Params, latent: Tensor) -> Tensor:
        return whole.stacked(params, latent).clamp(low, high)

    return networks._replace(generator=NetworkFunctions(single, stacked))


def _starts(
    module: AbstractGAN,
    networks: Networks,
    profile: Profile,
    player: Player,
    plan: SearchPlan,
    batches: Sequence[Batch],
    seed: int,
    rng: torch.Generator,
) -> Params:
    own = profile.generators if player is Player.GENERATOR else profile.critics
    order = promising_atoms(module.game, networks, profile, player, batches)
    fresh = module.fresh(player, plan.starts, _key(seed, _FRESH, list(Player).index(player)))
    return make_starts(own.params, order, plan.starts, plan.noise, fresh, rng)


def _key(seed: int, *parts: int) -> int:
    return mix_key(seed, Purpose.EQUILIBRIUM, *parts)


@final
class _TrainingDraws:
    """Training samples and latents for the updates of deviators; each player's search has its own count."""

    def __init__(
        self,
        module: AbstractGAN,
        data: AbstractDataModule,
        plan: SearchPlan,
        generators: int,
        seed: int,
        step: int,
    ) -> None:
        self._module, self._data, self._plan = module, data, plan
        self._generators, self._seed, self._step = generators, seed, step
        self._made: Counter[Players] = Counter()

    def __call__(self, players: Players) -> Batch:
        """The draws of the player's next update."""
        index = self._step + self._made[players]
        self._made[players] += 1
        real = self._data.training_draws(index, self._plan.train_samples).to(self._module.device)
        return StepDraws(
            real.unsqueeze(0),
            self._seed,
            index,
            self._module.latent_dim,
            self._generators,
            generator_samples=self._plan.generator_samples,
            critic_samples=max(_LEAST, math.ceil(self._plan.train_samples / self._generators)),
        )(players)


def split_held_out(data: AbstractDataModule, first: int, second: int, seed: int) -> tuple[Tensor, Tensor]:
    """Held-out samples in two parts that have none in common, in random order.

    Where there are fewer different ones than asked for, such as of images, each part repeats those of its own half.
    """
    held_out = data.held_out(first + second)
    distinct = torch.unique(held_out, dim=0)
    require(
        len(distinct) >= 2,
        f"Choosing and scoring need held-out samples of their own, found {len(distinct)} different one.",
    )
    rng = stream(torch.device("cpu"), seed, Purpose.EQUILIBRIUM, _SPLIT)
    mixed = distinct[torch.randperm(len(distinct), generator=rng)]
    cut = first if len(distinct) >= first + second else len(distinct) // 2
    return _filled(mixed[:cut], first, rng), _filled(mixed[cut:], second, rng)


def _filled(samples: Tensor, count: int, rng: torch.Generator) -> Tensor:
    if len(samples) >= count:
        return samples[:count]
    return samples[torch.randint(len(samples), (count,), generator=rng)]


def _batches(module: AbstractGAN, real: Tensor, samples: int, latents: int, seed: int) -> list[Batch]:
    """Batches for one generator, each with its own real samples."""
    return [
        StepDraws(own.unsqueeze(0).to(module.device), seed, index, module.latent_dim, 1, latents, latents)(BOTH)
        for index, own in enumerate(torch.split(real, samples))
    ]
