"""What a rule is, and the pair of rules that moves one player."""

import abc
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, final

import torch
from torch import Tensor

from mixnash.core.types import Params, Population, RuleState


class AbstractPositionRule(abc.ABC):
    """Moves the positions of all particles of one player down their losses.

    Rules act element by element, so a stacked population moves exactly as its particles would one by one.
    """

    @abc.abstractmethod
    def init(self, params: Params) -> RuleState:
        """The state before the first update."""

    @abc.abstractmethod
    def update(self, params: Params, grads: Params, state: RuleState, rng: torch.Generator) -> tuple[Params, RuleState]:
        """New positions and state; arguments are left as they were."""

    @abc.abstractmethod
    def diagnostics(self, state: RuleState) -> dict[str, float]:
        """The numbers worth plotting at this state: `step_size`, `temperature`."""


class AbstractWeightRule(abc.ABC):
    """Moves the log-weights of one player's particles towards smaller losses."""

    @abc.abstractmethod
    def init(self, log_weights: Tensor) -> RuleState:
        """The state before the first update."""

    @abc.abstractmethod
    def update(self, log_weights: Tensor, losses: Tensor, state: RuleState) -> tuple[Tensor, RuleState]:
        """New log-weights [K] with logsumexp 0, from the opponent-averaged losses [K]."""


class PlayerState(NamedTuple):
    """Everything about one player that the next step needs."""

    population: Population
    position: RuleState
    weights: RuleState


@final
@dataclass(frozen=True)
class PlayerRules:
    """How one player moves.

    Args:
        position: moves the particles.
        weights: moves their log-weights.
    """

    position: AbstractPositionRule
    weights: AbstractWeightRule

    def init(self, population: Population) -> PlayerState:
        """The player's state before the first step."""
        return PlayerState(population, self.position.init(population.params), self.weights.init(population.log_weights))

    def move(
        self,
        state: PlayerState,
        grads: Params,
        losses: Tensor,
        rng: torch.Generator,
        project: Callable[[Params], Params],
    ) -> PlayerState:
        """One update of positions (then projected) and of log-weights, both from the same feedback."""
        params, position = self.position.update(state.population.params, grads, state.position, rng)
        log_weights, weights = self.weights.update(state.population.log_weights, losses, state.weights)
        return PlayerState(Population(project(params), log_weights), position, weights)
