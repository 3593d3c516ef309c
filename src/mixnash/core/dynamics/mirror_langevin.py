"""Mirror-Langevin dynamics: outer points damped towards the mean of an inner Langevin chain."""

from typing import final

import torch

from mixnash.core.dynamics.inner_chain import AbstractInnerChain, InnerChainState, finish, run_chain
from mixnash.core.rules.base import PlayerRules
from mixnash.core.schedules import AbstractSchedule
from mixnash.core.types import AbstractOracle, Feedback


@final
class MirrorLangevin(AbstractInnerChain):
    r"""The loop of Mirror-GAN and MixedNE-LD: from the outer point :math:`z_t` run :math:`K_t` updates of the position
    rules, keep their running mean, and damp,

    .. math:: \zeta_0 = \bar\zeta_0 = z_t, \quad \zeta_k = U(\zeta_{k-1}, V_k), \quad
              \bar\zeta_k = (1 - \beta)\, \bar\zeta_{k-1} + \beta\, \zeta_k, \quad
              z_{t+1} = (1 - \gamma)\, z_t + \gamma\, \bar\zeta_{K_t}.

    Co-evolving chains use the field at the chain, :math:`V_k = V(\zeta_{k-1})`; otherwise each player plays against the
    other's outer point, :math:`V_k = (V_x(\xi_{k-1}, y_t), V_y(x_t, \upsilon_{k-1}))` for
    :math:`\zeta = (\xi, \upsilon)`, which takes two evaluations per update. Which of the two decides what is reached.
    The mean stands for the mixed strategy that the chain samples; `langevin.Langevin` or
    `preconditioned_langevin.PreconditionedLangevin` bring the noise. With :math:`K_t = \beta = \gamma = 1` and
    co-evolving chains this is `simultaneous.Simultaneous`.

    Rule states, Adam's moments and schedules among them, continue along the chains: schedules of position rules count
    inner updates. Weights stay during a chain and move once per outer step, on its losses averaged over the chain.
    Means are projected after damping; they make sense in convex domains, and not across the seam of a torus.

    References:
        Hsieh, Liu, Cevher, 2019, arXiv 1811.02002 (Mirror-GAN, opponent at the outer point); Kamalaruban et al., 2020,
        arXiv 2002.06063 (MixedNE-LD).

    Args:
        generators: rules of the generators.
        critics: rules of the critics.
        inner_steps: K_t >= 1, a number or a schedule of the outer steps, rounded down.
        inner_damping: beta in (0, 1].
        outer_damping: gamma in (0, 1]; the papers use beta.
        co_evolving: whether both chains see each other's current point, or the outer one.

    Raises:
        InvalidInputError: when a chain can have no step or a damping is outside (0, 1].
    """

    def __init__(
        self,
        generators: PlayerRules,
        critics: PlayerRules,
        inner_steps: int | AbstractSchedule = 1,
        inner_damping: float = 0.5,
        outer_damping: float = 0.5,
        co_evolving: bool = True,
    ) -> None:
        super().__init__(generators, critics, inner_steps, inner_damping, outer_damping)
        self._co_evolving = co_evolving

    @property
    def draws_per_step(self) -> int:
        """The largest length of a chain."""
        return self.longest

    @property
    def is_separable(self) -> bool:
        """Every particle moves on its own gradients."""
        return True

    def step(
        self, state: InnerChainState, oracle: AbstractOracle, rng: torch.Generator
    ) -> tuple[InnerChainState, Feedback]:
        """One outer step of the class docstring's equations; the feedback is the chain's last."""
        length = self.length(state)
        opponents = None if self._co_evolving else state.players.profile
        end = run_chain(self._rules, state.players, length, self._inner_damping, opponents, oracle, rng)
        players = finish(self._rules, state.players, end, self._outer_damping, oracle)
        return InnerChainState(players, state.steps + 1), end.feedback
