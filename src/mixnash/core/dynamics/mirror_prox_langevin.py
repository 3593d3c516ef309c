"""Mirror-prox-Langevin dynamics: the inner chain is run twice, the second time against the means of the first."""

from typing import final

import torch

from mixnash.core.dynamics.inner_chain import AbstractInnerChain, InnerChainState, finish, run_chain
from mixnash.core.types import AbstractOracle, Feedback


@final
class MirrorProxLangevin(AbstractInnerChain):
    r"""The loop of Mirror-Prox-GAN. Write :math:`C(z; w)` for the running mean of a chain of :math:`K_t` position
    updates that begins at z and plays against w throughout (see `mirror_langevin.MirrorLangevin`); then

    .. math:: w_t = C(z_t; z_t), \qquad z_{t+1} = (1 - \gamma)\, z_t + \gamma\, C(z_t; w_t).

    The look-ahead w also carries weights moved by their rules. Its rule states are dropped, so states advance along the
    second chain only. With :math:`K_t = \beta = \gamma = 1` on a payoff that is linear in each player's position this
    is `extragradient.Extragradient`; in general it differs, as a chain's own player starts at :math:`z_t` again.

    References:
        Hsieh, Liu, Cevher, 2019, arXiv 1811.02002 (Mirror-Prox-GAN).

    Args:
        generators: rules of the generators.
        critics: rules of the critics.
        inner_steps: K_t >= 1, a number or a schedule of the outer steps, rounded down.
        inner_damping: beta in (0, 1].
        outer_damping: gamma in (0, 1]; the paper uses beta.

    Raises:
        InvalidInputError: when a chain can have no step or a damping is outside (0, 1].
    """

    @property
    def draws_per_step(self) -> int:
        """Two of the longest chains."""
        return 2 * self.longest

    @property
    def is_separable(self) -> bool:
        """Every particle moves on its own gradients."""
        return True

    def step(
        self, state: InnerChainState, oracle: AbstractOracle, rng: torch.Generator
    ) -> tuple[InnerChainState, Feedback]:
        """One outer step of the class docstring's equations; the feedback is the second chain's last."""
        length, outer = self.length(state), state.players
        first = run_chain(self._rules, outer, length, self._inner_damping, outer.profile, oracle, rng)
        ahead = finish(self._rules, outer, first, 1.0, oracle).profile
        second = run_chain(self._rules, outer, length, self._inner_damping, ahead, oracle, rng)
        players = finish(self._rules, outer, second, self._outer_damping, oracle)
        return InnerChainState(players, state.steps + 1), second.feedback
