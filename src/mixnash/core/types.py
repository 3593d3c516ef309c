r"""The nouns of the project and their shapes.

A two-player zero-sum game over networks: the generators :math:`g` minimise and the critics :math:`d` maximise
the payoff :math:`\Phi(g, d)`. A mixed strategy is a weighted set of particles,
:math:`\mu = \sum_{k=1}^K p_k \delta_{g_k}` and :math:`\nu = \sum_{l=1}^L q_l \delta_{d_l}`, with payoff
:math:`\sum_{kl} p_k q_l \Phi(g_k, d_l)`. K generators, L critics, B real samples, b latent samples per generator.
"""

import abc
import enum
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

Params: TypeAlias = dict[str, Tensor]
"""The parameters of one particle by name; stacked, every leaf gains a leading particle axis."""

Apply: TypeAlias = Callable[[Params, Tensor], Tensor]
"""A network as a function of its parameters and its input."""

RuleState: TypeAlias = Any
"""What a rule's next update needs: a NamedTuple of the rule's own, of ints, tensors and `Params` only."""


class Player(enum.Enum):
    """The generators minimise the payoff, the critics maximise it."""

    GENERATOR = "generator"
    CRITIC = "critic"


Players: TypeAlias = frozenset[Player]
BOTH: Players = frozenset(Player)
GENERATORS: Players = frozenset({Player.GENERATOR})
CRITICS: Players = frozenset({Player.CRITIC})
NOBODY: Players = frozenset()
"""Asks for payoffs alone."""


class Population(NamedTuple):
    r"""A mixed strategy :math:`\sum_k e^{a_k} \delta_{\theta_k}`; build it with `population.make_population`."""

    params: Params
    """Leaves [K, ...]."""
    log_weights: Float[Tensor, " K"]
    """Log-weights a with logsumexp(a) = 0."""


class Profile(NamedTuple):
    """One mixed strategy per player."""

    generators: Population
    critics: Population


class Point(NamedTuple):
    """Something shaped like the positions of both players: positions z = (x, y), a field V(z), a direction."""

    generators: Params
    """Leaves [K, ...]."""
    critics: Params
    """Leaves [L, ...]."""


class AugmentationDraws(NamedTuple):
    """Uniform draws in [0, 1) that decide how each sample is augmented, A numbers per sample."""

    real: Float[Tensor, "*ones B A"]
    """Of the real samples [1, B, A]."""
    generated: Float[Tensor, "*pairs b A"]
    """Of the generated samples [K, b, A]."""
    anchor: Float[Tensor, "*pairs b A"]
    """Of the anchors: those of the real samples that they are [K, b, A]."""


class Batch(NamedTuple):
    r"""Every random draw one evaluation of a game needs. All pairs at once as below; `pair` gives one pair's share.

    A batch may be one of W uneven parts of a larger one. Where it holds n of N samples, games count the mean over them
    with its share :math:`s`,

    .. math:: s = W\, n / N, \qquad \frac1W \sum_{w=1}^W s_w \frac1{n_w} \sum_{i \in w} f(x_i)
              = \frac1N \sum_{i=1}^N f(x_i),

    so that the plain mean over the parts is the mean over all samples. Real and generated samples have a share each.
    """

    real: Float[Tensor, "..."]
    """Real samples [1, B, *event]; the axis of length one stands for 'every generator'."""
    latent: Float[Tensor, "*pairs b latent"]
    """Each generator's own latent samples [K, b, latent]."""
    anchor: Float[Tensor, "..."]
    """The real sample that each generated sample is paired with, for gradient penalties [K, b, *event]."""
    mix: Float[Tensor, "*pairs b"]
    """Uniform draws in [0, 1): position of the interpolate between real (0) and generated (1) [K, b]."""
    augmentation: AugmentationDraws | None = None
    """How samples are augmented; None where they are taken as they are."""
    step: int | None = None
    """Steps of training made before this one, for what is done on some steps only; None outside of training."""
    real_share: float = 1.0
    """s of the real samples, positive, without a unit; 1 where the batch is whole or its parts are even."""
    generated_share: float = 1.0
    """s of the generated samples and of what belongs to each: latents, anchors, interpolates."""

    def mean_of_real(self, numbers: Tensor) -> Tensor:
        """This batch's contribution to a mean over real samples, of numbers [..., B]."""
        mean = numbers.mean(-1)
        return mean if self.real_share == 1.0 else self.real_share * mean

    def mean_of_generated(self, numbers: Tensor) -> Tensor:
        """This batch's contribution to a mean over generated samples, of numbers [..., b]."""
        mean = numbers.mean(-1)
        return mean if self.generated_share == 1.0 else self.generated_share * mean

    def pair(self, generator: int) -> "Batch":
        """The draws that the pairs (generator, every critic) see, without the particle axis."""
        own = self._replace(
            real=self.real[0], latent=self.latent[generator], anchor=self.anchor[generator], mix=self.mix[generator]
        )
        if self.augmentation is None:
            return own
        real, generated, anchor = self.augmentation
        return own._replace(augmentation=AugmentationDraws(real[0], generated[generator], anchor[generator]))

    def for_generators(self, count: int) -> "Batch":
        """The draws for `count` generators: beyond the K that they were made for, the same ones again from the first.

        Every generator's own draws are as good as any, so averages stay unbiased.
        """
        made = self.latent.shape[0]
        if count == made:
            return self
        rows = torch.arange(count, device=self.latent.device) % made
        more = self._replace(latent=self.latent[rows], anchor=self.anchor[rows], mix=self.mix[rows])
        if self.augmentation is None:
            return more
        real, generated, anchor = self.augmentation
        return more._replace(augmentation=AugmentationDraws(real, generated[rows], anchor[rows]))


