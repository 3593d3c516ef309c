"""Both players also make the field shorter."""

from typing import final

import torch

from mixnash.core.dynamics.field_dynamics import AbstractFieldDynamics, FieldState, arrive
from mixnash.core.errors import require
from mixnash.core.joint import add, field, place, project
from mixnash.core.schedules import AbstractSchedule, as_schedule
from mixnash.core.types import BOTH, AbstractOracle, Feedback


@final
class Consensus(AbstractFieldDynamics):
    r"""Consensus optimisation, with the derivative J = V' of the field:

    .. math:: z_{t+1} = P\big(z_t - h\, (V(z_t) + \gamma\, J(z_t)^T V(z_t))\big),
              \qquad J^T V = \nabla \tfrac12 |V|^2.

    One evaluation, a second one that keeps its graph, and one more backward pass through that. Weights stay; for
    populations :math:`|V|^2` is the sum over all particles of both players of the squared gradients, each averaged over
    the opponent's weights, and not weighted by the particle's own. For critics with a gradient penalty J leaves out how
    the generators move the penalty.

    On the bilinear game xy the multiplier is :math:`\sqrt{(1 - h\gamma)^2 + h^2}`, stable if and only if
    :math:`h < 2\gamma/(1 + \gamma^2)`. Every stationary point attracts for large gamma, also those that are no
    equilibria.

    Args:
        step_size: h, positive.
        regularisation: gamma, at least 0; 0 is simultaneous descent-ascent.

    Raises:
        InvalidInputError: when an argument is outside its range.

    References:
        Mescheder, Nowozin, Geiger, 2017, The numerics of GANs, arXiv 1705.10461.
    """

    def __init__(self, step_size: float | AbstractSchedule, regularisation: float) -> None:
        require(
            0 <= regularisation < float("inf"),
            f"The regularisation of consensus optimisation must be at least 0 and finite, found {regularisation}.",
        )
        self._step_size = as_schedule(step_size, "step size of consensus optimisation", positive=True)
        self._regularisation = regularisation

    @property
    def draws_per_step(self) -> int:
        """One."""
        return 1

    @property
    def shown(self) -> tuple[str, ...]:
        """Step size h."""
        return ("step_size",)

    def step(self, state: FieldState, oracle: AbstractOracle, rng: torch.Generator) -> tuple[FieldState, Feedback]:
        """One step of the class docstring's equation."""
        del rng
        step_size = self._step_size(state.steps)
        oracle.resample()
        here = place(state.profile, state.base)
        feedback = oracle.feedback(here, BOTH)
        slope = field(feedback)
        direction = add(slope, self._regularisation, oracle.linearise(here).pullback(slope))
        point = project(oracle, add(state.base, -step_size, direction))
        return arrive(state, point, point, {"step_size": step_size}), feedback
