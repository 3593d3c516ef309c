"""Runs of all dynamics and rules on small networks, cut anywhere: for the tests and for benchmarks/resume_matrix.py."""

import inspect
from dataclasses import dataclass

import torch
from hypothesis import strategies as st

import mixnash.core
import plugins
import problems
from mixnash.core.dynamics.base import AbstractDynamics, AbstractRuleDynamics
from mixnash.core.feedback import Evaluate, GameOracle, feedback
from mixnash.core.games.base import AbstractConstrainedGame
from mixnash.core.games.constraints import AbstractCriticConstraint
from mixnash.core.population import make_population
from mixnash.core.random import Purpose, StepNoise, mix_key, stream
from mixnash.core.rules.base import AbstractPositionRule, AbstractWeightRule, PlayerRules
from mixnash.core.sampled_oracle import SampledOracle
from mixnash.core.schedules import AbstractSchedule
from mixnash.core.shares import share_of
from mixnash.core.tree import flatten, over_leaf, unflatten
from mixnash.core.types import Feedback, Player, Profile
from mixnash.lit.draws import StepDraws
from plugins import make, saved_and_loaded

DYNAMICS = plugins.discover(AbstractDynamics, mixnash.core)
POSITION_RULES = plugins.discover(AbstractPositionRule, mixnash.core)
WEIGHT_RULES = plugins.discover(AbstractWeightRule, mixnash.core)
SCHEDULES = plugins.discover(AbstractSchedule, mixnash.core)
CONSTRAINTS = plugins.discover(AbstractCriticConstraint, mixnash.core)
GAMES = plugins.discover(AbstractConstrainedGame, mixnash.core)
CPU = torch.device("cpu")
PARTICLES = 3
"""Most of each player."""


class Damped(AbstractSchedule):
    """A tenth of another schedule: the table's are as large as 7, which no rule survives."""

    def __init__(self, schedule):
        self._schedule = schedule

    def __call__(self, step):
        return 0.1 * self._schedule(step)

    def bounds(self):
        return tuple(0.1 * bound for bound in self._schedule.bounds())


@dataclass(frozen=True)
class Case:
    """What is played and how, by class; the first of each pair is the generators'."""

    dynamics: type
    positions: tuple[type, type]
    weights: tuple[type, type]
    schedules: tuple[type, type]
    game: type
    constraint: type
    particles: tuple[int, int]
    sampled: tuple[int | None, int | None]
    seed: int
    evaluate: Evaluate = feedback


def takes_rules(plugin):
    """Whether the row of a dynamics lets others choose its rules."""
    if plugin not in plugins.DYNAMICS:
        make(plugins.DYNAMICS, plugin)  # which says where to add it
    takes = bool(inspect.signature(plugins.DYNAMICS[plugin]).parameters)
    assert takes or not issubclass(plugin, AbstractRuleDynamics), (
        f"{plugin.__name__} moves by rules: let its row in DYNAMICS of tests/plugins.py take them, as others do."
    )
    return takes


def has_step_size(rule):
    """Whether the row of a rule lets others choose its step size."""
    table = plugins.POSITION_RULES if issubclass(rule, AbstractPositionRule) else plugins.WEIGHT_RULES
    if rule not in table:
        make(table, rule)  # which says where to add it
    return bool(inspect.signature(table[rule]).parameters)


def scheduled(table, rule, schedule):
    """A rule with that schedule as its step size, if it has one."""
    return make(table, rule, Damped(make(plugins.SCHEDULES, schedule))) if has_step_size(rule) else make(table, rule)


def dynamics_of(case):
    """A new dynamics with new rules."""
    if not takes_rules(case.dynamics):
        return make(plugins.DYNAMICS, case.dynamics)
    rules = tuple(
        PlayerRules(
            scheduled(plugins.POSITION_RULES, position, schedule), scheduled(plugins.WEIGHT_RULES, weights, schedule)
        )
        for position, weights, schedule in zip(case.positions, case.weights, case.schedules, strict=True)
    )
    return make(plugins.DYNAMICS, case.dynamics, rules)


def problem_of(case):
    """Networks of one hidden layer in float32, and where they start."""
    problem = problems.tanh_problem(PARTICLES, PARTICLES)
    profile = Profile(
        *(
            make_population({name: leaf[:count].float() for name, leaf in one.params.items()})
            for one, count in zip(problem.profile, case.particles, strict=True)
        )
    )
    return problem.networks, profile


def without_networks(game, networks, profile, batch, players):
    """Something like a game's answer, from positions and draws, at a tenth of the cost."""
    del game, networks
    own, other = (torch.stack([leaf.flatten(1).mean(1) for leaf in one.params.values()]).mean(0) for one in profile)
    own, other = own + batch.latent.mean((1, 2)), other + batch.real.mean()
    values = torch.tanh(own).outer(other)
    p, q = (one.log_weights.exp() for one in profile)
    against = {Player.GENERATOR: values @ q, Player.CRITIC: -(p @ values)}
    grads = {
        player: {name: 0.3 * leaf + over_leaf(against[player], leaf) for name, leaf in one.params.items()}
        for player, one in zip(Player, profile, strict=True)
        if player in players
    }
    return Feedback(values, *against.values(), grads.get(Player.GENERATOR), grads.get(Player.CRITIC))


