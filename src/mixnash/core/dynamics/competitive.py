"""Each player moves to the equilibrium of the bilinear game around the present point."""

from collections.abc import Callable
from typing import NamedTuple, final

import torch
from torch import Tensor

from mixnash.core.dynamics.field_dynamics import AbstractFieldDynamics, FieldState, arrive, dot, games_of, join, split
from mixnash.core.errors import require
from mixnash.core.joint import add, field, place, project
from mixnash.core.population import weights
from mixnash.core.schedules import AbstractSchedule, as_schedule
from mixnash.core.tree import map_params, zeros_like
from mixnash.core.types import BOTH, AbstractLinearisation, AbstractOracle, Feedback, Params, Point


@final
class Competitive(AbstractFieldDynamics):
    r"""Competitive gradient descent, with the off-diagonal blocks of the field's derivative J = V':

    .. math:: z_{t+1} = P\big(z_t - h\,(I + h J_{\text{off}}(z_t))^{-1} V(z_t)\big), \qquad
              J_{\text{off}} = \begin{pmatrix} 0 & J_{xy} \\ J_{yx} & 0 \end{pmatrix}.

    The generators' part u of the solution solves :math:`(I - h^2 J_{xy} J_{yx}) u = V_x - h J_{xy} V_y` by conjugate
    gradients, the critics' is :math:`V_y - h J_{yx} u`. Each iteration takes two products with J. Number of iterations
    and relative residual are in the diagnostics.

    Weights stay. For populations :math:`J_{xy}` is averaged over the critics' weights q and :math:`J_{yx}` over the
    generators' p, as in V: each particle foresees the moves of all particles of the other player. In zero-sum games the
    system is then symmetric and positive definite in the inner product :math:`\sum_k p_k \langle u_k, v_k \rangle`,
    which the conjugate gradients use. In other games it need not be: they stop where they break down, and the residual
    tells. For critics with a gradient penalty J leaves out how the generators move the penalty.

    On the bilinear game xy the multiplier is :math:`1/\sqrt{1 + h^2}` for every h, as for the proximal point method.

    Args:
        step_size: h, positive.
        tolerance: the iterations end when the residual's norm is at most this times the right side's; positive.
        max_iterations: at least 1.

    Raises:
        InvalidInputError: when an argument is outside its range.

    References:
        Schaefer, Anandkumar, 2019, Competitive gradient descent, arXiv 1905.12103.
    """

    def __init__(self, step_size: float | AbstractSchedule, tolerance: float = 1e-8, max_iterations: int = 50) -> None:
        require(tolerance > 0, f"The tolerance of competitive descent must be positive, found {tolerance}.")
        require(max_iterations >= 1, f"Competitive descent needs at least 1 iteration, found {max_iterations}.")
        self._step_size = as_schedule(step_size, "step size of competitive descent", positive=True)
        self._tolerance, self._max_iterations = tolerance, max_iterations

    @property
    def draws_per_step(self) -> int:
        """One."""
        return 1

    @property
    def shown(self) -> tuple[str, ...]:
        """Step size h, the relative residual of the linear system and the number of iterations."""
        return ("step_size", "residual", "iterations")

    def step(self, state: FieldState, oracle: AbstractOracle, rng: torch.Generator) -> tuple[FieldState, Feedback]:
        """One step of the class docstring's equation."""
        del rng
        step_size, games = self._step_size(state.steps), games_of(state.profile)
        oracle.resample()
        here = place(state.profile, state.base)
        feedback = oracle.feedback(here, BOTH)
        slope, blocks = field(feedback), _Blocks(oracle.linearise(here), state.base)

        def pack(params: Params) -> Tensor:
            return join(Point(params, {}), games)

        def apply(vector: Tensor) -> Tensor:
            u = split(vector, Point(state.base.generators, {})).generators
            return vector - step_size**2 * pack(blocks.on_generators(blocks.on_critics(u)))

        right = pack(slope.generators) - step_size * pack(blocks.on_generators(slope.critics))
        metric = pack(_spread(weights(state.profile.generators), state.base.generators))
        solved = _conjugate_gradients(apply, right, metric, self._tolerance, self._max_iterations)
        u = split(solved.solution, Point(state.base.generators, {})).generators
        foreseen = add(Point(u, slope.critics), -step_size, Point(zeros_like(u), blocks.on_critics(u)))
        point = project(oracle, add(state.base, -step_size, foreseen))
        numbers: dict[str, float | Tensor] = {
            "step_size": step_size,
            "residual": solved.residual,
            "iterations": float(solved.iterations),
        }
        return arrive(state, point, point, numbers), feedback


class _Blocks(NamedTuple):
    """Products with the blocks of J that couple the players."""

    linearisation: AbstractLinearisation
    point: Point

    def on_generators(self, critics: Params) -> Params:
        """J_xy b: how the generators' gradients change when the critics move by b."""
        return self.linearisation.pushforward(Point(zeros_like(self.point.generators), critics)).generators

    def on_critics(self, generators: Params) -> Params:
        """J_yx a: how the critics' gradients change when the generators move by a."""
        return self.linearisation.pushforward(Point(generators, zeros_like(self.point.critics))).critics


def _spread(own: Tensor, params: Params) -> Params:
    """Each particle's weight [*games, K] at each of its coordinates."""
    return map_params(lambda leaf: own.reshape(*own.shape, *(1,) * (leaf.dim() - own.dim())).expand_as(leaf), params)


class _Solved(NamedTuple):
    solution: Tensor
    residual: Tensor
    """Relative to the right side [*games]."""
    iterations: int


def _conjugate_gradients(
    apply: Callable[[Tensor], Tensor], right: Tensor, metric: Tensor, tolerance: float, max_iterations: int
) -> _Solved:
    """Solve `apply(u) = right`, one system per game [*games, n], symmetric in the inner product with weights `metric`.

    Games that have reached the tolerance, or whose next direction has no positive curvature, rest.
    """
    solution, rest, direction = torch.zeros_like(right), right, right
    length = dot(metric * rest, rest)
    target, tiny = tolerance**2 * length, torch.finfo(right.dtype).tiny
    first = length
    iterations = 0
    while iterations < max_iterations and bool((length > target).any()):
        image = apply(direction)
        curvature = dot(metric * direction, image)
        moves = (length > target) & (curvature > 0)
        if not bool(moves.any()):
            break
        stride = torch.where(moves, length / curvature.clamp_min(tiny), 0).unsqueeze(-1)
        solution, rest = solution + stride * direction, rest - stride * image
        before, length = length, dot(metric * rest, rest)
        direction = rest + torch.where(moves, length / before.clamp_min(tiny), 0).unsqueeze(-1) * direction
        iterations += 1
    return _Solved(solution, (length / first.clamp_min(tiny)).sqrt(), iterations)
