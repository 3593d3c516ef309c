"""The textbook Wasserstein GAN: one generator, one critic, torch's own optimisers.

Written straight from the papers and without the project's core, but for its random draws and for naming its game to
evaluation: both the baseline and an independent check of `MixedGAN` with one particle per player.
"""

from collections.abc import Callable, Sequence
from typing import final

import torch
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.func import functional_call

from mixnash.core.augmentations.base import AbstractAugmentation
from mixnash.core.errors import require
from mixnash.core.games.augmented import AugmentedGame
from mixnash.core.games.base import AbstractGame
from mixnash.core.games.constraints import GradientPenalty, WeightClipping
from mixnash.core.games.packed import PackedGame, pack, packed_shape
from mixnash.core.games.wasserstein import Wasserstein
from mixnash.core.population import make_population, stack
from mixnash.core.types import BOTH, CRITICS, GENERATORS, Batch, Networks, Params, Player, Profile
from mixnash.lit.base import AbstractGAN
from mixnash.lit.draws import StepDraws, has_uneven_shares, shuffled
from mixnash.lit.finite import FiniteGuard
from mixnash.lit.particles import AveragedParams
from mixnash.lit.torch_optimizers import (
    MakeOptimizer,
    as_configured,
    check_optimizer,
    mean_over_processes,
    plain_optimizers,
    step_optimizer,
)
from mixnash.networks.base import AbstractCritic, AbstractGenerator, functions_of, newly_made, parameters_of


