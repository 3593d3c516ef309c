"""Move by the gradient at the point moved to."""

import math
from collections.abc import Callable
from typing import NamedTuple, final

import torch
from torch import Tensor

from mixnash.core.dynamics.anderson import AndersonHistory
from mixnash.core.dynamics.base import AbstractRuleDynamics, DynamicsState, StepRange, put_players, rule_diagnostics
from mixnash.core.errors import require
from mixnash.core.joint import field, place, position, project
from mixnash.core.random import noise_of
from mixnash.core.rules.base import PlayerRules
from mixnash.core.tree import map_params
from mixnash.core.types import BOTH, AbstractOracle, Feedback, Params, Player, Population, Profile

_PATIENCE = 2
"""Guesses in a row without progress before the solver forgets its history and halves its damping."""


class ProximalState(NamedTuple):
    """Both players and how well the last step was solved."""

    players: DynamicsState
    residual: Tensor
    """|U(z, V(w)) - w| at the accepted w [*games]; zero before the first step."""
    iterations: int
    """Evaluations that the last step took."""


class _Guess(NamedTuple):
    """A guess w of the next point, what it was told, and where that leads."""

    point: Tensor
    """w as one vector per game [*games, n]."""
    players: DynamicsState
    """U(z, V(w)), not projected."""
    feedback: Feedback
    step: Tensor
    """U(z, V(w)) - w [*games, n]."""
    residual: Tensor
    """Its norm [*games]."""
    worst: float
    """The largest residual of all games, each relative to max(1, |w|)."""