@runtime_checkable
class Critic(Protocol):
    """A critic as a game sees it: a function that can be differentiated in its input.

    For one pair, samples [n, *event] give scores [n]. For all pairs, samples [P, n, *event] give scores [L, P, n].
    """

    def __call__(self, samples: Tensor) -> Tensor:
        """Scores of samples."""

    def input_gradient(self, samples: Tensor) -> Tensor:
        """Gradient of each sample's own score in that sample, itself differentiable in the critic's parameters."""


Generate: TypeAlias = Callable[[Tensor], Tensor]
"""A generator as a game sees it: latents [b, latent] to samples [b, *event]; for all pairs with a leading K."""


class PairTerms(NamedTuple):
    """What one pair of pure strategies gives; for all pairs every field is [L, K]."""

    value: Tensor
    """The payoff: generators' weights descend it."""
    generator_loss: Tensor
    """What the generator's position descends; differs from the payoff in non-zero-sum variants only."""
    critic_loss: Tensor
    """What the critic descends in position and, with the penalty, in weight."""


class Feedback(NamedTuple):
    r"""What the game tells the players at a profile, averaged over the opponent's mixed strategy."""

    values: Float[Tensor, "K L"]
    """Payoff matrix Phi(g_k, d_l), without penalty."""
    generator_losses: Float[Tensor, " K"]
    """sum_l q_l value(k, l): what the generators' weights descend."""
    critic_losses: Float[Tensor, " L"]
    """sum_k p_k (critic_loss + penalty)(k, l); without the penalty where the critics were not asked for."""
    generator_grads: Params | None
    """sum_l q_l grad generator_loss(k, l), leaves [K, ...]; None where the generators were not asked for."""
    critic_grads: Params | None
    """sum_k p_k grad (critic_loss + penalty)(k, l), leaves [L, ...]; None where the critics were not asked for."""


class NetworkFunctions(NamedTuple):
    """One architecture as functions that must agree; the tests compare them."""

    single: Apply
    """Parameters of one particle, inputs [n, ...]: outputs [n, ...]."""
    stacked: Apply
    """Stacked parameters [K, ...], inputs [K, n, ...]: outputs [K, n, ...]."""
    input_gradient: Apply | None = None
    """Stacked parameters [L, ...], inputs [L, n, ...]: gradient [L, n, ...] of each score in its own input, itself
    differentiable in the parameters. None: by differentiating `stacked`."""


class Networks(NamedTuple):
    """The architectures of the two players."""

    generator: NetworkFunctions
    critic: NetworkFunctions


class AbstractLinearisation(abc.ABC):
    r"""The derivative :math:`J = V'(z)`, at one profile, of the field :math:`V = (\nabla_g \ell_G, \nabla_d \ell_D)`.

    As everywhere, gradients are averaged over the opponent's weights and not scaled by the particle's own. The draws
    are those of the evaluation that made it.
    """

    @abc.abstractmethod
    def pullback(self, cotangent: Point) -> Point:
        """J^T c: the gradient of <V(z), c> in z."""

    @abc.abstractmethod
    def pushforward(self, tangent: Point) -> Point:
        """J v: the directional derivative of V along v."""


class AbstractOracle(abc.ABC):
    """What dynamics call instead of a game: it owns the draws, the networks and the reduction over processes."""

    @abc.abstractmethod
    def resample(self) -> None:
        """Forget the current draws: the next `feedback` makes fresh ones."""

    @abc.abstractmethod
    def feedback(self, profile: Profile, players: Players) -> Feedback:
        """The game's answer at `profile` on the current draws, with gradients for `players`."""

    @abc.abstractmethod
    def linearise(self, profile: Profile) -> AbstractLinearisation:
        """The derivative of both players' gradients at `profile` on the current draws."""

    @abc.abstractmethod
    def project(self, player: Player, params: Params) -> Params:
        """Bring stacked positions of a player back into the player's domain."""

    def propose(self, player: Player, shape: tuple[int, ...], rng: torch.Generator) -> Params | None:
        """Fresh pure strategies of a player, independent draws from the natural law of the player's domain.

        Args:
            player: whose.
            shape: how many, or [*games, count] for a batch of games.
            rng: of the draws.

        Returns:
            Leaves [*shape, ...], in any precision; None where there is no natural law, such as for networks and on
            unbounded domains.

        Raises:
            InvalidInputError: when the oracle knows no other strategies than those it began with.
        """
        del player, shape, rng
        return None

    def unwrap(self, player: Player, params: Params, reference: Params) -> Params:
        """Positions of a player under their names nearest to `reference`, which is shaped like them.

        Positions have other names on periodic domains only, where projections change them: differences of positions
        must be taken before a projection, or after this. Elsewhere these are the positions themselves.
        """
        del player, reference
        return params
