r"""What a game tells both populations: the payoff matrix and the gradients averaged over the opponent.

With weights p of the generators and q of the critics,

.. math:: \nabla_{g_k} = \sum_l q_l \nabla_{g_k} \ell_G(g_k, d_l), \qquad
          \nabla_{d_l} = \sum_k p_k \nabla_{d_l} (\ell_D + \text{penalty})(g_k, d_l).

A particle's own weight does not scale its gradient. Losses are averaged over pairs, never scores: only then is the
payoff bilinear in the two mixed strategies.

`feedback` evaluates all pairs at once on stacked parameters. `feedback_reference` loops over pairs with the
single-particle functions; it is the definition, and the tests hold the other to it.
"""

from collections.abc import Callable
from typing import final

import torch
from torch import Tensor

from mixnash.core.games.base import AbstractGame
from mixnash.core.linearisation import Linearisation
from mixnash.core.population import particle, size, weights
from mixnash.core.sections import section
from mixnash.core.types import (
    BOTH,
    AbstractLinearisation,
    AbstractOracle,
    Apply,
    Batch,
    Feedback,
    NetworkFunctions,
    Networks,
    Params,
    Player,
    Players,
    Point,
    Profile,
)


def _leaves(params: Params, wanted: bool) -> Params:
    """Fresh leaves to differentiate in, or detached ones."""
    return {name: leaf.detach().requires_grad_(wanted) for name, leaf in params.items()}


def _gradients(objective: Tensor, leaves: Params, retain: bool = False) -> Params:
    # Some parameters have no effect, such as the last bias of a Wasserstein critic: their gradient is zero.
    with section("gradients"):
        grads = torch.autograd.grad(objective, list(leaves.values()), retain_graph=retain, materialize_grads=True)
    return dict(zip(leaves, grads, strict=True))


@final
class _StackedCritics:
    """All critics on all generators' samples: [P, n, *event] to [L, P, n]."""

    def __init__(self, functions: NetworkFunctions, params: Params) -> None:
        self._functions, self._params = functions, params
        self._count = next(iter(params.values())).shape[0]

    def __call__(self, samples: Tensor) -> Tensor:
        flat = samples.flatten(0, 1)
        scores = self._functions.stacked(self._params, flat.expand(self._count, *flat.shape))
        return scores.reshape(self._count, *samples.shape[:2])

    def input_gradient(self, samples: Tensor) -> Tensor:
        flat = samples.detach().flatten(0, 1)
        inputs = flat.expand(self._count, *flat.shape)
        if self._functions.input_gradient is not None:
            gradient = self._functions.input_gradient(self._params, inputs)
        else:
            inputs = inputs.detach().requires_grad_()
            scores = self._functions.stacked(self._params, inputs)
            (gradient,) = torch.autograd.grad(scores.sum(), inputs, create_graph=True)
        return gradient.reshape(self._count, *samples.shape)


@final
class _SingleCritic:
    """One critic on one generator's samples: [n, *event] to [n]."""

    def __init__(self, apply: Apply, params: Params) -> None:
        self._apply, self._params = apply, params

    def __call__(self, samples: Tensor) -> Tensor:
        return self._apply(self._params, samples)

    def input_gradient(self, samples: Tensor) -> Tensor:
        inputs = samples.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(self(inputs).sum(), inputs, create_graph=True)
        return gradient


