"""MGAN: many generators on one trunk, kept apart by a classifier.

Written straight from the paper on torch's own optimisers, as `WGAN` is; the project's core only names its game and its
mixed strategies to evaluation.
"""

import math
from collections.abc import Callable, Sequence
from typing import final

import torch
import torch.nn.functional as F
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.func import functional_call

from mixnash.core.errors import require
from mixnash.core.games.base import AbstractGame
from mixnash.core.games.non_saturating import NonSaturating
from mixnash.core.population import make_population, stack
from mixnash.core.types import CRITICS, GENERATORS, Networks, Params, Player, Profile
from mixnash.lit.base import AbstractGAN
from mixnash.lit.draws import StepDraws, check_shares
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
from mixnash.networks.mgan import MGANNetworks
from mixnash.networks.shared_trunk import SharedTrunkGenerators


@final
class MGAN(AbstractGAN):
    r"""K generators with equal weights on one trunk, a critic d and a classifier c on the critic's trunk.

    .. math:: \ell_D = -E \log \sigma(d(x)) - \frac1K \sum_k E \log \sigma(-d(g_k(z)))
                       - \frac1K \sum_k E \log c_k(g_k(z)), \qquad
              \ell_G = -\frac1K \sum_k E \big( \log \sigma(d(g_k(z))) + \beta \log c_k(g_k(z)) \big).

    Generators and classifier both want samples to tell who made them, which keeps the generators apart. Each
    generator has a first layer of its own and shares the others, so each one more costs the memory of a first layer.
    Networks are MLPs of the sizes given, or any of layers, such as convolutional ones for images.

    The critic as evaluation sees it is its real-or-generated score alone, and a fresh generator has a trunk of its own.

    References:
        Hoang, Nguyen, Le, Phung, 2018, MGAN: Training generative adversarial nets with multiple generators, ICLR, arXiv
        1708.02556; its public code has K = 10, beta = 0.01 and Adam.

    Args:
        event_shape: shape of one sample; set from the data.
        generator_optimizer: torch optimiser of the generators.
        critic_optimizer: torch optimiser of critic and classifier.
        num_generators: K >= 1.
        latent_dim: length of the standard normal latent of generators that are MLPs; 2 if None.
        generator_width: units per hidden layer of generators that are MLPs; 128 if None.
        generator_depth: their hidden layers; 3 if None.
        critic_width: units per hidden layer of a critic that is an MLP; 128 if None.
        critic_depth: its hidden layers; 3 if None.
        octaves: octaves of Fourier features of its input; 0, for none, if None.
        period: longest period of these features, in units of the data; 8 if None.
        diversity: beta >= 0.
        critic_steps: critic updates per generator update; one step of the run is one generator update.
        samples_per_generator: latents per generator and update; batch size / K, rounded up, if None.
        ema_decay: decay per step of the generators' moving average, in [0, 1); 0 switches it off.
        seed: of every draw; set from `seed_everything`.
        generator: makes one generator, to be cut as `cut_generator` says; an MLP as described above if None.
        critic: makes one critic of layers, the last one linear; an MLP as described above if None.

    Raises:
        InvalidInputError: when a number is out of range, those of the optimisers included, a network cannot be cut, or
            an MLP is described where a network is given.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        generator_optimizer: MakeOptimizer,
        critic_optimizer: MakeOptimizer,
        num_generators: int = 10,
        latent_dim: int | None = None,
        generator_width: int | None = None,
        generator_depth: int | None = None,
        critic_width: int | None = None,
        critic_depth: int | None = None,
        octaves: int | None = None,
        period: float | None = None,
        diversity: float = 0.01,
        critic_steps: int = 1,
        samples_per_generator: int | None = None,
        ema_decay: float = 0.99,
        seed: int = 0,
        generator: Callable[[Sequence[int]], AbstractGenerator] | None = None,
        critic: Callable[[Sequence[int]], AbstractCritic] | None = None,
    ) -> None:
        super().__init__()
        _check(diversity, critic_steps, samples_per_generator)
        check_optimizer("generator_optimizer", generator_optimizer)
        check_optimizer("critic_optimizer", critic_optimizer)
        self.automatic_optimization = False
        self.seed = seed
        make = MGANNetworks(
            event_shape,
            generator,
            critic,
            latent_dim,
            generator_width,
            generator_depth,
            critic_width,
            critic_depth,
            octaves,
            period,
        )
        self._make = {Player.GENERATOR: make.generator, Player.CRITIC: make.critic}
        self.generators = SharedTrunkGenerators(event_shape, num_generators, make.generator)
        self.critic = make.classifying_critic(num_generators)
        self.averaged = AveragedParams(parameters_of(self.generators), ema_decay)
        whole = make.generator()
        self._networks = Networks(functions_of(whole), functions_of(make.critic()))
        self._count, self._latent_dim = num_generators, whole.latent_dim
        self._make_generator_optimizer, self._make_critic_optimizer = generator_optimizer, critic_optimizer
        self._diversity, self._critic_steps = diversity, critic_steps
        self._samples_per_generator = samples_per_generator
        self._guard = FiniteGuard()

    @property
    def draws_per_step(self) -> int:
        """One per critic update, and one for the generators."""
        return self._critic_steps + 1

    @property
    def latent_dim(self) -> int:
        """Length of a latent."""
        return self._latent_dim

    @property
    def game(self) -> AbstractGame:
        """What critic and generators play, without the classifier."""
        return NonSaturating()

    @property
    def networks(self) -> Networks:
        """One generator with a trunk of its own, and the critic without the classifier."""
        return self._networks

    def fresh(self, player: Player, count: int, seed: int) -> Params:
        """Generators with a trunk each, or critics without a classifier."""
        return newly_made(self._make[player], count, seed, self.device)

    def profile(self, averaged: bool) -> Profile:
        """K generators with equal weights, whose trunks are one tensor seen K times, and one critic."""
        critic = stack([parameters_of(self.critic.scorer)])
        return Profile(make_population(self.generators.as_particles(self._shared(averaged))), make_population(critic))

    def _shared(self, averaged: bool) -> Params:
        """All generators' parameters as they are stored: the trunk once."""
        return self.averaged.params() if averaged else parameters_of(self.generators)

    def generate(self, params: Params, latent: Tensor) -> Tensor:
        """One generator with given parameters."""
        return self._networks.generator.single(params, latent)

    def criticise(self, params: Params, samples: Tensor) -> Tensor:
        """The critic's real-or-generated score with given parameters."""
        return self._networks.critic.single(params, samples)

    @torch.no_grad()
    def payoffs(self, real: Tensor, latent: Tensor, averaged: bool) -> Tensor:
        """The payoffs E log sigma(d(x)) + E log sigma(-d(g_k(z))), as [K, 1]."""
        fake = torch.as_tensor(functional_call(self.generators, self._shared(averaged), (latent,)))
        scores = self.critic(fake.flatten(0, 1))[0].reshape(latent.shape[:2])
        value: Tensor = F.logsigmoid(self.critic(real)[0]).mean() + F.logsigmoid(-scores).mean(1)
        return value.unsqueeze(1)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Both players' optimisers."""
        return [
            self._make_generator_optimizer(self.generators.parameters()),
            self._make_critic_optimizer(self.critic.parameters()),
        ]

    def on_fit_start(self) -> None:
        """Refuse sample counts that cannot be shared evenly."""
        check_shares("samples_per_generator", self._samples(), self.trainer.world_size)

    def on_train_start(self) -> None:
        """Take the step sizes from the configuration, not from the checkpoint."""
        as_configured(plain_optimizers(self))

    def training_step(self, batch: Tensor, batch_idx: int) -> None:
        """The critic's updates and then the generators' one, on real samples [draws, B, *event]."""
        del batch_idx
        draws = StepDraws(
            batch,
            self.seed,
            self.global_step,
            self._latent_dim,
            self._count,
            generator_samples=self._samples(),
            critic_samples=self._samples(),
            rank=self.global_rank,
            world_size=self.trainer.world_size,
        )
        for _ in range(self._critic_steps):
            drawn = draws(CRITICS)
            values, confusion = self.critic_terms(drawn.real[0], drawn.latent)
            critic_loss = (confusion - values).mean()
            self._descend(1, self.critic, critic_loss)
        generator_loss = self.generator_losses(draws(GENERATORS).latent).mean()
        self._descend(0, self.generators, generator_loss)
        losses = torch.stack([generator_loss, critic_loss, confusion.mean()])
        self._after_step(torch.cat([losses, values]).detach())

    def critic_terms(self, real: Tensor, latent: Tensor) -> tuple[Tensor, Tensor]:
        """The payoffs [K] and the classifier's cross-entropies [K], on real samples and on latents [K, n, latent_dim].

        The critic and the classifier descend the mean of the second minus the first.
        """
        with torch.no_grad():
            fake = self.generators(latent)
        # Both kinds of sample in one pass: fewer and larger products.
        scores, logits = self.critic(torch.cat([real, fake.flatten(0, 1)]))
        fake_scores = scores[len(real) :].reshape(latent.shape[:2])
        values = F.logsigmoid(scores[: len(real)]).mean() + F.logsigmoid(-fake_scores).mean(1)
        return values, self._confusion(logits[len(real) :])

    def generator_losses(self, latent: Tensor) -> Tensor:
        """What the generators descend the mean of [K], on latents [K, n, latent_dim]."""
        scores, logits = self.critic(self.generators(latent).flatten(0, 1))
        return self._diversity * self._confusion(logits) - F.logsigmoid(scores).reshape(latent.shape[:2]).mean(1)

    def _confusion(self, logits: Tensor) -> Tensor:
        """Cross-entropy of the true makers [K], from logits [K n, K]."""
        per_maker = logits.reshape(self._count, -1, self._count).log_softmax(-1)
        return -per_maker.diagonal(dim1=0, dim2=2).mean(0)

    def _samples(self) -> int:
        return self._samples_per_generator or math.ceil(self.datamodule.batch_size / self._count)

    def _descend(self, index: int, module: nn.Module, loss: Tensor) -> None:
        parameters = list(module.parameters())
        grads = torch.autograd.grad(loss, parameters, materialize_grads=True)
        flat = mean_over_processes(self.trainer, torch.cat([grad.reshape(-1) for grad in grads]))
        parts = torch.split(flat, [leaf.numel() for leaf in parameters])
        for parameter, part in zip(parameters, parts, strict=True):
            parameter.grad = part.reshape(parameter.shape)
        step_optimizer(self, index)

    def _after_step(self, seen: Tensor) -> None:
        """Average, watch and log, from the losses of generators, critic and classifier and from the payoffs [K]."""
        step = self.global_step
        self.averaged.update(dict(self.generators.named_parameters()), step)
        losses, values = torch.split(mean_over_processes(self.trainer, seen), [3, self._count])
        self._guard.watch(step - 1, values.unsqueeze(1), losses[1:2])
        if self.is_log_step(step):
            self._guard.check()
            generators, critic = plain_optimizers(self)
            self.log_dict(
                {
                    "loss/generators": losses[0],
                    "loss/critics": losses[1],
                    "loss/classifier": losses[2],
                    "payoff/mean": values.mean(),
                    "payoff/spread": values.max() - values.min(),
                    "rules/generators/step_size": generators.param_groups[0]["lr"],
                    "rules/critics/step_size": critic.param_groups[0]["lr"],
                }
            )


def _check(diversity: float, critic_steps: int, samples_per_generator: int | None) -> None:
    require(0 <= diversity < math.inf, f"The diversity of generators must be at least 0 and finite, found {diversity}.")
    require(critic_steps >= 1, f"critic_steps must be at least 1, found {critic_steps}.")
    require(
        samples_per_generator is None or samples_per_generator >= 1,
        f"samples_per_generator must be at least 1, found {samples_per_generator}.",
    )
