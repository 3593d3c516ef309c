"""Conic particle mirror prox that finds its step sizes and its missing atoms itself."""

import math
from typing import NamedTuple, final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mixnash.core.dynamics.base import AbstractDynamics
from mixnash.core.dynamics.births import BirthRule, bear, range_of
from mixnash.core.dynamics.conic_steps import compare, half_steps, inner
from mixnash.core.dynamics.step_control import StepControl, Verdict, judge, resize
from mixnash.core.errors import require
from mixnash.core.tree import map_params
from mixnash.core.types import BOTH, AbstractOracle, Feedback, Player, Population, Profile

WEIGHT_BOUNDS = (1e-3, 1e3)
"""Of the step of the weights, in units of 1 / R."""
POSITION_BOUNDS = (1e-5, 1e2)
"""Of the steps of the positions, in units of S / R."""


class AdaptiveConicMirrorProxState(NamedTuple):
    """Both players, their step sizes, and numbers worth plotting; a batch of games has its own of each."""

    profile: Profile
    sizes: Float[Tensor, "3 *games"]
    """Of weights, generators and critics, in units of `scale`; what the next step tries first."""
    spreads: Float[Tensor, "2 *games"]
    """S of either player."""
    payoff_range: Float[Tensor, "*games"]
    """R; 0 before the first step."""
    steps: int
    trials: Float[Tensor, "*games"]
    """Of the last step."""
    births: Float[Tensor, "2 *games"]
    """Of either player, so far."""
    gains: Float[Tensor, "2 *games"]
    """Of the best candidate of either player, when it was last looked for."""


class _Trial(NamedTuple):
    """A step that may be taken."""

    end: Profile
    feedback: Feedback
    """At the probe."""
    verdict: Verdict


