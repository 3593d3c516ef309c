"""AdaptiveEG+ with the step size that the field allows here, instead of one for its worst place."""

from typing import NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor

from mixnash.core.dynamics.adaptive_extragradient_plus import (
    adaptive_relaxation,
    adaptive_steps,
    require_adaptive_arguments,
)
from mixnash.core.dynamics.base import StepRange
from mixnash.core.dynamics.field_dynamics import (
    AbstractFieldDynamics,
    FieldState,
    arrive,
    games_of,
    join,
    project_vector,
    split,
)
from mixnash.core.dynamics.jacobian_norm import jacobian_norm
from mixnash.core.errors import require
from mixnash.core.joint import field, place, project
from mixnash.core.types import BOTH, AbstractOracle, Feedback


class _Search(NamedTuple):
    """What the line search of one step ended with."""

    step_size: Float[Tensor, "*games"]
    free: Float[Tensor, "*games n"]
    """H = z - g V(z)."""
    ahead: Float[Tensor, "*games n"]
    """w = P(H)."""
    feedback: Feedback
    """At w."""
    backtracks: int


@final
class CurvatureExtragradientPlus(AbstractFieldDynamics):
    r"""CurvatureEG+: `adaptive_extragradient_plus.AdaptiveExtragradientPlus` with a line search for g at every step,

    .. math::
        g \leftarrow \nu / \|V'(z_t)\|_2, \qquad
        g \leftarrow \tau g \;\text{ while }\; g\, |V(w) - V(z_t)| > \nu\, |w - z_t|, \quad w = P(z_t - g V(z_t)),

    and sigma = `curvature` g. Everything in a step sees one set of draws. The point z is not projected and `profile`
    reports P(z), as there. Weights stay; see `field_dynamics` for populations and batches of games.

    The norm of the derivative is exact for up to `jacobian_norm.EXACT_COORDINATES` coordinates of both players
    together. Beyond, power iteration gives a lower bound, which makes g larger; the line search makes up for it. The
    search allows for rounding by a relative tolerance, 1e-10 in double precision: on linear fields its test holds with
    equality. It may fail to end where V jumps, as for networks with kinks: after `max_backtracks` the step is made
    with the g it has. The number of backtracks is in the diagnostics.

    The steps that it finds converge where those of AdaptiveEG+ do, for :math:`\rho > -1/(2L)`, with L and rho of the
    places that it visits.

    Args:
        curvature: sigma / g, in (-1/2, 0].
        relaxation: lambda, in (0, 2).
        safety: nu, in (0, 1).
        shrinkage: tau, in (0, 1): factor of g per backtrack.
        max_backtracks: at least 0.
        max_step_size: bound on g, positive, for fields that hardly change.
        power_iterations: products with V' and its transpose each, at least 1, where the norm is not exact.

    Raises:
        InvalidInputError: when an argument is outside its range.

    References:
        Pethick, Latafat, Patrinos, Fercoq, Cevher, 2022, Escaping limit cycles, arXiv 2302.09831.
    """

    def __init__(
        self,
        curvature: float = -0.495,
        relaxation: float = 1.0,
        safety: float = 0.99,
        shrinkage: float = 0.5,
        max_backtracks: int = 50,
        max_step_size: float = 1e3,
        power_iterations: int = 10,
    ) -> None:
        require_adaptive_arguments(curvature, relaxation)
        require(0 < safety < 1, f"The safety of CurvatureEG+ must lie in (0, 1), found {safety}.")
        require(0 < shrinkage < 1, f"The shrinkage of CurvatureEG+ must lie in (0, 1), found {shrinkage}.")
        require(max_backtracks >= 0, f"The backtracks of CurvatureEG+ cannot be fewer than 0, found {max_backtracks}.")
        require(max_step_size > 0, f"The largest step size of CurvatureEG+ must be positive, found {max_step_size}.")
        require(power_iterations >= 1, f"CurvatureEG+ needs at least 1 power iteration, found {power_iterations}.")
        self._curvature, self._relaxation = curvature, relaxation
        self._safety, self._shrinkage = safety, shrinkage
        self._max_backtracks, self._max_step_size = max_backtracks, max_step_size
        self._power_iterations = power_iterations

    @property
    def draws_per_step(self) -> int:
        """One."""
        return 1

    @property
    def shown(self) -> tuple[str, ...]:
        """Look-ahead step g, alpha and the number of backtracks."""
        return ("step_size", "relaxation", "backtracks")

    def step(self, state: FieldState, oracle: AbstractOracle, rng: torch.Generator) -> tuple[FieldState, Feedback]:
        """One step of the class docstring's equations; the feedback is the one at w."""
        oracle.resample()
        games, here = games_of(state.profile), place(state.profile, state.base)
        start, slope = join(state.base, games), join(field(oracle.feedback(here, BOTH)), games)
        steepness = jacobian_norm(oracle.linearise(here), state.base, games, self._power_iterations, rng)
        first = (self._safety / steepness).clamp_max(self._max_step_size)
        found = self._search(state, oracle, start, slope, first)
        scale = found.step_size.unsqueeze(-1)
        jump = (found.ahead - found.free) - scale * join(field(found.feedback), games)
        alpha = adaptive_relaxation(found.ahead - start, jump, self._curvature)
        base = split(start + self._relaxation * alpha.unsqueeze(-1) * jump, state.base)
        numbers: dict[str, float | Tensor] = {
            "step_size": found.step_size,
            "relaxation": alpha,
            "backtracks": float(found.backtracks),
        }
        return arrive(state, base, project(oracle, base), numbers), found.feedback

    def _search(
        self, state: FieldState, oracle: AbstractOracle, start: Tensor, slope: Tensor, step_size: Tensor
    ) -> _Search:
        """Shrink g until the test holds in every game; games that pass keep theirs."""
        safety = self._safety * (1 + max(1e-10, 100 * torch.finfo(start.dtype).eps))
        backtracks = 0
        while True:
            free = start - step_size.unsqueeze(-1) * slope
            ahead, point = project_vector(oracle, free, state.base)
            feedback = oracle.feedback(place(state.profile, point), BOTH)
            change = join(field(feedback), start.dim() - 1) - slope
            failed = step_size * torch.linalg.vector_norm(change, dim=-1) > safety * torch.linalg.vector_norm(
                ahead - start, dim=-1
            )
            if backtracks == self._max_backtracks or not bool(failed.any()):
                return _Search(step_size, free, ahead, feedback, backtracks)
            step_size = torch.where(failed, self._shrinkage * step_size, step_size)
            backtracks += 1

    def proven_steps(self, lipschitz: float, weak_minty: float) -> StepRange | None:
        """Those of AdaptiveEG+, with constants of the places visited; the line search picks one itself."""
        return adaptive_steps(self._curvature, lipschitz, weak_minty)