@final
class WGAN(AbstractGAN):
    r"""Minimises :math:`-E\, d(g(z))` over g and :math:`E\, d(g(z)) - E\, d(x) + \text{penalty}` over d.

    References:
        Arjovsky, Chintala, Bottou, 2017, arXiv 1701.07875, Algorithm 1 (clipping); Gulrajani et al., 2017, arXiv
        1704.00028, Algorithm 1 (gradient penalty).

    Args:
        event_shape: shape of one sample; set from the data.
        generator: makes the generator.
        critic: makes the critic.
        generator_optimizer: torch optimiser of the generator.
        critic_optimizer: torch optimiser of the critic.
        critic_steps: critic updates per generator update; one step of the run is one generator update.
        simultaneous: both players move on the same draws and the same opponent; needs `critic_steps: 1`.
        clip: bound of the critic's parameters after each update, positive; or use `gradient_penalty`.
        gradient_penalty: weight of the two-sided penalty on interpolates, positive; or use `clip`.
        packing: m >= 1; the critic judges packs of m samples, [m, *event_shape], see `PackedGame`; the batch size must
            be a multiple of m.
        ema_decay: decay per step of the generator's moving average, in [0, 1); 0 switches it off.
        seed: of every draw; set from `seed_everything`.
        augmentation: changes all samples, real and generated, before the critic sees them in training; None for none.

    Raises:
        InvalidInputError: unless exactly one of `clip` and `gradient_penalty` is set and every number is in range,
            those of the optimisers included, and what is to be augmented is an image.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        generator: Callable[[Sequence[int]], AbstractGenerator],
        critic: Callable[[Sequence[int]], AbstractCritic],
        generator_optimizer: MakeOptimizer,
        critic_optimizer: MakeOptimizer,
        critic_steps: int = 5,
        simultaneous: bool = False,
        clip: float | None = None,
        gradient_penalty: float | None = None,
        packing: int = 1,
        ema_decay: float = 0.99,
        seed: int = 0,
        augmentation: AbstractAugmentation | None = None,
    ) -> None:
        super().__init__()
        _check(critic_steps, simultaneous, clip, gradient_penalty)
        require(packing >= 1, f"The packing must be at least 1 sample, found {packing}.")
        check_optimizer("generator_optimizer", generator_optimizer)
        check_optimizer("critic_optimizer", critic_optimizer)
        self.automatic_optimization = False
        self.seed = seed
        critic_shape = packed_shape(event_shape, packing)
        self._make = {
            Player.GENERATOR: lambda: generator(event_shape),
            Player.CRITIC: lambda: critic(critic_shape),
        }
        self.generator, self.critic = generator(event_shape), critic(critic_shape)
        self.averaged = AveragedParams(parameters_of(self.generator), ema_decay)
        self._make_generator_optimizer, self._make_critic_optimizer = generator_optimizer, critic_optimizer
        self._critic_steps, self._simultaneous = critic_steps, simultaneous
        self._clip, self._gradient_penalty, self._packing = clip, gradient_penalty, packing
        if augmentation is not None:
            augmentation.check(event_shape)
        self._augmentation = augmentation
        self._guard = FiniteGuard()

    @property
    def draws_per_step(self) -> int:
        """One per critic update, and one for an alternating generator."""
        return 1 if self._simultaneous else self._critic_steps + 1

    @property
    def latent_dim(self) -> int:
        """Length of a latent."""
        return self.generator.latent_dim

    @property
    def game(self) -> AbstractGame:
        """The same game in the project's core."""
        if self._clip is not None:
            plain = Wasserstein(WeightClipping(self._clip))
        else:
            assert self._gradient_penalty is not None
            plain = Wasserstein(GradientPenalty(self._gradient_penalty))
        packed = plain if self._packing == 1 else PackedGame(plain, self._packing)
        return packed if self._augmentation is None else AugmentedGame(packed, self._augmentation)

    @property
    def networks(self) -> Networks:
        """Generator and critic."""
        return Networks(functions_of(self.generator), functions_of(self.critic))

    def fresh(self, player: Player, count: int, seed: int) -> Params:
        """Networks by the player's factory."""
        return newly_made(self._make[player], count, seed, self.device)

    def profile(self, averaged: bool) -> Profile:
        """One particle per player."""
        params = self.averaged.params() if averaged else parameters_of(self.generator)
        return Profile(make_population(stack([params])), make_population(stack([parameters_of(self.critic)])))

    def generate(self, params: Params, latent: Tensor) -> Tensor:
        """The generator with given parameters."""
        return torch.as_tensor(functional_call(self.generator, params, (latent,)))

    def criticise(self, params: Params, samples: Tensor) -> Tensor:
        """The critic with given parameters; with packing, on packs of m equal samples."""
        if self._packing > 1:
            samples = samples.unsqueeze(1).expand(-1, self._packing, *samples.shape[1:])
        return torch.as_tensor(functional_call(self.critic, params, (samples,)))

    @torch.no_grad()
    def payoffs(self, real: Tensor, latent: Tensor, averaged: bool) -> Tensor:
        """The one payoff E d(x) - E d(g(z)), as [1, 1]."""
        params = self.averaged.params() if averaged else parameters_of(self.generator)
        real, fake = shuffled(real, self.seed) if self._packing > 1 else real, self.generate(params, latent[0])
        value: Tensor = self.critic(self._seen(real)).mean() - self.critic(self._seen(fake)).mean()
        return value.reshape(1, 1)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Both players' optimisers."""
        return [
            self._make_generator_optimizer(self.generator.parameters()),
            self._make_critic_optimizer(self.critic.parameters()),
        ]

    def on_fit_start(self) -> None:
        """Ask for whole batches where they cannot be shared evenly.

        Raises:
            InvalidInputError: when a process would get nothing of a batch, or a batch holds no whole number of packs.
        """
        data = self.datamodule
        data.whole_batches = has_uneven_shares({"batch_size": data.batch_size}, self.trainer.world_size, self._packing)

    def on_train_start(self) -> None:
        """Take the step sizes from the configuration, not from the checkpoint."""
        as_configured(plain_optimizers(self))

    def training_step(self, batch: Tensor, batch_idx: int) -> None:
        """One generator update with its critic updates, on real samples [draws, B, *event]."""
        del batch_idx
        size = self.datamodule.batch_size
        draws = StepDraws(
            batch,
            self.seed,
            self.global_step,
            self.latent_dim,
            generators=1,
            generator_samples=size,
            critic_samples=size,
            rank=self.global_rank,
            world_size=self.trainer.world_size,
            augmentation=0 if self._augmentation is None else self._augmentation.draws,
            is_whole=self.datamodule.whole_batches,
            packing=self._packing,
        )
        if self._simultaneous:
            critic_loss, generator_loss = self._simultaneous_step(draws(BOTH).pair(0))
        else:
            for _ in range(self._critic_steps):
                critic_loss = self._critic_loss(draws(CRITICS).pair(0))
                self._descend(1, self.critic, critic_loss)
            generator_loss = self._generator_loss(draws(GENERATORS).pair(0))
            self._descend(0, self.generator, generator_loss)
        self._after_step(critic_loss.detach(), generator_loss.detach())

    def _simultaneous_step(self, batch: Batch) -> tuple[Tensor, Tensor]:
        critic_loss, generator_loss = self._critic_loss(batch), self._generator_loss(batch)
        critic_grads = torch.autograd.grad(critic_loss, list(self.critic.parameters()), materialize_grads=True)
        self._descend(0, self.generator, generator_loss)
        self._move(1, self.critic, critic_grads)
        return critic_loss, generator_loss

    def _seen(self, samples: Tensor, uniforms: Tensor | None = None) -> Tensor:
        """Samples as the critic takes them: augmented by their draws, if there are any, and packed."""
        if self._augmentation is not None and uniforms is not None:
            samples = self._augmentation(samples, uniforms)
        return samples if self._packing == 1 else pack(samples, self._packing)

    def _generator_loss(self, batch: Batch) -> Tensor:
        uniforms = None if batch.augmentation is None else batch.augmentation.generated
        scores = self.critic(self._seen(self.generator(batch.latent), uniforms))
        return torch.as_tensor(-batch.mean_of_generated(scores))

    def _critic_loss(self, batch: Batch) -> Tensor:
        real, generated, anchor = batch.augmentation or (None, None, None)
        with torch.no_grad():
            fake = self._seen(self.generator(batch.latent), generated)
        real_scores = self.critic(self._seen(batch.real, real))
        loss = batch.mean_of_generated(self.critic(fake)) - batch.mean_of_real(real_scores)
        if self._gradient_penalty is not None:
            mix = batch.mix[:: self._packing].reshape(-1, *[1] * (fake.dim() - 1))
            between = ((1 - mix) * self._seen(batch.anchor, anchor) + mix * fake).requires_grad_()
            (slope,) = torch.autograd.grad(self.critic(between).sum(), between, create_graph=True)
            excess = slope.flatten(1).norm(dim=1) - 1
            loss = loss + self._gradient_penalty * batch.mean_of_generated(excess.square())
        return torch.as_tensor(loss)

    def _descend(self, index: int, module: torch.nn.Module, loss: Tensor) -> None:
        grads = torch.autograd.grad(loss, list(module.parameters()), materialize_grads=True)
        self._move(index, module, grads)

    def _move(self, index: int, module: torch.nn.Module, grads: Sequence[Tensor]) -> None:
        for parameter, grad in zip(module.parameters(), grads, strict=True):
            parameter.grad = mean_over_processes(self.trainer, grad)
        step_optimizer(self, index)
        if index == 1 and self._clip is not None:
            with torch.no_grad():
                for parameter in module.parameters():
                    parameter.clamp_(-self._clip, self._clip)

    def _after_step(self, critic_loss: Tensor, generator_loss: Tensor) -> None:
        step = self.global_step
        self.averaged.update(dict(self.generator.named_parameters()), step)
        losses = mean_over_processes(self.trainer, torch.stack([generator_loss, critic_loss]))
        self._guard.watch(step - 1, -losses[:1].unsqueeze(0), losses[1:])
        if self.is_log_step(step):
            self._guard.check()
            generator, critic = plain_optimizers(self)
            self.log_dict(
                {
                    "loss/generators": losses[0],
                    "loss/critics": losses[1],
                    "rules/generators/step_size": generator.param_groups[0]["lr"],
                    "rules/critics/step_size": critic.param_groups[0]["lr"],
                }
            )


def _check(critic_steps: int, simultaneous: bool, clip: float | None, gradient_penalty: float | None) -> None:
    require(critic_steps >= 1, f"critic_steps must be at least 1, found {critic_steps}.")
    require(
        not simultaneous or critic_steps == 1,
        f"Simultaneous updates make one critic step per generator step, found critic_steps {critic_steps}. "
        "Set critic_steps to 1 or simultaneous to false.",
    )
    require(
        (clip is None) != (gradient_penalty is None),
        "The critic is kept Lipschitz in exactly one way: set either clip or gradient_penalty, "
        f"found clip {clip} and gradient_penalty {gradient_penalty}.",
    )
    for name, value in (("clip", clip), ("gradient_penalty", gradient_penalty)):
        require(value is None or value > 0, f"{name} must be positive, found {value}.")