@final
class AdaptiveConicMirrorProx(AbstractDynamics):
    r"""Conic particle mirror prox with gradient steps and entropic weights, as in
    `conic_mirror_prox.ConicMirrorProx` with two sweeps,

    .. math:: a^+ \propto a\, e^{-\eta_w F b'}, \quad
              x_k^+ = x_k - \eta_x \frac{a'_k}{a_k} \sum_l b'_l \nabla_x \Phi(x'_k, y'_l), \quad
              b^+ \propto b\, e^{\eta_w F^\top a'}, \quad
              y_l^+ = y_l + \eta_y \frac{b'_l}{b_l} \sum_k a'_k \nabla_y \Phi(x'_k, y'_l),

    first with the payoffs F and gradients at the base (a, x, b, y) itself, then with those at the probe
    w = (a', x', b', y') that this leads to; both lead away from the base. On top of it:

    **Step control.** With z the end of the step and D the sum of KL(w|base) + KL(z|w) of the weights over
    :math:`\eta_w`, and of half the squared displacements, weighted by the base weights, over :math:`\eta_x` and
    :math:`\eta_y`, the ratios :math:`r = 3 N / D` of the three blocks (weights of both players, positions of either
    one) are formed, where N is the change from base to probe of the block's part of the field times w - z; see
    `step_control`. A trial with a ratio above `rejection_ratio` is rejected, the step sizes of the blocks above it
    shrink, and the step is tried again. After an accepted trial, step sizes of blocks with a ratio below `growth_ratio`
    grow. After `max_trials` the last trial is taken as it is, and only the next step is smaller. All trials of a step
    see one set of draws. A trial with a number that is not finite is rejected in all blocks.

    **Births.** Before every `birth_interval`-th step, the best of some fresh strategies of each player takes the place
    of the player's lightest atom, if it beats every atom that carries weight; its weight is its gain in payoff over
    the range of payoffs; see `births.bear`. Half of the candidates are uniform draws from the player's domain, the
    others noisy copies of atoms: on unbounded domains and for networks, which have no such law, all of them are copies.
    The last birth of a run of n steps thus comes at least one step before its end; make n a multiple of the interval
    to give it the whole interval. The lightest atom goes whatever it weighs: have more atoms than an equilibrium needs,
    or no births. A player with a single atom has none. Finite oracles, which do not look at
    positions, allow none: play `games.matrix.Matrix`, or set the interval to 0.

    Step sizes are relative: to 1 / R for weights and S / R for positions, with R the range of the payoffs at the first
    atoms, and S the squared spread of the player's first atoms, the sum over coordinates of (largest - smallest)^2. For
    atoms that fill the domain evenly it is about the domain's. If they all coincide, S is their squared norm, or 1
    where that is 0. The steps of the weights stay within `WEIGHT_BOUNDS`, those of the positions within
    `POSITION_BOUNDS`. In a batch of games each has its own step sizes, rejections and births; games whose trial is
    accepted repeat it until all games are ready.

    A step costs one evaluation at the base and one per trial. Every `birth_interval`-th costs two evaluations of
    payoffs more, and another one at the base if there were births. On random Fourier games of order 3 about one step
    in six needs a second trial; a batch waits for the slowest game, 3 to 4 trials for 20 to 100 games. There
    `max_trials` = 1, which never rejects and only learns for the next step, solves as many games; on other games
    rejections are needed.

    References:
        Wang, Chizat, 2022, arXiv 2211.01280 (conic particle mirror prox, without step control and births).

    Args:
        weight_step: eta_w R at first, within `WEIGHT_BOUNDS`.
        position_step: eta_x R / S_x and eta_y R / S_y at first, within `POSITION_BOUNDS`.
        rejection_ratio: positive.
        growth_ratio: from 0 to `rejection_ratio`.
        growth: factor of a step size, at least 1.
        shrinkage: factor of a step size, in (0, 1).
        max_trials: per step, at least 1.
        birth_interval: steps between births, at least 0; 0 for no births.
        candidates: fresh strategies per player, at least 1; networks are copied that many times.
        jitter: standard deviation of the noise on copies, at least 0, in units of (S / dimension)^(1/2).
        largest_birth: largest weight of a newcomer, in (0, 1).
        smallest_gain: gain in units of the present range of payoffs that a newcomer must exceed, at least 0.
        smallest_weight: atoms of this weight or less need not be beaten; in [0, 1).

    Raises:
        InvalidInputError: when an argument is outside its range.
    """

    def __init__(
        self,
        weight_step: float = 1.0,
        position_step: float = 0.005,
        rejection_ratio: float = 1.0,
        growth_ratio: float = 0.5,
        growth: float = 1.1,
        shrinkage: float = 0.5,
        max_trials: int = 20,
        birth_interval: int = 10,
        candidates: int = 128,
        jitter: float = 0.05,
        largest_birth: float = 0.1,
        smallest_gain: float = 1e-4,
        smallest_weight: float = 1e-6,
    ) -> None:
        _require_within(weight_step, WEIGHT_BOUNDS, "step of the weights")
        _require_within(position_step, POSITION_BOUNDS, "step of the positions")
        require(rejection_ratio > 0, f"The ratio above which steps are rejected must be positive: {rejection_ratio}.")
        require(
            0 <= growth_ratio <= rejection_ratio,
            f"The ratio below which steps grow must lie in [0, {rejection_ratio}], the ratio above which they are "
            f"rejected, found {growth_ratio}.",
        )
        require(1 <= growth < math.inf, f"The growth of step sizes must be a factor of at least 1, found {growth}.")
        require(0 < shrinkage < 1, f"The shrinkage of step sizes must be a factor in (0, 1), found {shrinkage}.")
        require(max_trials >= 1, f"A step needs at least 1 trial, found {max_trials}.")
        require(birth_interval >= 0, f"The steps between births cannot be fewer than 0, found {birth_interval}.")
        require(candidates >= 1, f"Births need at least 1 candidate, found {candidates}.")
        require(0 <= jitter < math.inf, f"The jitter of candidates must be at least 0 and finite, found {jitter}.")
        require(0 < largest_birth < 1, f"The largest weight of a newcomer must lie in (0, 1), found {largest_birth}.")
        require(smallest_gain >= 0, f"The gain that a newcomer must exceed cannot be negative, found {smallest_gain}.")
        require(
            0 <= smallest_weight < 1,
            f"The weight below which atoms need not be beaten must lie in [0, 1), found {smallest_weight}.",
        )
        self._first = (weight_step, position_step, position_step)
        self._control = StepControl(rejection_ratio, growth_ratio, growth, shrinkage)
        self._max_trials, self._birth_interval = max_trials, birth_interval
        self._birth_rule = BirthRule(candidates, jitter, largest_birth, smallest_gain, smallest_weight)

    @property
    def draws_per_step(self) -> int:
        """One: all trials see the same."""
        return 1

    def init(self, profile: Profile) -> AdaptiveConicMirrorProxState:
        """Both players with the first step sizes; the range of payoffs is still unknown."""
        spreads = torch.stack([_squared_spread(one) for one in profile])
        zeros = torch.zeros_like(spreads)
        sizes = torch.stack([torch.full_like(zeros[0], size) for size in self._first])
        return AdaptiveConicMirrorProxState(profile, sizes, spreads, zeros[0], 0, zeros[0], zeros, zeros)

    def step(
        self, state: AdaptiveConicMirrorProxState, oracle: AbstractOracle, rng: torch.Generator
    ) -> tuple[AdaptiveConicMirrorProxState, Feedback]:
        """One accepted step of the class docstring's equations; the feedback is the one at its probe."""
        oracle.resample()
        seen = oracle.feedback(state.profile, BOTH)
        if state.steps == 0:
            state = state._replace(payoff_range=range_of(seen.values))
        if self._birth_interval > 0 and state.steps > 0 and state.steps % self._birth_interval == 0:
            state, seen = self._with_births(state, seen, oracle, rng)
        sizes, trials = state.sizes, torch.ones_like(state.payoff_range)
        bounds = _bounds(sizes)
        for made in range(1, self._max_trials + 1):
            trial = self._try(state, seen, sizes, oracle)
            verdict = trial.verdict._replace(failed=trial.verdict.failed & (sizes > bounds[0]))
            rejected = verdict.failed.any(0)
            if made == self._max_trials or not bool(rejected.any()):
                break
            # An accepted game keeps its step sizes, and with them its trial.
            sizes = resize(self._control, sizes, verdict._replace(easy=torch.zeros_like(verdict.easy)), bounds)
            trials = trials + rejected
        sizes = resize(self._control, sizes, verdict, bounds)
        return state._replace(profile=trial.end, sizes=sizes, steps=state.steps + 1, trials=trials), trial.feedback

    def _with_births(
        self, state: AdaptiveConicMirrorProxState, seen: Feedback, oracle: AbstractOracle, rng: torch.Generator
    ) -> tuple[AdaptiveConicMirrorProxState, Feedback]:
        generators, critics = (
            self._birth_rule.jitter * (spread / _dimension(one)).sqrt()
            for spread, one in zip(state.spreads, state.profile, strict=True)
        )
        births = bear(self._birth_rule, state.profile, seen, (generators, critics), oracle, rng)
        born = torch.stack([one.born for one in births])
        if bool(born.any()):
            state = state._replace(profile=Profile(*(one.population for one in births)), births=state.births + born)
            seen = oracle.feedback(state.profile, BOTH)
        return state._replace(gains=torch.stack([one.gain for one in births])), seen

    def _try(
        self, state: AdaptiveConicMirrorProxState, seen: Feedback, sizes: Tensor, oracle: AbstractOracle
    ) -> _Trial:
        base, steps = state.profile, sizes * _units(state)
        w = half_steps(base, base, seen, steps, oracle)
        probe = Profile(w[0].population, w[1].population)
        ahead = oracle.feedback(probe, BOTH)
        z = half_steps(base, probe, ahead, steps, oracle)
        products, divergence, gap = compare(base, seen, ahead, w, z, steps)
        rounding = state.payoff_range * (4 * torch.finfo(gap.dtype).eps * gap + 1e-30)
        verdict = judge(self._control, products, divergence, rounding)
        return _Trial(Profile(z[0].population, z[1].population), ahead, verdict)

    def profile(self, state: AdaptiveConicMirrorProxState) -> Profile:
        """Both mixed strategies."""
        return state.profile

    def replace_profile(self, state: AdaptiveConicMirrorProxState, profile: Profile) -> AdaptiveConicMirrorProxState:
        """The players at `profile`; step sizes and their units stay."""
        return state._replace(profile=profile)

    def newcomers(
        self, before: AdaptiveConicMirrorProxState, after: AdaptiveConicMirrorProxState
    ) -> Bool[Tensor, "*games K"]:
        """The place of the lightest generator, where there was a birth."""
        log_weights = before.profile.generators.log_weights
        places = torch.arange(log_weights.shape[-1], device=log_weights.device)
        lightest = log_weights.argmin(-1, keepdim=True)
        return (places == lightest) & (after.births[0] > before.births[0]).unsqueeze(-1)

    def diagnostics(self, state: AdaptiveConicMirrorProxState) -> dict[str, float]:
        """Step sizes, trials of the last step, births so far and the last best gain; the largest of a batch of games.

        Step sizes are 0 before the first step, as their unit is not known yet.
        """
        weights, *positions = (state.sizes * _units(state)).nan_to_num(posinf=0.0)
        shown: dict[str, float] = {}
        for side, player in enumerate(Player):
            numbers = {
                "weight_step": weights,
                "position_step": positions[side],
                "trials": state.trials,
                "births": state.births[side],
                "gain": state.gains[side],
            }
            shown |= {f"{player.value}s/{name}": float(value.max()) for name, value in numbers.items()}
        return shown


