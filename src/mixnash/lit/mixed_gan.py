"""GANs over mixed strategies: any game, dynamics, rules and populations."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, final

import torch
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor

from mixnash.core.augmentations.base import AbstractAugmentation
from mixnash.core.dynamics.base import AbstractDynamics
from mixnash.core.errors import require
from mixnash.core.feedback import Evaluate, GameOracle, feedback
from mixnash.core.games.augmented import AugmentedGame
from mixnash.core.games.base import AbstractGame
from mixnash.core.games.packed import PackedGame, packed_shape
from mixnash.core.population import effective_size, entropy, make_population, stack
from mixnash.core.random import Purpose, StepNoise, stream
from mixnash.core.sampled_oracle import SampledOracle
from mixnash.core.sections import section
from mixnash.core.tree import Leaf, flatten, unflatten
from mixnash.core.types import Batch, Feedback, Networks, Params, Player, Point, Population, Profile, RuleState
from mixnash.lit.base import AbstractGAN
from mixnash.lit.compiled import compiled, evaluated_on
from mixnash.lit.draws import StepDraws, has_uneven_shares, paired, shuffled
from mixnash.lit.finite import FiniteGuard
from mixnash.lit.gradient_norms import draw_norms, gradient_norms, norm_metrics
from mixnash.lit.memory import check_copies_fit
from mixnash.lit.mixed_checks import (
    check_counts,
    check_pairs,
    check_sampled,
    check_separable,
    check_shared_batch,
    check_unwrapped,
)
from mixnash.lit.mixed_precision import NetworkPrecision, precision_of
from mixnash.lit.parallel.mesh import Mesh
from mixnash.lit.parallel.ownership import Ownership
from mixnash.lit.parallel.strategy import mesh_of
from mixnash.lit.particles import AveragedParams, ParticleStore
from mixnash.lit.reduce import combine
from mixnash.lit.step_optimizer import StepOptimizer
from mixnash.networks.base import AbstractCritic, AbstractGenerator, functions_of, newly_made, parameters_of
from mixnash.networks.normalizations import mixes_samples

STATE = "mixnash_state"
"""The key of the dynamics' state in a checkpoint."""
PRECISION = "mixnash_precision"
"""The key of the loss scale in a checkpoint; missing where there was none."""


