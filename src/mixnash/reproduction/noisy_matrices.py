r"""Solved matrix games whose payoffs are seen through noise, played and searched as GANs are.

The generator with logits a plays the row mixture softmax(a) and makes of a latent z the sample
:math:`-(A + \sigma Z(z))^\top \mathrm{softmax}(a)`; the critic with logits b scores a sample s by
:math:`\langle s, \mathrm{softmax}(b) \rangle`; all real samples are 0. So the Wasserstein payoff is the matrix game's,
:math:`x^\top A y`, plus noise of mean 0 that all strategies share, and nothing of the search knows of the matrix.
"""

from typing import NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor

from mixnash.core.games.constraints import WeightClipping
from mixnash.core.games.wasserstein import Wasserstein
from mixnash.core.population import make_population, size
from mixnash.core.random import stream
from mixnash.core.rules.adam import Adam
from mixnash.core.types import Batch, NetworkFunctions, Networks, Params, Players, Point, Population, Profile
from mixnash.equilibrium.duality_gap import DualityGap, GapDraws, duality_gap
from mixnash.equilibrium.linear_program import matrix_gap, solve_matrix_game

_LOGITS = "logits"
_PURE = 20.0  # logit of the strategy played, against 0 of the others: e^-20 of the mass elsewhere
_LARGEST = 25.0  # logits are clipped, far away from where they matter
_NEGLIGIBLE = 1e-9  # weights that stand for 0
_STARTS = 4
_RULE = Adam(0.1, 0.5, 0.9)  # moves logits


class Effort(NamedTuple):
    """How games are made, and how hard deviations are searched for."""

    strategies: int = 5
    """Of each player."""
    noise: float = 0.5
    """Standard deviation of every entry of the matrix in one sample; that of the entries' means is 1."""
    samples: int = 64
    """Per batch."""
    search_batches: int = 16
    score_batches: int = 50
    marks: tuple[int, ...] = (0, 50, 200)
    """Updates after which candidates are looked at."""


class SolvedGame(NamedTuple):
    """A random matrix game at its equilibrium."""

    found: DualityGap
    """What the search says; the gap is zero."""
    uniform_gap: float
    """The exact gap of the uniform mixtures, for comparison."""


def solved_game(seed: int, effort: Effort) -> SolvedGame:
    """Draw a matrix with unit normal entries, solve it by linear programming, and search for deviations.

    Args:
        seed: of the matrix and of all draws.
        effort: how hard.
    """
    count = effort.strategies
    payoff = torch.randn(count, count, generator=stream(torch.device("cpu"), seed, 0), dtype=torch.float64)
    solution = solve_matrix_game(payoff)
    profile = Profile(_pure(solution.row), _pure(solution.column))
    starts = Point(*({_LOGITS: _normal(seed, 1 + side, _STARTS, count)} for side in range(2)))
    draws = GapDraws(
        _Draws(seed, 3, effort, size(profile.generators)),
        [_batch(seed, 4, index, effort, 1) for index in range(effort.search_batches)],
        [_batch(seed, 5, index, effort, 1) for index in range(effort.score_batches)],
    )
    rng = stream(torch.device("cpu"), seed, 6)
    game, networks = Wasserstein(WeightClipping(_LARGEST)), _networks(payoff, effort.noise)
    found = duality_gap(game, networks, profile, starts, draws, effort.marks, rng, _RULE)
    uniform = payoff.new_full((count,), 1 / count)
    return SolvedGame(found, matrix_gap(payoff, uniform, uniform))


def _networks(payoff: Float[Tensor, "R C"], noise: float) -> Networks:
    def make(params: Params, latent: Tensor) -> Tensor:
        rows = params[_LOGITS].softmax(-1)
        seen = payoff + noise * latent.reshape(*latent.shape[:-1], *payoff.shape)
        return -torch.einsum("...r,...brc->...bc", rows, seen)

    def judge(params: Params, samples: Tensor) -> Tensor:
        return torch.einsum("...bc,...c->...b", samples, params[_LOGITS].softmax(-1))

    return Networks(NetworkFunctions(make, make), NetworkFunctions(judge, judge))


def _pure(mass: Float[Tensor, " n"]) -> Population:
    """Pure strategies in the proportions of a mixture."""
    kept = mass > _NEGLIGIBLE
    logits = _PURE * torch.eye(len(mass), dtype=mass.dtype)
    return make_population({_LOGITS: logits[kept]}, mass[kept].log())


def _normal(seed: int, purpose: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=stream(torch.device("cpu"), seed, purpose), dtype=torch.float64)


def _batch(seed: int, purpose: int, index: int, effort: Effort, generators: int) -> Batch:
    count = effort.strategies
    rng = stream(torch.device("cpu"), seed, purpose, index)
    latent = torch.randn(generators, effort.samples, count * count, generator=rng, dtype=torch.float64)
    real = torch.zeros(1, effort.samples, count, dtype=torch.float64)
    return Batch(real, latent, latent[..., :count], latent.new_zeros(generators, effort.samples))


@final
class _Draws:
    """Fresh draws for every update."""

    def __init__(self, seed: int, purpose: int, effort: Effort, generators: int) -> None:
        self._seed, self._purpose, self._effort, self._generators = seed, purpose, effort, generators
        self._made = 0

    def __call__(self, players: Players) -> Batch:
        """The next; the same size for both players."""
        del players
        self._made += 1
        return _batch(self._seed, self._purpose, self._made, self._effort, self._generators)