@final
class ProximalPoint(AbstractRuleDynamics):
    r"""The proximal point method: the implicit equation

    .. math:: z_{t+1} = U\big(z_t, V(z_{t+1})\big),

    solved on one set of draws by the fixed-point iteration :math:`w \leftarrow U(z_t, V(w))` from :math:`w = z_t` with
    Anderson acceleration (see `anderson.AndersonHistory`) on the joint vector of both players' positions and
    log-weights. The plain iteration converges for :math:`\eta L < 1` only, the accelerated one beyond. Each guess
    starts from the best one so far; where two in a row do not improve on it, the history is dropped and the damping
    halved until guesses improve again. On the bilinear game xy a step shrinks by :math:`1/\sqrt{1 + \eta^2}`, for every
    step size.

    The players finally move by their rules on the feedback at the accepted w, the one of smallest residual, so rule
    states advance once per step. Residual and number of evaluations are in the state and in the diagnostics; a residual
    above the tolerance means that `max_iterations` were not enough, or that no solution is near: rules whose update
    jumps with the gradient's sign, such as Adam without momentum, may have none.

    Where players have domains, w is the point before its projection P: the equation solved is w = U(z, V(P(w))) with U
    not projecting, and z+ = P(w). Noise of Langevin rules is drawn once per step and the same for all guesses:
    :math:`z_{t+1} = z_t - \eta V(z_{t+1}) + \sqrt{2\eta T}\, \xi_t`, the implicit Euler scheme.

    Games in a batch are solved side by side, each with a least-squares problem of its own; the guess that is accepted
    is the one whose worst residual is smallest, so a game without a solution holds up the others.

    Args:
        generators: rules of the generators.
        critics: rules of the critics.
        tolerance: a step is solved when the Euclidean norm of U(z, V(w)) - w is at most this times max(1, |w|), or
            eight units of rounding if that is more; positive.
        max_iterations: evaluations per step, at least 1.
        memory: differences of past guesses that are combined, at least 1; each costs two copies of all positions.

    Raises:
        InvalidInputError: when an argument is outside its range.

    References:
        Rockafellar, 1976, Monotone operators and the proximal point algorithm; Walker, Ni, 2011, Anderson acceleration
        for fixed-point iterations.
    """

    def __init__(
        self,
        generators: PlayerRules,
        critics: PlayerRules,
        tolerance: float = 1e-12,
        max_iterations: int = 100,
        memory: int = 10,
    ) -> None:
        require(tolerance > 0, f"The tolerance of the proximal point method must be positive, found {tolerance}.")
        require(max_iterations >= 1, f"The proximal point method needs at least 1 iteration, found {max_iterations}.")
        require(memory >= 1, f"Anderson acceleration needs a memory of at least 1, found {memory}.")
        super().__init__(generators, critics)
        self._tolerance, self._max_iterations, self._memory = tolerance, max_iterations, memory

    @property
    def draws_per_step(self) -> int:
        """One."""
        return 1

    def init(self, profile: Profile) -> ProximalState:
        """Both players at rest."""
        return ProximalState(self.at_rest(profile), torch.zeros_like(profile.generators.log_weights[..., 0]), 0)

    def step(
        self, state: ProximalState, oracle: AbstractOracle, rng: torch.Generator
    ) -> tuple[ProximalState, Feedback]:
        """One step of the class docstring's equation; the feedback is the one at the accepted w."""
        oracle.resample()
        noise = rng.get_state()

        def attempt(point: Tensor) -> _Guess:
            rng.set_state(noise)
            return self._attempt(point, state.players, oracle, rng)

        best, iterations = self._solve(_join(state.players.profile), attempt)
        free = position(best.players.profile)
        players = put_players(best.players, place(best.players.profile, project(oracle, free)))
        return ProximalState(players, best.residual, iterations), best.feedback

    def _solve(self, start: Tensor, attempt: Callable[[Tensor], _Guess]) -> tuple[_Guess, int]:
        """The best guess and the number of guesses made."""
        best = newest = attempt(start)
        history = AndersonHistory(self._memory)
        iterations, failures, damping = 1, 0, 1.0
        target = max(self._tolerance, 8 * torch.finfo(start.dtype).eps)
        while best.worst > target and iterations < self._max_iterations:
            if math.isfinite(newest.worst):
                history.add(newest.point, newest.step)
            newest = attempt(history.next(best.point, best.step, damping))
            iterations += 1
            if newest.worst < best.worst:
                best, failures, damping = newest, 0, min(1.0, 2 * damping)
            else:
                failures += 1
            if failures == _PATIENCE or not math.isfinite(newest.worst):
                history.forget()
                history.add(best.point, best.step)
                failures, damping = 0, damping / 2
        return best, iterations

    def _attempt(self, point: Tensor, start: DynamicsState, oracle: AbstractOracle, rng: torch.Generator) -> _Guess:
        """Evaluate at P(w) and move from the start."""
        free = _split(point, start.profile)
        feedback = oracle.feedback(place(free, project(oracle, position(free))), BOTH)
        seen = zip(self._rules, start, field(feedback), _losses(feedback), Player, strict=True)
        moved = (rules.move(own, grads, losses, noise_of(rng, who), _stay) for rules, own, grads, losses, who in seen)
        players = DynamicsState(*moved)
        step = _join(players.profile) - point
        residual = torch.linalg.vector_norm(step, dim=-1)
        scale = torch.linalg.vector_norm(point, dim=-1).clamp_min(1)
        return _Guess(point, players, feedback, step, residual, float((residual / scale).max()))

    def profile(self, state: ProximalState) -> Profile:
        """Both mixed strategies."""
        return state.players.profile

    def replace_profile(self, state: ProximalState, profile: Profile) -> ProximalState:
        """The players at `profile` with their rule states."""
        return state._replace(players=put_players(state.players, profile))

    def diagnostics(self, state: ProximalState) -> dict[str, float]:
        """What the position rules want plotted, and of the last step `implicit/residual`, `implicit/iterations`."""
        solved = {"implicit/residual": float(state.residual.max()), "implicit/iterations": float(state.iterations)}
        return rule_diagnostics(self._rules, state.players) | solved

    def proven_steps(self, lipschitz: float, weak_minty: float) -> StepRange | None:
        """Above -2 rho and without upper limit: the condition is needed, too, on the quadratic weak-Minty games."""
        del lipschitz
        return StepRange(-2 * min(weak_minty, 0.0), math.inf)


def _stay(params: Params) -> Params:
    return params


def _losses(feedback: Feedback) -> tuple[Tensor, Tensor]:
    return feedback.generator_losses, feedback.critic_losses


def _join(profile: Profile) -> Tensor:
    """Positions and log-weights of both players as one vector per game [*games, n]."""
    games = profile.generators.log_weights.dim() - 1
    leaves = [[*(leaf.flatten(games) for leaf in one.params.values()), one.log_weights] for one in profile]
    return torch.cat([*leaves[0], *leaves[1]], dim=-1)


def _split(vector: Tensor, like: Profile) -> Profile:
    """The profile that a vector stands for, its log-weights normalised."""
    games = like.generators.log_weights.dim() - 1
    leaves = [leaf for one in like for leaf in (*one.params.values(), one.log_weights)]
    parts = iter(vector.split_with_sizes([leaf.shape[games:].numel() for leaf in leaves], dim=-1))

    def take(leaf: Tensor) -> Tensor:
        return next(parts).reshape(leaf.shape)

    return Profile(
        *(Population(map_params(take, one.params), torch.log_softmax(take(one.log_weights), -1)) for one in like)
    )