@final
class MixedGAN(AbstractGAN):
    """Trains K generators against L critics as two mixed strategies.

    Args:
        event_shape: shape of one sample; set from the data.
        generator: makes one generator; called K times, so every particle has its own initialisation.
        critic: makes one critic; called L times.
        game: the payoff.
        dynamics: who moves when, by which rules.
        num_generators: K >= 1.
        num_critics: L >= 1.
        generator_samples: latents per generator and step for its own gradient; batch size / K, rounded up, if None.
        critic_samples: latents per generator for each critic update; batch size / K, rounded up, if None.
        packing: m >= 1; critics judge packs of m samples of one generator, see `PackedGame`, and their factory is given
            the shape [m, *event_shape]. All sample counts must be multiples of m; their defaults are rounded up.
        sampled_generators: how many generators, drawn by their weights, the critics meet in each evaluation with fresh
            draws, at most K, see `SampledOracle`; all if None. Drawn ones use `critic_samples` latents each.
        sampled_critics: how many critics the generators meet, at most L; all if None.
        ema_decay: decay per step of the generators' moving average, in [0, 1); 0 switches it off. It starts
            anew where the dynamics puts another generator in one's place.
        seed: of every draw; set from `seed_everything`.
        augmentation: changes all samples, real and generated, before critics see them in training, see
            `AugmentedGame`; evaluation is without it. None for none.
        compile: whether networks go through `torch.compile` in training, see `lit.compiled`.

    Raises:
        InvalidInputError: when a count is below 1, the decay outside [0, 1), more players are sampled than there are,
            what is to be augmented is no image, or a critic of several generators normalises by batches.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        generator: Callable[[Sequence[int]], AbstractGenerator],
        critic: Callable[[Sequence[int]], AbstractCritic],
        game: AbstractGame,
        dynamics: AbstractDynamics,
        num_generators: int = 8,
        num_critics: int = 1,
        generator_samples: int | None = None,
        critic_samples: int | None = None,
        packing: int = 1,
        sampled_generators: int | None = None,
        sampled_critics: int | None = None,
        ema_decay: float = 0.99,
        seed: int = 0,
        augmentation: AbstractAugmentation | None = None,
        compile: bool = False,
    ) -> None:
        super().__init__()
        check_counts(
            {"num_generators": num_generators, "num_critics": num_critics},
            {"generator_samples": generator_samples, "critic_samples": critic_samples},
            packing,
        )
        check_sampled({"generators": (sampled_generators, num_generators), "critics": (sampled_critics, num_critics)})
        self.automatic_optimization = False
        self.seed = seed
        self._game, self._dynamics = _as_played(game, packing, event_shape, augmentation), dynamics
        self._augmentation_draws = 0 if augmentation is None else augmentation.draws
        self._generator_samples, self._critic_samples, self._packing = generator_samples, critic_samples, packing
        self._sampled = sampled_generators, sampled_critics
        critic_shape = packed_shape(event_shape, packing)
        self._make = {
            Player.GENERATOR: lambda: generator(event_shape),
            Player.CRITIC: lambda: critic(critic_shape),
        }
        generators = [generator(event_shape) for _ in range(num_generators)]
        critics = [critic(critic_shape) for _ in range(num_critics)]
        check_pairs(critics[0], num_generators)
        self._normalises_by_batches = any(mixes_samples(one) for one in (generators[0], critics[0]))
        self._latent_dim = generators[0].latent_dim
        self._networks = Networks(functions_of(generators[0]), functions_of(critics[0]))
        self._trained_networks = compiled(self._networks) if compile else self._networks
        self._precision = NetworkPrecision()
        self.generators = ParticleStore(make_population(stack([parameters_of(one) for one in generators])))
        self.critics = ParticleStore(make_population(stack([parameters_of(one) for one in critics])))
        self.averaged = AveragedParams(self.generators.population().params, ema_decay)
        self._state: RuleState = None
        self._saved_state: dict[str, Leaf] | None = None
        self._saved_precision: dict[str, Any] = {}
        self._guard = FiniteGuard()
        self._own = Ownership(Mesh(), num_generators, num_critics, self.traffic)
        self._whole: Mapping[bool, Profile] | None = None
        self.evaluate: Evaluate = feedback
        """How steps evaluate the game; to be wrapped by those who count."""

    @property
    def draws_per_step(self) -> int:
        """As many as the dynamics consumes."""
        return self._dynamics.draws_per_step

    @property
    def latent_dim(self) -> int:
        """Length of a latent."""
        return self._latent_dim

    @property
    def game(self) -> AbstractGame:
        """As given, on packs if there is packing, on augmented samples if batches bring draws for them."""
        return self._game

    @property
    def networks(self) -> Networks:
        """As given."""
        return self._networks

    def fresh(self, player: Player, count: int, seed: int) -> Params:
        """Networks by the player's factory."""
        return newly_made(self._make[player], count, seed, self.device)

    @property
    def can_share_particles(self) -> bool:
        """If the dynamics moves particles one by one, and none of them are sampled."""
        return True

    def setup(self, stage: str) -> None:
        """Keep the particles that this process owns.

        Raises:
            InvalidInputError: when particles cannot be shared out, or not to so many processes, or a batch cannot.
        """
        super().setup(stage)
        mesh = mesh_of(self.trainer)
        check_shared_batch(mesh.data_ranks, self._normalises_by_batches)
        if mesh.particle_ranks > 1 and not self._own.is_partial:
            check_separable(self._dynamics, self._sampled)
            generators, critics = len(self.generators.log_weights), len(self.critics.log_weights)
            self._own = Ownership(mesh, generators, critics, self.traffic)
            for player, stores in self._stores().items():
                for store in stores:
                    store.keep(self._own.shares[player])

    def _stores(self) -> dict[Player, tuple[ParticleStore | AveragedParams, ...]]:
        return {Player.GENERATOR: (self.generators, self.averaged), Player.CRITIC: (self.critics,)}

    def everyones(self, player: Player, rows: Tensor) -> Tensor:
        """Gathered from the processes that own them."""
        return self._own.everyones(player, rows)

    def _chosen(self, params: Params, latent: Tensor, origin: Tensor, rows: Tensor) -> Tensor:
        """Every process makes the samples of its own generators, for all."""
        if not self._own.is_partial:
            return super()._chosen(params, latent, origin, rows)
        made = self._made(params, latent, origin, self._own.shares[Player.GENERATOR].first)
        return self._own.completed(made)[rows]

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Bring all particles to the first process for a while."""
        if self._own.is_partial:
            raw, averaged = self.profile(averaged=False), self.profile(averaged=True)
            critics = self._brought(Player.CRITIC, raw.critics)
            self._whole = {
                mean: Profile(self._brought(Player.GENERATOR, one.generators), critics)
                for mean, one in ((False, raw), (True, averaged))
            }
        try:
            yield
        finally:
            self._whole = None

    def _brought(self, player: Player, population: Population) -> Population:
        return population._replace(params=self._own.whole_params(player, population.params, self.device))

    def profile(self, averaged: bool) -> Profile:
        """Both mixed strategies, the generators' positions averaged or raw; of positions, those that are here."""
        if self._whole is not None:
            return self._whole[averaged]
        generators = self.generators.population()
        if averaged:
            generators = Population(self.averaged.params(), generators.log_weights)
        return Profile(generators, self.critics.population())

    def generate(self, params: Params, latent: Tensor) -> Tensor:
        """One generator on latents [n, latent_dim]."""
        return self._networks.generator.single(params, latent)

    def criticise(self, params: Params, samples: Tensor) -> Tensor:
        """One critic on samples, its constraint applied.

        With packing, on packs of m equal samples, the diagonal of the critic's domain: its score is low both where real
        samples are rare and where they are seldom drawn together.
        """
        stacked = {name: leaf.unsqueeze(0) for name, leaf in params.items()}
        effective = {name: leaf[0] for name, leaf in self._game.constrain_critic(stacked).items()}
        if self._packing > 1:
            samples = samples.unsqueeze(1).expand(-1, self._packing, *samples.shape[1:])
        return self._networks.critic.single(effective, samples)

    def payoffs(self, real: Tensor, latent: Tensor, averaged: bool) -> Tensor:
        """The payoff matrix, without the critics' penalty."""
        real = shuffled(real, self.seed) if self._packing > 1 else real
        mix = torch.zeros(latent.shape[:2], device=real.device)
        batch = Batch(real.unsqueeze(0), latent, paired(real, *latent.shape[:2]), mix)
        return feedback(self._game, self._networks, self.profile(averaged), batch, frozenset()).values

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """The optimiser that only counts; rules move the players."""
        return StepOptimizer(self.parameters())

    def on_fit_start(self) -> None:
        """Build the dynamics' state where the parameters are, or restore the saved one."""
        counts = {"batch_size": self.datamodule.batch_size, **self._sample_counts()}
        self.datamodule.whole_batches = has_uneven_shares(counts, mesh_of(self.trainer).data_ranks, self._packing)
        profile = Profile(self.generators.population(), self.critics.population())
        check_copies_fit(self._dynamics, profile, self.device)
        self._precision = precision_of(self.trainer)
        self._precision.load_state_dict(self._saved_precision)
        self._state = self._dynamics.init(profile)
        if self._saved_state is not None:
            owners = self._own.owners(self._dynamics, profile)
            self._state = unflatten(self._state, self._own.cut(self._saved_state, owners))
            self._saved_state = None

    def training_step(self, batch: Tensor, batch_idx: int) -> None:
        """One step of the dynamics on real samples [draws, B, *event]."""
        del batch_idx
        optimizer = self.optimizers()
        assert not isinstance(optimizer, list)
        with self._precision.alone(self.device):
            optimizer.step(closure=lambda: self._advance(batch))

    def _advance(self, real: Tensor) -> None:
        step, mesh = self.global_step, mesh_of(self.trainer)
        draws = StepDraws(
            real,
            self.seed,
            step,
            self._latent_dim,
            len(self.generators.log_weights),
            **self._sample_counts(),
            rank=mesh.data_index,
            world_size=mesh.data_ranks,
            augmentation=self._augmentation_draws,
            training=True,
            is_whole=self.datamodule.whole_batches,
            packing=self._packing,
        )
        plain, fast = (self._precision.around(one) for one in (self._networks, self._trained_networks))
        evaluate = self._precision.watched(evaluated_on(fast, self._own.evaluated(self.evaluate)))
        exact = GameOracle(self._game, plain, draws, self._combined_and_watched, evaluate)
        oracle = SampledOracle(exact, *self._sampled, stream(self.device, self.seed, Purpose.OPPONENTS, step))
        rng = StepNoise(self.device, (self.seed, Purpose.POSITION_NOISE, step), self._own.shares)
        before = self._state
        with section("dynamics"):
            self._state, seen = self._dynamics.step(before, oracle, rng)
        if not self._precision.accepts(mesh, self.traffic):
            self._state = before
        profile = self._dynamics.profile(self._state)
        self.generators.assign(profile.generators)
        self.critics.assign(profile.critics)
        newcomers = self._dynamics.newcomers(before, self._state)
        with section("average"):
            self.averaged.update(profile.generators.params, step + 1, newcomers)
        if self.is_log_step(step + 1):
            with section("logging"):
                self._guard.check()
                self._log_step(seen)

    def _combined_and_watched(self, feedback: Feedback) -> Feedback:
        combined = combine(feedback, mesh_of(self.trainer), self.traffic)
        self._guard.watch(self.global_step, combined.values, combined.critic_losses)
        return combined

    def _sample_counts(self) -> dict[str, int]:
        packs = math.ceil(self.datamodule.batch_size / (len(self.generators.log_weights) * self._packing))
        share = packs * self._packing
        return {
            "generator_samples": self._generator_samples or share,
            "critic_samples": self._critic_samples or share,
        }

    def _log_step(self, seen: Feedback) -> None:
        profile = self._dynamics.profile(self._state)
        p, q = profile.generators.log_weights.exp(), profile.critics.log_weights.exp()
        positions = Point(profile.generators.params, profile.critics.params)
        norms = {player: self.everyones(player, own) for player, own in gradient_norms(seen, positions).items()}
        draw_norms(norms, self.trainer.loggers, self.global_step + 1)
        self.log_dict(
            {
                "loss/generators": p @ seen.generator_losses,
                "loss/critics": q @ seen.critic_losses,
                "payoff/mean": p @ seen.values @ q,
                "payoff/spread": seen.values.amax() - seen.values.amin(),
                "weights/generator_entropy": entropy(profile.generators.log_weights),
                "weights/generator_effective_size": effective_size(profile.generators.log_weights),
                "weights/critic_entropy": entropy(profile.critics.log_weights),
                "weights/critic_effective_size": effective_size(profile.critics.log_weights),
                **{f"rules/{name}": value for name, value in self._dynamics.diagnostics(self._state).items()},
                **norm_metrics(norms),
            }
        )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the dynamics' state; refuse to save a run that is no longer finite.

        Raises:
            NonFiniteError: naming player, particle and step.
        """
        super().on_save_checkpoint(checkpoint)
        checkpoint["state_dict"] = self._own.collected(checkpoint["state_dict"], self._owners())
        if self._state is not None:
            owners = self._own.owners(self._dynamics, self.profile(averaged=False))
            checkpoint[STATE] = self._own.collected(flatten(self._state), owners)
            checkpoint[PRECISION] = self._precision.state_dict()

    def _owners(self) -> dict[str, Player]:
        """Whose particles the rows of this module's tensors are."""
        names = {id(store): name for name, store in self.named_children()}
        return {
            f"{names[id(store)]}.{leaf}": player
            for player, stores in self._stores().items()
            for store in stores
            for leaf in store.positions()
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the dynamics' state until the device is known.

        Raises:
            InvalidInputError: when the checkpoint was not written by a `MixedGAN`.
        """
        require(
            STATE in checkpoint,
            "The checkpoint holds no dynamics state, so training cannot go on from it: give one that `train.py fit` "
            "wrote. Distilled and reweighted checkpoints are for evaluation and sampling.",
        )
        checkpoint["state_dict"] = self._own.cut(checkpoint["state_dict"], self._owners())
        super().on_load_checkpoint(checkpoint)
        self._saved_state = checkpoint[STATE]
        self._saved_precision = checkpoint.get(PRECISION, {})


def _as_played(
    game: AbstractGame, packing: int, event_shape: Sequence[int], augmentation: AbstractAugmentation | None
) -> AbstractGame:
    """The game on packs if there is packing, on augmented samples if there is an augmentation."""
    check_unwrapped(game)
    packed = game if packing == 1 else PackedGame(game, packing)
    if augmentation is None:
        return packed
    augmentation.check(event_shape)
    return AugmentedGame(packed, augmentation)