def _require_within(value: float, bounds: tuple[float, float], name: str) -> None:
    low, high = bounds
    require(low <= value <= high, f"The {name} must lie in [{low:g}, {high:g}], in relative units, found {value}.")


_BOUNDS = torch.tensor([WEIGHT_BOUNDS, POSITION_BOUNDS, POSITION_BOUNDS], dtype=torch.float64)


def _bounds(sizes: Tensor) -> tuple[Tensor, Tensor]:
    """Least and largest relative sizes, as `sizes` but with games of length 1."""
    low, high = _BOUNDS.to(sizes).reshape(3, 2, *(1 for _ in sizes.shape[1:])).unbind(1)
    return low, high


def _units(state: AdaptiveConicMirrorProxState) -> Float[Tensor, "3 *games"]:
    """1 / R, S_x / R and S_y / R."""
    return torch.cat([torch.ones_like(state.spreads[:1]), state.spreads]) / state.payoff_range


def _squared_spread(population: Population) -> Float[Tensor, "*games"]:
    """S of the class docstring."""
    axis = population.log_weights.dim() - 1
    extents = map_params(lambda leaf: leaf.amax(axis, keepdim=True) - leaf.amin(axis, keepdim=True), population.params)
    spread = inner(extents, extents, axis).squeeze(-1)
    norm = inner(population.params, population.params, axis).amax(-1)
    return torch.where(spread > 0, spread, torch.where(norm > 0, norm, torch.ones_like(norm)))


def _dimension(population: Population) -> int:
    """Coordinates of one particle."""
    axis = population.log_weights.dim()
    return sum(leaf.shape[axis:].numel() for leaf in population.params.values())
