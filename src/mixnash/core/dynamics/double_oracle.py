"""Double oracle with a fixed number of particles: new best responses by gradients, weights by an exact meta-solver."""

from typing import NamedTuple, final

import torch
from jaxtyping import Bool
from torch import Tensor

from mixnash.core.dynamics.base import AbstractDynamics
from mixnash.core.errors import require
from mixnash.core.matrix_solver import AbstractMatrixSolver
from mixnash.core.population import make_population, prune, weights
from mixnash.core.rules.base import AbstractPositionRule
from mixnash.core.tree import map_params, normal_like
from mixnash.core.types import (
    CRITICS,
    GENERATORS,
    AbstractOracle,
    Feedback,
    Params,
    Player,
    Population,
    Profile,
)

FLOOR = -50.0
"""Smallest log-weight of a particle that the exact solution leaves out."""
NEGLIGIBLE = 1e-9
"""Weights below this count as zero when it is decided who leaves: solvers answer to about this accuracy."""


class DoubleOracleState(NamedTuple):
    """The last exact mixture, when its particles came, and what the last newcomers gained."""

    profile: Profile
    generator_rounds: Tensor
    """The round [K] in which each generator came; integers, 0 for the first ones."""
    critic_rounds: Tensor
    """The same for the critics [L]."""
    generator_gain: Tensor
    """Scalar: by how much the last new generator paid less than the value against the mixture it was trained on."""
    critic_gain: Tensor
    """Scalar: by how much the last new critic got more."""
    rounds: int


@final
class DoubleOracle(AbstractDynamics):
    r"""Double oracle on K generators and L critics. With the exact mixture (p, q) of the current particles frozen, a
    round

    1. trains one new particle per player against the opponent's mixture, n updates by its position rule with a fresh
       state, from a copy of the player's heaviest particle plus Gaussian noise of deviation s,
    2. evaluates the (K + 1) x (L + 1) payoff matrix with the newcomers and solves it exactly,
    3. lets each player's lightest particle in this solution go (the longest-serving one of several without weight), the
       newcomer taking its place unless it is the lightest itself, and solves the K x L matrix that is left exactly: its
       solution is the new mixture.

    As long as the equilibria of the enlarged games need no more than K and L particles, nothing that carries weight is
    lost, and rounds are those of the unbounded double oracle with its idle strategies forgotten. With K = L = 1 a
    newcomer takes over when it is preferred in the 2 x 2 game. A gradient from a copy finds a local best response only:
    some noise is needed where copies are stationary.

    The gains in `diagnostics` tell when to stop: neither player's newcomer does better than the mixture's value. They
    bound the distance from equilibrium from below. The oracle must look at positions (not a `FiniteOracle`); one game
    at a time, no batches of games. Until the first round the mixture is the one given.

    References:
        McMahan, Gordon, Blum, 2003, Planning in the presence of cost functions controlled by an adversary, ICML; with
        networks: Aung et al., 2022, DO-GAN, CVPR.

    Args:
        generators: moves new generators; its schedules begin anew in every round.
        critics: moves new critics; the same.
        solver: finds equilibria of matrices, such as `mixnash.equilibrium.linear_program.LinearProgram`.
        response_steps: n >= 1.
        perturbation: s >= 0.

    Raises:
        InvalidInputError: when `response_steps` is below 1 or `perturbation` negative.
    """

    def __init__(
        self,
        generators: AbstractPositionRule,
        critics: AbstractPositionRule,
        solver: AbstractMatrixSolver,
        response_steps: int = 100,
        perturbation: float = 0.0,
    ) -> None:
        require(response_steps >= 1, f"A double oracle needs at least 1 response step, found {response_steps}.")
        require(perturbation >= 0, f"The perturbation of new particles must be at least 0, found {perturbation}.")
        self._rules = (generators, critics)
        self._solver = solver
        self._response_steps, self._perturbation = response_steps, perturbation

    @property
    def draws_per_step(self) -> int:
        """One per update of either newcomer, and one for the payoff matrix."""
        return 2 * self._response_steps + 1

    def init(self, profile: Profile) -> DoubleOracleState:
        """The given mixture; all particles came in round 0."""
        generator_rounds, critic_rounds = (torch.zeros_like(one.log_weights, dtype=torch.int64) for one in profile)
        nothing = profile.generators.log_weights.new_zeros(())
        return DoubleOracleState(profile, generator_rounds, critic_rounds, nothing, nothing.clone(), 0)

    def step(
        self, state: DoubleOracleState, oracle: AbstractOracle, rng: torch.Generator
    ) -> tuple[DoubleOracleState, Feedback]:
        """One round of the class docstring; the feedback is that of the new mixture, without gradients."""
        old = state.profile
        # Particles without weight do not show in anybody's gradient, and exact solutions leave most without.
        mixture = Profile(prune(old.generators, NEGLIGIBLE), prune(old.critics, NEGLIGIBLE))
        generator = self._respond(Player.GENERATOR, mixture, oracle, rng)
        critic = self._respond(Player.CRITIC, mixture, oracle, rng)

        enlarged = Profile(_join(old.generators, generator), _join(old.critics, critic))
        oracle.resample()
        payoff = oracle.feedback(enlarged, frozenset()).values
        rows, columns = self._solver.solve(payoff)
        round_number = state.rounds + 1
        generator_rounds, critic_rounds = (
            torch.cat([one, one.new_full((1,), round_number)]) for one in (state.generator_rounds, state.critic_rounds)
        )
        kept_rows, kept_columns = _remaining(rows, generator_rounds), _remaining(columns, critic_rounds)
        values = payoff[kept_rows][:, kept_columns]
        p, q = self._solver.solve(values)

        gains = _gains(payoff, weights(old.generators), weights(old.critics))
        new = DoubleOracleState(
            Profile(_weighted(enlarged.generators, kept_rows, p), _weighted(enlarged.critics, kept_columns, q)),
            generator_rounds[kept_rows],
            critic_rounds[kept_columns],
            *gains,
            round_number,
        )
        return new, Feedback(values, values @ q, -(values.mT @ p), None, None)

    def _respond(self, player: Player, mixture: Profile, oracle: AbstractOracle, rng: torch.Generator) -> Params:
        """One particle [1, ...] trained against the opponent's mixture."""
        generates = player is Player.GENERATOR
        rule, own = (self._rules[0], mixture.generators) if generates else (self._rules[1], mixture.critics)
        oracle.resample()
        params = oracle.project(player, self._copy_heaviest(own, rng))
        state, certain = rule.init(params), own.log_weights.new_zeros(1)
        for update in range(self._response_steps):
            if update > 0:
                oracle.resample()
            alone = Population(params, certain)
            if generates:
                grads = oracle.feedback(Profile(alone, mixture.critics), GENERATORS).generator_grads
            else:
                grads = oracle.feedback(Profile(mixture.generators, alone), CRITICS).critic_grads
            assert grads is not None
            params, state = rule.update(params, grads, state, rng)
            params = oracle.project(player, params)
        return params

    def _copy_heaviest(self, population: Population, rng: torch.Generator) -> Params:
        """One perturbed particle [1, ...]."""
        heaviest = population.log_weights.argmax().reshape(1)
        seed = map_params(lambda leaf: leaf.index_select(0, heaviest), population.params)
        noise = normal_like(seed, rng)
        return map_params(lambda leaf, draw: leaf.add(draw, alpha=self._perturbation), seed, noise)

    def profile(self, state: DoubleOracleState) -> Profile:
        """The last exact mixture."""
        return state.profile

    def replace_profile(self, state: DoubleOracleState, profile: Profile) -> DoubleOracleState:
        """The mixture replaced; the next newcomers answer it."""
        return state._replace(profile=profile)

    def newcomers(self, before: DoubleOracleState, after: DoubleOracleState) -> Bool[Tensor, " K"]:
        """Whoever came in another round than the one who had the place before."""
        return after.generator_rounds != before.generator_rounds

    def diagnostics(self, state: DoubleOracleState) -> dict[str, float]:
        """What the newcomers of the last round gained, and how many particles carry weight."""
        return {
            "generators/gain": float(state.generator_gain),
            "generators/support": _support(state.profile.generators),
            "critics/gain": float(state.critic_gain),
            "critics/support": _support(state.profile.critics),
        }


