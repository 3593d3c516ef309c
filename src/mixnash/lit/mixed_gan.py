"""GANs over mixed strategies: any game, dynamics, rules and populations."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, final

import torch
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor

from mixnash.core.augmentations.base import AbstractAugmentation
from mixnash.core.dynamics.base import AbstractDynamics
from mixnash.core.errors import require
from mixnash.core.feedback import Evaluate, feedback
from mixnash.core.games.base import AbstractGame
from mixnash.core.games.packed import packed_shape
from mixnash.core.population import make_population, stack
from mixnash.core.sections import section
from mixnash.core.tree import Leaf
from mixnash.core.types import Batch, Feedback, Networks, Params, Player, Point, Profile
from mixnash.lit.base import AbstractGAN
from mixnash.lit.compiled import compiled
from mixnash.lit.draws import paired, shuffled
from mixnash.lit.finite import FiniteGuard
from mixnash.lit.gradient_norms import draw_norms, gradient_norms, norm_metrics
from mixnash.lit.imagined_training import ImaginedTraining
from mixnash.lit.memory import check_copies_fit
from mixnash.lit.mixed_checks import (
    as_played,
    check_counts,
    check_pairs,
    check_parts,
    check_sampled,
    check_separable,
    check_shared_batch,
)
from mixnash.lit.mixed_precision import NetworkPrecision, precision_of
from mixnash.lit.parallel.holdings import Holdings
from mixnash.lit.parallel.ownership import Ownership
from mixnash.lit.parallel.strategy import mesh_of
from mixnash.lit.particles import AveragedParams, ParticleStore
from mixnash.lit.step_memory import StepMemory
from mixnash.lit.step_metrics import step_metrics
from mixnash.lit.step_optimizer import StepOptimizer
from mixnash.lit.step_oracles import Samples, StepOracles
from mixnash.lit.stepper import PRECISION, STATE, Place, Stepper
from mixnash.networks.base import AbstractCritic, AbstractGenerator, functions_of, newly_made, parameters_of
from mixnash.networks.normalizations import mixes_samples


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
        fixed_parts: M, a power of two that divides all sample counts: evaluations are made in M parts of the batch, so
            that any power of two of processes, up to M, that share the batch out makes the same run bit for bit, see
            `Pairwise`. None evaluates at once; then runs are equal but for rounding, which Adam enlarges.
        memory_limit: GiB that a step may take on one device, positive; evaluations are split into as many micro-batches
            and chunks of critics as that needs, see `Accumulated`. None evaluates at once, however much it takes.

    Raises:
        InvalidInputError: when a count is below 1, the decay outside [0, 1), more players are sampled than there are,
            what is to be augmented is no image, a critic of several generators normalises by batches, or a network
            does whose batches are to be split; when training starts, if fixed parts would not be equal.
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
        memory_limit: float | None = None,
        fixed_parts: int | None = None,
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
        self._game, self._dynamics = as_played(game, packing, event_shape, augmentation), dynamics
        self._packing, sampled = packing, (sampled_generators, sampled_critics)
        draws = 0 if augmentation is None else augmentation.draws
        self._samples = Samples(generator_samples, critic_samples, packing, sampled, draws)
        critic_shape = packed_shape(event_shape, packing)
        self._make = {
            Player.GENERATOR: lambda: generator(event_shape),
            Player.CRITIC: lambda: critic(critic_shape),
        }
        generators = [generator(event_shape) for _ in range(num_generators)]
        critics = [critic(critic_shape) for _ in range(num_critics)]
        check_pairs(critics[0], num_generators)
        check_parts(memory_limit, fixed_parts, generators[0], critics[0])
        self._memory_limit, self._fixed_parts, self._parts = memory_limit, fixed_parts, (1, 1)
        self._normalises_by_batches = any(mixes_samples(one) for one in (generators[0], critics[0]))
        self._latent_dim = generators[0].latent_dim
        self._networks = Networks(functions_of(generators[0]), functions_of(critics[0]))
        self._trained_networks = compiled(self._networks) if compile else self._networks
        self._precision = NetworkPrecision()
        self.generators = ParticleStore(make_population(stack([parameters_of(one) for one in generators])))
        self.critics = ParticleStore(make_population(stack([parameters_of(one) for one in critics])))
        self.averaged = AveragedParams(self.generators.population().params, ema_decay)
        self._stepper: Stepper | None = None
        self._saved_state: dict[str, Leaf] | None = None
        self._saved_precision: dict[str, Any] = {}
        self._guard = FiniteGuard()
        self._holdings = Holdings(self.generators, self.critics, self.averaged, self.traffic)
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
        if mesh.particle_ranks > 1:
            check_separable(self._dynamics, self._samples.sampled)
            self._holdings.share_out(mesh)

    @property
    def _own(self) -> Ownership:
        return self._holdings.own

    def everyones(self, player: Player, rows: Tensor) -> Tensor:
        """Gathered from the processes that own them."""
        return self._own.everyones(player, rows)

    def _chosen(self, params: Params, latent: Tensor, origin: Tensor, rows: Tensor) -> Tensor:
        """Every process makes the samples of its own generators, for all."""
        if not self._own.is_partial:
            return super()._chosen(params, latent, origin, rows)
        made = self._made(params, latent, origin, self._own.shares[Player.GENERATOR].first)
        return self._own.completed(made)[rows]

    def whole(self) -> AbstractContextManager[None]:
        """Bring all particles to the first process for a while."""
        return self._holdings.whole(self.device)

    def profile(self, averaged: bool) -> Profile:
        """Both mixed strategies, the generators' positions averaged or raw; of positions, those that are here."""
        return self._holdings.profile(averaged)

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
        """Build the dynamics' state where the parameters are, or restore the saved one, and see that steps fit."""
        oracles, mesh, profile = self._oracles, mesh_of(self.trainer), self.profile(averaged=False)
        self.datamodule.whole_batches = oracles.cuts_batches
        check_copies_fit(self._dynamics, profile, self.device)
        self._precision = precision_of(self.trainer)
        self._precision.load_state_dict(self._saved_precision)
        networks = self._networks, self._trained_networks
        place = Place(mesh, self._own, self.traffic)
        self._stepper = Stepper(
            self._dynamics, oracles, networks, place, self._precision, self._guard, self._fixed_parts
        )
        if self._memory_limit is not None:
            self._stepper.fit_into(self._memory_limit, self._imagined(), self._holdings.counts[1])
        self._stepper.begin(profile, self._saved_state)
        self._saved_state = None

    @property
    def _oracles(self) -> StepOracles:
        """What all steps have in common."""
        mesh, (generators, _) = mesh_of(self.trainer), self._holdings.counts
        where = mesh.data_index, mesh.data_ranks, self._own.shares
        batch_size = self.datamodule.batch_size
        return StepOracles(self._game, self.seed, self._latent_dim, generators, batch_size, self._samples, *where)

    def step_memory(self) -> StepMemory:
        """By steps on tensors without contents, in the parameters' precision."""
        assert self._stepper is not None, "training has not begun"
        return self._stepper.memory(self._imagined())

    def _imagined(self) -> ImaginedTraining:
        profile, draws = self.profile(averaged=False), self.draws_per_step
        return ImaginedTraining(
            self._dynamics, self._oracles, self._networks, profile, self._own, self.event_shape, draws
        )

    def training_step(self, batch: Tensor, batch_idx: int) -> None:
        """One step of the dynamics on real samples [draws, B, *event]."""
        del batch_idx
        optimizer = self.optimizers()
        assert not isinstance(optimizer, list)
        with self._precision.alone(self.device):
            optimizer.step(closure=lambda: self._advance(batch))

    def _advance(self, real: Tensor) -> None:
        assert self._stepper is not None, "training has not begun"
        steps = self.global_step + 1
        profile, newcomers, seen = self._stepper.advance(real, steps - 1, self.evaluate)
        self.generators.assign(profile.generators)
        self.critics.assign(profile.critics)
        with section("average"):
            self.averaged.update(profile.generators.params, steps, newcomers)
        if self.is_log_step(steps):
            with section("logging"):
                self._guard.check()
                self._log_step(profile, seen, steps)

    def _log_step(self, profile: Profile, seen: Feedback, steps: int) -> None:
        assert self._stepper is not None
        positions = Point(profile.generators.params, profile.critics.params)
        norms = {player: self.everyones(player, own) for player, own in gradient_norms(seen, positions).items()}
        draw_norms(norms, self.trainer.loggers, steps)
        self.log_dict(step_metrics(profile, seen) | norm_metrics(norms))
        self.log_dict({f"rules/{name}": value for name, value in self._stepper.diagnostics().items()})

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the dynamics' state; refuse to save a run that is no longer finite.

        Raises:
            NonFiniteError: naming player, particle and step.
        """
        super().on_save_checkpoint(checkpoint)
        checkpoint["state_dict"] = self._own.collected(checkpoint["state_dict"], self._holdings.owners())
        if self._stepper is not None:
            checkpoint.update(self._stepper.saved(self.profile(averaged=False)))

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
        checkpoint["state_dict"] = self._own.cut(checkpoint["state_dict"], self._holdings.owners())
        super().on_load_checkpoint(checkpoint)
        self._saved_state = checkpoint[STATE]
        self._saved_precision = checkpoint.get(PRECISION, {})