def feedback(game: AbstractGame, networks: Networks, profile: Profile, batch: Batch, players: Players) -> Feedback:
    """Evaluate the game on all K L pairs at once.

    Args:
        game: the game.
        networks: both architectures; only the `stacked` functions are used.
        profile: both mixed strategies.
        batch: the draws, with b samples per generator; costs O(L (B + K b)) critic evaluations.
        players: whose gradients to compute; None stands in for the others'.
    """
    want_generators, want_critics = Player.GENERATOR in players, Player.CRITIC in players
    gen_leaves = _leaves(profile.generators.params, want_generators)
    critic_leaves = _leaves(profile.critics.params, want_critics)
    p, q = weights(profile.generators).detach(), weights(profile.critics).detach()

    with section("generators"):
        fake = networks.generator.stacked(gen_leaves, batch.latent)
    with section("critics"):
        critics = _StackedCritics(networks.critic, game.constrain_critic(critic_leaves))
        terms = game.terms(lambda _: fake, critics, batch)

    generator_grads = critic_grads = None
    critic_losses = terms.critic_loss @ p
    if want_generators:
        objective = (q @ terms.generator_loss).sum()
        generator_grads = _gradients(objective, gen_leaves, retain=want_critics)
    if want_critics:
        with section("critics"):
            penalty = game.penalty(lambda _: fake.detach(), critics, batch)
        if penalty is not None:
            critic_losses = critic_losses + penalty @ p
        critic_grads = _gradients(critic_losses.sum(), critic_leaves)
    values = terms.value.detach().mT
    return Feedback(values, values @ q, critic_losses.detach(), generator_grads, critic_grads)


def regularised_payoffs(game: AbstractGame, networks: Networks, profile: Profile, batch: Batch) -> Tensor:
    r"""The payoff that penalties are taken from, :math:`F(g_k, d_l) = \Phi(g_k, d_l) - \text{penalty}(g_k, d_l)`.

    Args:
        game: the game.
        networks: both architectures; only the `stacked` functions are used.
        profile: both players' particles; their weights do not matter.
        batch: the draws.

    Returns:
        F [K, L], without gradients.
    """
    gen_leaves, critic_leaves = (_leaves(one.params, False) for one in profile)
    fake = networks.generator.stacked(gen_leaves, batch.latent).detach()
    critics = _StackedCritics(networks.critic, game.constrain_critic(critic_leaves))
    value = game.terms(lambda _: fake, critics, batch).value
    penalty = game.penalty(lambda _: fake, critics, batch)
    return (value if penalty is None else value - penalty).detach().mT


def feedback_reference(
    game: AbstractGame, networks: Networks, profile: Profile, batch: Batch, players: Players
) -> Feedback:
    """The definition of `feedback`: a double loop over pairs, one plain backward pass per pair and player."""
    p, q = weights(profile.generators), weights(profile.critics)
    count_g, count_d = size(profile.generators), size(profile.critics)
    values = p.new_zeros(count_g, count_d)
    critic_losses = p.new_zeros(count_d)
    generator_grads = {name: torch.zeros_like(leaf) for name, leaf in profile.generators.params.items()}
    critic_grads = {name: torch.zeros_like(leaf) for name, leaf in profile.critics.params.items()}
    for k in range(count_g):
        for l in range(count_d):  # noqa: E741
            g = _leaves(particle(profile.generators.params, k), True)
            # Constraints act on stacked parameters: a stack of one.
            d_stack = _leaves({name: leaf[l : l + 1] for name, leaf in profile.critics.params.items()}, True)
            d = particle(game.constrain_critic(d_stack), 0)
            critic = _SingleCritic(networks.critic.single, d)

            def generate(latent: Tensor, g: Params = g) -> Tensor:
                return networks.generator.single(g, latent)

            pair = batch.pair(k)
            terms = game.terms(generate, critic, pair)
            penalty = game.penalty(generate, critic, pair) if Player.CRITIC in players else None
            critic_loss = terms.critic_loss if penalty is None else terms.critic_loss + penalty
            values[k, l] = terms.value.detach()
            critic_losses[l] += p[k] * critic_loss.detach()
            for name, grad in _gradients(terms.generator_loss, g, retain=True).items():
                generator_grads[name][k] += q[l] * grad
            for name, grad in _gradients(critic_loss, d_stack).items():
                critic_grads[name][l] += p[k] * grad[0]
    return Feedback(
        values,
        values @ q,
        critic_losses,
        generator_grads if Player.GENERATOR in players else None,
        critic_grads if Player.CRITIC in players else None,
    )