def _join(population: Population, newcomer: Params) -> Population:
    """K + 1 particles, the newcomer last; equal weights stand for weights that are still to be found."""
    return make_population(map_params(lambda many, one: torch.cat([many, one]), population.params, newcomer))


def _remaining(found: Tensor, rounds: Tensor) -> Tensor:
    """Indices [K] of the particles that stay out of K + 1 with weights `found`, the newcomer in the leaver's place.

    The lightest leaves; of several without weight, the one that came first.
    """
    lightest = found <= found.min().clamp_min(NEGLIGIBLE)
    leaving = torch.where(lightest, rounds, rounds.max() + 1).argmin().reshape(1)
    newcomer = len(found) - 1
    return torch.arange(len(found), device=found.device).scatter(0, leaving, newcomer)[:newcomer]


def _weighted(enlarged: Population, kept: Tensor, probabilities: Tensor) -> Population:
    """The particles that stay, at the exact solution; log-weights stay finite."""
    params = map_params(lambda leaf: leaf.index_select(0, kept), enlarged.params)
    log_weights = probabilities.to(enlarged.log_weights).log().clamp_min(FLOOR)
    return make_population(params, log_weights)


def _gains(payoff: Tensor, p: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    """How much less the new row pays, and how much more the new column gets, than the old mixtures' value."""
    value = p @ payoff[:-1, :-1] @ q
    return value - payoff[-1, :-1] @ q, p @ payoff[:-1, -1] - value


def _support(population: Population) -> float:
    return float((weights(population) > NEGLIGIBLE).sum())
