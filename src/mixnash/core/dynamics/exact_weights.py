"""Follow any dynamics, and every so often set the weights by solving the payoff matrix exactly."""

from typing import NamedTuple, final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mixnash.core.dynamics.base import AbstractDynamics
from mixnash.core.dynamics.double_oracle import FLOOR
from mixnash.core.errors import require
from mixnash.core.matrix_solver import AbstractMatrixSolver
from mixnash.core.population import make_population, size, weights
from mixnash.core.tree import map_params
from mixnash.core.types import NOBODY, AbstractOracle, Feedback, Params, Population, Profile, RuleState


class ExactWeightsState(NamedTuple):
    """The base's state, critics of the past, and what was last solved."""

    base: RuleState
    past: Params
    """Critics of the last m solutions, the newest first: leaves [m L, ...]; zeros where there were none yet."""
    solutions: int
    """Matrices solved so far."""
    steps: int
    value: Tensor
    """Scalar: the value of the last matrix game; 0 before."""
    gap: Tensor
    """Scalar: the gap of the mixtures in it before they were changed; 0 before."""


@final
class ExactWeights(AbstractDynamics):
    r"""Weights by exact solutions: after every n steps of the base, the payoff matrix A, K x (m + 1) L, of the present
    generators against the present critics and those of the last m solutions is evaluated on fresh draws and solved
    exactly, and the weights go part of the way to the solution :math:`(p^*, q^*)`,

    .. math:: p \leftarrow (1 - a)\, p + a\, p^*, \qquad
              q \leftarrow (1 - a)\, q + a\, \frac{(q^*_1, \dots, q^*_L)}{q^*_1 + \dots + q^*_L}.

    The memory is for few critics: against L of them, L generators are enough for an equilibrium, and a single critic
    has a single best generator. With critics of the past among the columns the weights answer all of them. A single
    critic keeps its weight of 1, and so do the critics' weights where the solution leaves out all present ones.

    Between solutions weights move by the base's rules, from where they were put. A weight of zero is kept as
    :math:`e^{-50}`, from which multiplicative rules do not come back soon, but the next solution may. Positions of
    particles without weight go on moving. Payoffs are without the critics' penalty. As the smallest entries of a noisy
    matrix are chosen, the solution is biased to the draws it has seen: average more of them, or go part of the way.

    The diagnostics `exact/value` and `exact/gap` are the value of the last matrix game, and the gap that the mixtures
    had in it before,

    .. math:: \max_j\, (p^\top A)_j - \min_k\, (A_{\cdot, 1 \dots L}\, q)_k.

    The base is put at the new weights (`replace_profile`), so memories of past gradients start anew. One game at a
    time, no batches of games.

    Args:
        base: the dynamics between solutions.
        solver: finds equilibria of matrices, such as `mixnash.equilibrium.linear_program.LinearProgram`.
        every: n >= 1, in steps of the base.
        memory: m >= 0; the critics are copied that many times.
        damping: a in (0, 1]; 1 takes the solution itself.
        draws: at least 1; fresh draws over which the matrix is averaged. Training data are read for as many more
            batches in every step, also where nothing is solved.

    Raises:
        InvalidInputError: when an argument is outside its range.
    """

    def __init__(
        self,
        base: AbstractDynamics,
        solver: AbstractMatrixSolver,
        every: int = 100,
        memory: int = 0,
        damping: float = 1.0,
        draws: int = 1,
    ) -> None:
        require(every >= 1, f"Exact weights must be at least 1 step apart, found {every}.")
        require(memory >= 0, f"The memory of past critics must be at least 0 solutions long, found {memory}.")
        require(0 < damping <= 1, f"The damping of exact weights must lie in (0, 1], found {damping}.")
        require(draws >= 1, f"Exact weights need at least 1 draw of the payoff matrix, found {draws}.")
        self._base, self._solver = base, solver
        self._every, self._memory, self._damping, self._draws = every, memory, damping, draws

    @property
    def draws_per_step(self) -> int:
        """Those of the base, and those of the matrix."""
        return self._base.draws_per_step + self._draws

    def extra_particles(self, generators: int, critics: int) -> tuple[int, int]:
        """The critics of the past, and what the base keeps."""
        of_generators, of_critics = self._base.extra_particles(generators, critics)
        return of_generators, of_critics + self._memory * critics

    def init(self, profile: Profile) -> ExactWeightsState:
        """The base at the start, an empty memory."""

        def room(leaf: Tensor) -> Tensor:
            return leaf.new_zeros(self._memory * len(leaf), *leaf.shape[1:])

        nothing = profile.generators.log_weights.new_zeros(())
        past = map_params(room, profile.critics.params)
        return ExactWeightsState(self._base.init(profile), past, 0, 0, nothing, nothing.clone())

    def step(
        self, state: ExactWeightsState, oracle: AbstractOracle, rng: torch.Generator
    ) -> tuple[ExactWeightsState, Feedback]:
        """One step of the base, whose feedback it is; every n-th is followed by a solution."""
        base, feedback = self._base.step(state.base, oracle, rng)
        moved = state._replace(base=base, steps=state.steps + 1)
        return (self._solve(moved, oracle) if moved.steps % self._every == 0 else moved), feedback

    def _solve(self, state: ExactWeightsState, oracle: AbstractOracle) -> ExactWeightsState:
        generators, critics = self._base.profile(state.base)
        present = size(critics)
        remembered = present * min(state.solutions, self._memory)
        columns = map_params(lambda new, old: torch.cat([new, old[:remembered]]), critics.params, state.past)
        payoff = self._payoff(Profile(generators, make_population(columns)), oracle)
        p, q = self._solver.solve(payoff)

        gap = (weights(generators) @ payoff).max() - (payoff[:, :present] @ weights(critics)).min()
        share = q[:present].sum()
        new = Profile(
            _towards(generators, p, self._damping),
            _towards(critics, q[:present] / share, self._damping) if present > 1 and share > 0 else critics,
        )
        past = map_params(lambda one, old: torch.cat([one, old])[: len(old)], critics.params, state.past)
        return ExactWeightsState(
            self._base.replace_profile(state.base, new), past, state.solutions + 1, state.steps, p @ payoff @ q, gap
        )

    def _payoff(self, profile: Profile, oracle: AbstractOracle) -> Float[Tensor, "K columns"]:
        """The matrix, averaged over fresh draws."""
        seen = []
        for _ in range(self._draws):
            oracle.resample()
            seen.append(oracle.feedback(profile, NOBODY).values)
        return torch.stack(seen).mean(0)

    def profile(self, state: ExactWeightsState) -> Profile:
        """That of the base."""
        return self._base.profile(state.base)

    def replace_profile(self, state: ExactWeightsState, profile: Profile) -> ExactWeightsState:
        """The base put at `profile`; critics of the past are remembered, the count of steps goes on."""
        return state._replace(base=self._base.replace_profile(state.base, profile))

    def newcomers(self, before: ExactWeightsState, after: ExactWeightsState) -> Bool[Tensor, "*games K"] | None:
        """Those of the base."""
        return self._base.newcomers(before.base, after.base)

    def diagnostics(self, state: ExactWeightsState) -> dict[str, float]:
        """Those of the base, and of the last solution `exact/value` and `exact/gap`."""
        exact = {"exact/value": float(state.value), "exact/gap": float(state.gap)}
        return self._base.diagnostics(state.base) | exact


def _towards(population: Population, target: Float[Tensor, " K"], share: float) -> Population:
    """The same particles with weights part of the way to `target`; log-weights stay finite."""
    mixed = torch.lerp(weights(population), target.to(population.log_weights), share)
    return make_population(population.params, mixed.log().clamp_min(FLOOR))