def advanced(case, dynamics, state, step, shares=None, spy=lambda oracle: oracle):
    """The state after one step, made from keyed draws as `MixedGAN` makes it."""
    networks, _ = problem_of(case)
    game = make(plugins.ADVERSARIAL_GAMES, case.game, make(plugins.CONSTRAINTS, case.constraint))
    rng = stream(CPU, case.seed, Purpose.TRAINING, step)
    real = torch.randn(dynamics.draws_per_step, 6, 2, generator=rng)
    draws = StepDraws(real, case.seed, step, 3, case.particles[0], 4, 5, training=True)
    opponents = stream(CPU, case.seed, Purpose.OPPONENTS, step)
    oracle = spy(SampledOracle(GameOracle(game, networks, draws, evaluate=case.evaluate), *case.sampled, opponents))
    if shares is None:
        shares = {player: share_of(count, 1, 0) for player, count in zip(Player, case.particles, strict=True)}
    new, _ = dynamics.step(state, oracle, StepNoise(CPU, (case.seed, Purpose.POSITION_NOISE, step), shares))
    return new


def path(case, steps, first=0, flat=None):
    """The flat states after each of the steps from `first` on, from the start or from a flat state."""
    dynamics, (_, profile) = dynamics_of(case), problem_of(case)
    state, states = dynamics.init(profile), []
    if flat is not None:
        state = unflatten(state, saved_and_loaded(flat))
    for step in range(first, first + steps):
        state = advanced(case, dynamics, state, step)
        states.append(flatten(state))
    return states


def differences(one, other):
    """Names of what differs between two flat states by a bit, or is not finite where it is not in both."""
    odd = set(one.keys() ^ other.keys())
    for name in one.keys() & other.keys():
        pair = one[name], other[name]
        equal = (
            torch.equal(*(_bits(leaf) for leaf in pair)) if isinstance(pair[0], torch.Tensor) else pair[0] == pair[1]
        )
        odd |= set() if equal else {name}
    return sorted(odd)


def _bits(leaf):
    """With NaN equal to itself."""
    return leaf.reshape(-1).clone().view(torch.uint8)


def of_product():
    """A case for every dynamics, position rule and two of the weight rules; schedules, games and counts take turns.

    Generators and critics have different rules, so that half as many runs meet every dynamics x position rule x weight
    rule.
    """
    pairs = [tuple(WEIGHT_RULES[i % len(WEIGHT_RULES)] for i in (j, j + 1)) for j in range(0, len(WEIGHT_RULES), 2)]
    for d, dynamics in enumerate(DYNAMICS):
        positions = range(len(POSITION_RULES) if takes_rules(dynamics) else 1)
        for i in positions:
            for w, weights in enumerate(pairs if takes_rules(dynamics) else pairs[:1]):
                turn = d + i + w
                yield Case(
                    dynamics,
                    (POSITION_RULES[i], POSITION_RULES[(i + 1) % len(POSITION_RULES)]),
                    weights,
                    (SCHEDULES[turn % len(SCHEDULES)], SCHEDULES[(turn + 1) % len(SCHEDULES)]),
                    GAMES[turn % len(GAMES)],
                    CONSTRAINTS[turn % len(CONSTRAINTS)],
                    (2 + turn % 2, 3 - turn // 2 % 3),
                    (None, None),
                    mix_key(d, i, w),
                    without_networks if takes_rules(dynamics) else feedback,
                )


def pair_of(classes):
    """One for either player."""
    return st.tuples(st.sampled_from(classes), st.sampled_from(classes))


@st.composite
def cases(draw):
    """Anything that can be played."""
    particles = draw(st.tuples(st.integers(1, PARTICLES), st.integers(1, PARTICLES)))
    return Case(
        draw(st.sampled_from(DYNAMICS)),
        draw(pair_of(POSITION_RULES)),
        draw(pair_of(WEIGHT_RULES)),
        draw(pair_of(SCHEDULES)),
        draw(st.sampled_from(GAMES)),
        draw(st.sampled_from(CONSTRAINTS)),
        particles,
        tuple(draw(st.none() | st.integers(1, count)) for count in particles),
        draw(st.integers(0, 2**32)),
    )


@st.composite
def cuts(draw, longest=9):
    """The length N of a run and the step k of 1 to N - 1 after which it is cut."""
    steps = draw(st.integers(2, longest))
    return steps, draw(st.integers(1, steps - 1))


def resumed_differs(case, steps, cut):
    """What differs at the end between `steps` steps straight and `cut` steps, a checkpoint and the rest."""
    straight = path(case, steps)
    return differences(straight[-1], path(case, steps - cut, cut, straight[cut - 1])[-1])
