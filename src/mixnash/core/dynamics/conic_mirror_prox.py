"""Conic particle mirror prox: a look-ahead of weights and positions in the geometry of both."""

from typing import final

import torch
from torch import Tensor

from mixnash.core.dynamics.base import AbstractMemorylessDynamics, DynamicsState, move_players
from mixnash.core.errors import require
from mixnash.core.rules.base import PlayerRules
from mixnash.core.tree import map_params, over_leaf
from mixnash.core.types import BOTH, AbstractOracle, Feedback, Params, Population


@final
class ConicMirrorProx(AbstractMemorylessDynamics):
    r"""Conic particle mirror prox (CP-MP): sweeps that all start at the base (a, x, b, y), each at the probe
    (a', x', b', y') that the one before it left; the last probe is the new base. With gradient steps and entropic
    weights, and :math:`F_{kl} = \Phi(x'_k, y'_l)`,

    .. math:: a^+ \propto a\, e^{-\eta_w F b'}, \quad
              x_k^+ = x_k - \eta_x \frac{a'_k}{a_k} \sum_l b'_l \nabla_x \Phi(x'_k, y'_l), \quad
              b^+ \propto b\, e^{\eta_w F^\top a'}, \quad
              y_l^+ = y_l + \eta_y \frac{b'_l}{b_l} \sum_k a'_k \nabla_y \Phi(x'_k, y'_l).

    The ratio is that of the implicit step in the conic metric, in which a particle's gradient is divided by its own
    weight. Any rules may take the place of these: they see the scaled gradients. Rule states advance once per step, as
    in `extragradient.Extragradient`, which two sweeps without the ratio are. One sweep is conic mirror descent-ascent
    (Wasserstein-Fisher-Rao), more sweeps approach the implicit step.

    The last iterate converges exponentially to a sparse mixed equilibrium from a start near enough to it, where the
    equilibrium is non-degenerate and both step sizes small enough; one sweep need not converge.

    References:
        Wang, Chizat, 2022, arXiv 2211.01280.

    Args:
        generators: rules of the generators.
        critics: rules of the critics.
        proximal: whether gradients carry the ratio of probe weight to base weight.
        sweeps: at least 1.
        same_sample: whether all sweeps use one set of draws, or each a fresh one.

    Raises:
        InvalidInputError: when `sweeps` is below 1.
    """

    def __init__(
        self,
        generators: PlayerRules,
        critics: PlayerRules,
        proximal: bool = True,
        sweeps: int = 2,
        same_sample: bool = False,
    ) -> None:
        require(sweeps >= 1, f"Conic mirror prox needs at least 1 sweep, found {sweeps}.")
        super().__init__(generators, critics)
        self._proximal, self._sweeps, self._same_sample = proximal, sweeps, same_sample

    @property
    def draws_per_step(self) -> int:
        """One, or one per sweep, by `same_sample`."""
        return 1 if self._same_sample else self._sweeps

    def step(
        self, state: DynamicsState, oracle: AbstractOracle, rng: torch.Generator
    ) -> tuple[DynamicsState, Feedback]:
        """One step of the class docstring's equations; the feedback is that of the last sweep, unscaled."""
        probe = state
        for sweep in range(self._sweeps):
            if sweep == 0 or not self._same_sample:
                oracle.resample()
            feedback = oracle.feedback(probe.profile, BOTH)
            # At the base itself, in the first sweep, the ratio is 1.
            seen = _scaled(feedback, state, probe) if self._proximal and sweep > 0 else feedback
            probe = move_players(self._rules, state, seen, BOTH, oracle, rng)
        return probe, feedback


def _scaled(feedback: Feedback, base: DynamicsState, probe: DynamicsState) -> Feedback:
    """The feedback with every particle's gradient times its probe weight over its base weight."""
    assert feedback.generator_grads is not None
    assert feedback.critic_grads is not None
    return feedback._replace(
        generator_grads=_times_ratio(feedback.generator_grads, base.generators.population, probe.generators.population),
        critic_grads=_times_ratio(feedback.critic_grads, base.critics.population, probe.critics.population),
    )


def _times_ratio(grads: Params, base: Population, probe: Population) -> Params:
    ratio = (probe.log_weights - base.log_weights).exp()

    def scale(leaf: Tensor) -> Tensor:
        return leaf * over_leaf(ratio, leaf)

    return map_params(scale, grads)