def linearise(game: AbstractGame, networks: Networks, profile: Profile, batch: Batch) -> Linearisation:
    """The derivative of the field at `profile`, by differentiating the gradients of `feedback` once more.

    Two parts are left out: how the generators move the critics' penalty, which is evaluated at given samples, and how
    the singular vectors of spectral normalisation turn, which are held fixed.
    """
    gen_leaves, critic_leaves = _leaves(profile.generators.params, True), _leaves(profile.critics.params, True)
    p, q = weights(profile.generators).detach(), weights(profile.critics).detach()
    fake = networks.generator.stacked(gen_leaves, batch.latent)
    critics = _StackedCritics(networks.critic, game.constrain_critic(critic_leaves))
    terms = game.terms(lambda _: fake, critics, batch)
    penalty = game.penalty(lambda _: fake.detach(), critics, batch)
    critic_loss = terms.critic_loss if penalty is None else terms.critic_loss + penalty
    return Linearisation.of_losses(
        (q @ terms.generator_loss).sum(), (critic_loss @ p).sum(), Point(gen_leaves, critic_leaves)
    )


@final
class _AveragedLinearisation(AbstractLinearisation):
    """A derivative whose products are averaged over processes like feedbacks."""

    def __init__(self, own: Linearisation, average: Callable[[Feedback], Feedback]) -> None:
        self._own, self._average = own, average

    def pullback(self, cotangent: Point) -> Point:
        """J^T c."""
        return self._averaged(self._own.pullback(cotangent))

    def pushforward(self, tangent: Point) -> Point:
        """J v."""
        return self._averaged(self._own.pushforward(tangent))

    def _averaged(self, product: Point) -> Point:
        nothing = next(iter(product.generators.values())).new_zeros(0)
        seen = self._average(Feedback(nothing.reshape(0, 0), nothing, nothing, *product))
        assert seen.generator_grads is not None
        assert seen.critic_grads is not None
        return Point(seen.generator_grads, seen.critic_grads)


Evaluate = Callable[[AbstractGame, Networks, Profile, Batch, Players], Feedback]


@final
class GameOracle(AbstractOracle):
    """A game, its networks and a source of draws as an oracle.

    Args:
        game: the game.
        networks: both architectures.
        draw: makes the draws for one evaluation that the given players ask for; they are repeated where a profile has
            more generators than they were made for.
        average: reduces a feedback over processes; the identity for one process.
        evaluate: `feedback`, or `feedback_reference` to check against.
    """

    def __init__(
        self,
        game: AbstractGame,
        networks: Networks,
        draw: Callable[[Players], Batch],
        average: Callable[[Feedback], Feedback] = lambda one: one,
        evaluate: Evaluate = feedback,
    ) -> None:
        self._game, self._networks = game, networks
        self._draw, self._average, self._evaluate = draw, average, evaluate
        self._batch: Batch | None = None

    def resample(self) -> None:
        """Forget the current draws."""
        self._batch = None

    def feedback(self, profile: Profile, players: Players) -> Feedback:
        """The game's answer at `profile`, averaged over processes."""
        if self._batch is None:
            with section("data"):
                self._batch = self._draw(players)
        batch = self._batch.for_generators(size(profile.generators))
        return self._average(self._evaluate(self._game, self._networks, profile, batch, players))

    def linearise(self, profile: Profile) -> AbstractLinearisation:
        """The derivative of the field at `profile`, its products averaged over processes."""
        if self._batch is None:
            self._batch = self._draw(BOTH)
        batch = self._batch.for_generators(size(profile.generators))
        return _AveragedLinearisation(linearise(self._game, self._networks, profile, batch), self._average)

    def project(self, player: Player, params: Params) -> Params:
        """The game's own projection."""
        return self._game.project(player, params)

    def propose(self, player: Player, shape: tuple[int, ...], rng: torch.Generator) -> Params | None:
        """The game's own proposals."""
        return self._game.propose(player, shape, rng)

    def unwrap(self, player: Player, params: Params, reference: Params) -> Params:
        """By the game's own domains."""
        return self._game.unwrap(player, params, reference)
