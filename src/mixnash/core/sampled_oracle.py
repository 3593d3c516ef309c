"""Each player meets a few opponents, drawn from the opponent's mixture, in place of all of them."""

import math
from typing import final

import torch
from torch import Tensor

from mixnash.core.errors import require
from mixnash.core.population import drawn_indices
from mixnash.core.tree import take
from mixnash.core.types import (
    BOTH,
    CRITICS,
    GENERATORS,
    AbstractLinearisation,
    AbstractOracle,
    Feedback,
    Params,
    Player,
    Players,
    Population,
    Profile,
)


@final
class SampledOracle(AbstractOracle):
    r"""Another oracle against m opponents, drawn with replacement and independently by their weights,

    .. math:: \tilde\nabla_{g_k} = \frac1m \sum_{j=1}^m \nabla_{g_k} \ell_G(g_k, d_{l_j}), \quad l_j \sim q, \qquad
              E\, \tilde\nabla_{g_k} = \sum_l q_l \nabla_{g_k} \ell_G(g_k, d_l),

    and likewise for critics against n generators :math:`k_i \sim p`. Proof of the second equation: by linearity its
    left side is the mean of m equal terms :math:`\sum_l P(l_j = l)\, \nabla_{g_k} \ell_G(g_k, d_l)`. It holds for the
    losses too, and jointly with the inner oracle's own draws, as opponents are drawn independently of them: which
    generator's latents a drawn generator is given does not matter.

    An evaluation for the generators costs m (B + K b) evaluations of critics in place of L (B + K b), one for the
    critics L (B + n b) in place of L (B + K b). Where both players ask and one of them meets sampled opponents, the
    inner oracle is asked twice on the same draws.

    Opponents are kept, as uniform numbers that weights turn into particles, until `resample`: a second evaluation of
    the same mixture meets the same opponents, and one of other weights is still drawn by these.

    What a player who meets sampled opponents cannot know is filled in, so that shapes stay and means are unbiased:

    - for the generators, `values` repeats in all its columns what each generator pays, and `critic_losses`, where the
      critics did not ask, is the drawn critics' mean;
    - for the critics alone, `values` repeats in all its rows each critic's payoff against the drawn generators, and
      `generator_losses` is its mean by the critics' weights.

    Payoffs alone (`NOBODY`) and linearisations are those of all pairs: schemes that need the payoff matrix get it.

    References:
        Jelassi, Domingo-Enrich, Scieur, Mensch, Bruna, 2019, arXiv 1905.12363, for player sampling.

    Args:
        oracle: the inner oracle.
        generators: n >= 1, how many the critics meet; None for all, exactly.
        critics: m >= 1, how many the generators meet; None for all, exactly.
        rng: of the opponents, on the particles' device; the same on all processes.

    Raises:
        InvalidInputError: when a count is below 1.
    """

    def __init__(
        self, oracle: AbstractOracle, generators: int | None, critics: int | None, rng: torch.Generator
    ) -> None:
        for name, count in (("generators", generators), ("critics", critics)):
            require(count is None or count >= 1, f"At least 1 of the {name} must be sampled, found {count}.")
        self._oracle, self._generators, self._critics, self._rng = oracle, generators, critics, rng
        self._uniforms: dict[Player, Tensor] = {}

    def resample(self) -> None:
        """Forget the opponents and the inner oracle's draws."""
        self._uniforms = {}
        self._oracle.resample()

    def feedback(self, profile: Profile, players: Players) -> Feedback:
        """The inner oracle's answer at `profile`, to each player against its sampled opponents."""
        if self._is_exact(players):
            return self._oracle.feedback(profile, players)
        if players == GENERATORS:
            return self._for_generators(profile)
        if players == CRITICS:
            return self._for_critics(profile)
        assert players == BOTH
        own, other = self.feedback(profile, GENERATORS), self.feedback(profile, CRITICS)
        return own._replace(critic_losses=other.critic_losses, critic_grads=other.critic_grads)

    def _is_exact(self, players: Players) -> bool:
        """Whether nobody who asks meets sampled opponents."""
        sampled = (Player.GENERATOR in players and self._critics is not None) or (
            Player.CRITIC in players and self._generators is not None
        )
        return not sampled

    def _for_generators(self, profile: Profile) -> Feedback:
        assert self._critics is not None
        drawn = self._drawn(Player.CRITIC, profile.critics, self._critics)
        seen = self._oracle.feedback(profile._replace(critics=drawn), GENERATORS)
        opponents = profile.critics.log_weights
        return seen._replace(
            values=seen.generator_losses.unsqueeze(-1).expand(*seen.generator_losses.shape, opponents.shape[-1]),
            critic_losses=seen.critic_losses.mean(-1, keepdim=True).expand(opponents.shape),
        )

    def _for_critics(self, profile: Profile) -> Feedback:
        assert self._generators is not None
        drawn = self._drawn(Player.GENERATOR, profile.generators, self._generators)
        seen = self._oracle.feedback(profile._replace(generators=drawn), CRITICS)
        opponents = profile.generators.log_weights
        column = seen.values.mean(-2, keepdim=True)
        value = (column * profile.critics.log_weights.exp().unsqueeze(-2)).sum(-1)
        return seen._replace(
            values=column.expand(*opponents.shape, column.shape[-1]), generator_losses=value.expand(opponents.shape)
        )

    def _drawn(self, player: Player, population: Population, count: int) -> Population:
        """Particles of a player, drawn by their weights, as a mixed strategy of equal weights."""
        if player not in self._uniforms:
            like = population.log_weights
            self._uniforms[player] = torch.rand(
                (*like.shape[:-1], count), generator=self._rng, device=like.device, dtype=like.dtype
            )
        index = drawn_indices(population.log_weights, self._uniforms[player])
        log_weights = population.log_weights.new_full(index.shape, -math.log(count))
        return Population(take(population.params, index), log_weights)

    def linearise(self, profile: Profile) -> AbstractLinearisation:
        """The inner oracle's, of all pairs."""
        return self._oracle.linearise(profile)

    def project(self, player: Player, params: Params) -> Params:
        """The inner oracle's."""
        return self._oracle.project(player, params)

    def propose(self, player: Player, shape: tuple[int, ...], rng: torch.Generator) -> Params | None:
        """The inner oracle's."""
        return self._oracle.propose(player, shape, rng)

    def unwrap(self, player: Player, params: Params, reference: Params) -> Params:
        """The inner oracle's."""
        return self._oracle.unwrap(player, params, reference)
