"""What a game is: a payoff of two functions, written once for one pair and valid for all pairs."""

import abc

import torch
from torch import Tensor

from mixnash.core.games.constraints import AbstractCriticConstraint
from mixnash.core.types import Batch, Critic, Generate, PairTerms, Params, Player


class AbstractGame(abc.ABC):
    """A zero-sum game between a generator and a critic, both seen as functions.

    An implementation reduces over the last (sample) axis only and lets leading axes broadcast. Then the same lines
    serve one pair (scalars) and all pairs at once ([L, K]); `core.feedback` does both and the tests compare them. Means
    over samples are `Batch.mean_of_real` and `Batch.mean_of_generated`: batches may be parts of larger ones.
    """

    zero_sum: bool
    """Whether both players descend one payoff: generator_loss and -critic_loss have the gradients of value."""

    @property
    def bounded_above(self) -> bool:
        """Whether what a critic wins, its penalty paid, is known to be bounded whatever the critic does.

        Otherwise best responses of critics, and the duality gap with them, may be infinite.
        """
        return False

    @property
    def samples_together(self) -> int:
        """Neighbouring samples, real and generated, that must stay in one batch when batches are cut."""
        return 1

    @abc.abstractmethod
    def terms(self, generate: Generate, critic: Critic, batch: Batch) -> PairTerms:
        """The payoff and what each position descends, without the critic's penalty."""

    @abc.abstractmethod
    def penalty(self, generate: Generate, critic: Critic, batch: Batch) -> Tensor | None:
        """What the critic pays on top of its loss; None if nothing. The generator never sees it."""

    @abc.abstractmethod
    def constrain_critic(self, params: Params) -> Params:
        """The critic's effective parameters, a differentiable function of the stacked ones."""

    @abc.abstractmethod
    def project(self, player: Player, params: Params) -> Params:
        """Stacked positions after an update, brought back into the player's domain."""

    def propose(self, player: Player, shape: tuple[int, ...], rng: torch.Generator) -> Params | None:
        """As `types.AbstractOracle.propose`: None, unless the player's domain has a natural law."""
        del player, shape, rng
        return None

    def unwrap(self, player: Player, params: Params, reference: Params) -> Params:
        """As `types.AbstractOracle.unwrap`: the positions themselves, unless the player's domain is periodic."""
        del player, reference
        return params


class AbstractConstrainedGame(AbstractGame):
    """A GAN: its critics are kept in a class of functions by a constraint, its generators are free."""

    saturates: bool
    """Whether what critics win is bounded above, so that none can win without bound."""

    @property
    def bounded_above(self) -> bool:
        """By the payoff itself, or by the constraint."""
        return self.saturates or self.constraint.bounds_slopes

    @property
    @abc.abstractmethod
    def constraint(self) -> AbstractCriticConstraint:
        """How the critic is kept in its class of functions."""

    def penalty(self, generate: Generate, critic: Critic, batch: Batch) -> Tensor | None:
        """The constraint's penalty on this pair's samples."""
        return self.constraint.penalty(generate, critic, batch)

    def constrain_critic(self, params: Params) -> Params:
        """The constraint's reparametrisation."""
        return self.constraint.reparametrise(params)

    def project(self, player: Player, params: Params) -> Params:
        """Critics back into the constraint's set; generators are free."""
        return self.constraint.project(params) if player is Player.CRITIC else params


class AbstractAdversarialGame(AbstractConstrainedGame):
    r"""A GAN: :math:`\Phi(g, d) = E_{x \sim data}\, r(d(x)) + E_z\, f(d(g(z)))`, given by its scalar functions.

    The critic maximises Phi minus its penalty; the generator descends :math:`E_z\, h(d(g(z)))`. It saturates where r
    and f are bounded above.
    """

    @abc.abstractmethod
    def real_payoff(self, scores: Tensor) -> Tensor:
        """r, element by element."""

    @abc.abstractmethod
    def fake_payoff(self, scores: Tensor) -> Tensor:
        """f, element by element."""

    @abc.abstractmethod
    def generator_loss(self, scores: Tensor) -> Tensor:
        """h, element by element."""

    def terms(self, generate: Generate, critic: Critic, batch: Batch) -> PairTerms:
        """Phi, E h and -Phi."""
        fake_scores = critic(generate(batch.latent))
        real = batch.mean_of_real(self.real_payoff(critic(batch.real)))
        value = real + batch.mean_of_generated(self.fake_payoff(fake_scores))
        return PairTerms(value, batch.mean_of_generated(self.generator_loss(fake_scores)), -value)
