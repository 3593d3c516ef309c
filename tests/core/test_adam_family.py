"""Adam, optimistic Adam and ExtraAdam: hand-written steps, golden trajectories, the cycles of constant steps."""

import math

import pytest
import torch

from mixnash.core.dynamics.extragradient import Extragradient
from mixnash.core.dynamics.simultaneous import Simultaneous
from mixnash.core.errors import InvalidInputError
from mixnash.core.rules.adam import Adam
from mixnash.core.rules.optimistic_adam import OptimisticAdam
from mixnash.core.schedules import Exponential
from mixnash.core.types import Profile
from mixnash.core.vector_oracle import VectorOracle
from problems import DOUBLE, descend, frozen, make_rng, normal, positions, run, vectors
from toys import BOWL, XY, end


def both(kind, rule, **arguments):
    return kind(frozen(rule), frozen(rule), **arguments)


FAMILY = {
    "Adam": lambda *arguments: both(Simultaneous, Adam(*arguments)),
    "OptimisticAdam": lambda *arguments: both(Simultaneous, OptimisticAdam(*arguments)),
    "ExtraAdam": lambda *arguments: both(Extragradient, Adam(*arguments), carry_state=True),
}
GOLDEN = {
    "Adam": (-0.0583971256958, 1.23975739495),
    "OptimisticAdam": (-0.05811044196, 1.2261001265),
    "ExtraAdam": (-0.0355176691358, 1.31680734837),
}


@pytest.mark.parametrize("name", FAMILY)
def test_the_golden_trajectory_is_followed(name):
    assert end(FAMILY[name](0.01, 0.5, 0.9), [1.0], [0.5], 100) == pytest.approx(GOLDEN[name], abs=1e-10)


# ---------------------------------------------------------------------- the cycles that constant steps end on

# Mean radius on xy with step 0.01, as recorded: Adam, OptimisticAdam, ExtraAdam; and when it is settled.
RADII = {
    (0.0, 0.9): (0.089, 0.024, 0.011),
    (0.5, 0.9): (0.16, 0.094, 0.040),
    (0.5, 0.999): (1.55, 0.89, 0.37),
    (0.0, 0.999): (0.89, 0.024, 0.0115),
    (0.9, 0.999): (3.9, 3.7, 1.8),
}
SETTLED = {betas: 4000 if betas[1] == 0.9 else 32000 for betas in RADII}


class Scalars:
    """The three schemes on xy in plain floats: long runs, after it is shown that they move as the dynamics do."""

    def __init__(self, name, step_size, beta1, beta2):
        self.name, self.step_size, self.beta1, self.beta2 = name, step_size, beta1, beta2
        self.count, self.moments, self.before = 0, [(0.0, 0.0), (0.0, 0.0)], None

    def direction(self, gradients):
        self.count += 1
        b1, b2, t = self.beta1, self.beta2, self.count
        self.moments = [
            (b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g)
            for (m, v), g in zip(self.moments, gradients, strict=True)
        ]
        return [m / (1 - b1**t) / (math.sqrt(v / (1 - b2**t)) + 1e-8) for m, v in self.moments]

    def step(self, x, y):
        h, ahead = self.step_size, self.direction((y, -x))
        if self.name == "OptimisticAdam":
            before, self.before = ahead if self.before is None else self.before, ahead
            ahead = [2 * now - old for now, old in zip(ahead, before, strict=True)]
        if self.name == "ExtraAdam":
            ahead = self.direction((y - h * ahead[1], -(x - h * ahead[0])))
        return x - h * ahead[0], y - h * ahead[1]


def scalar_walk(name, betas, x, y, steps):
    scheme, points = Scalars(name, 0.01, *betas), [(x, y)]
    for _ in range(steps):
        points.append(scheme.step(*points[-1]))
    return points


@pytest.mark.parametrize("name", FAMILY)
@pytest.mark.parametrize(
    "betas", [pytest.param(one, marks=[] if steps == 4000 else pytest.mark.slow) for one, steps in SETTLED.items()]
)
def test_constant_steps_end_on_a_cycle_of_the_recorded_radius(name, betas):
    points = scalar_walk(name, betas, 0.3, 0.1, SETTLED[betas] + 2000)
    tail = [math.hypot(*point) for point in points[-2000:]]
    mean = sum(tail) / len(tail)
    expected = RADII[betas][list(FAMILY).index(name)]
    assert mean == pytest.approx(expected, rel=0.05)
    # The dynamics itself, from a point of that cycle: the moments are in the scheme, so both start afresh there.
    x, y = points[-1]
    found = end(FAMILY[name](0.01, *betas), [x], [y], 60)
    assert found == pytest.approx(scalar_walk(name, betas, x, y, 60)[-1], abs=1e-12)


@pytest.mark.parametrize(("beta1", "radius"), [(0.0, math.sqrt(1 + 0.9)), (0.5, 0.41513261)])
def test_extra_adam_stalls_at_a_false_fixed_point(beta1, radius):
    # On x^2 - y^2 both coordinates come to rest, or hop between +-r, where the two gradients of a step balance.
    dynamics = FAMILY["ExtraAdam"](0.01, beta1, 0.9)
    states, _ = run(dynamics, VectorOracle(BOWL), Profile(vectors([0.018]), vectors([0.015])), 150)
    tail = torch.stack([torch.cat(positions(dynamics, state)).flatten().abs() for state in states[-5:]])
    torch.testing.assert_close(tail, torch.full((5, 2), 0.01 * radius, dtype=DOUBLE), rtol=1e-6, atol=0)


# ---------------------------------------------------------------------- the rule


def test_optimistic_adam_moves_by_twice_the_direction_less_the_one_before():
    rule, plain = OptimisticAdam(Exponential(0.1, 0.8), 0.3, 0.7, 0.02), Adam(1.0, 0.3, 0.7, 0.02)
    params = {"a": normal(3, 2), "b": normal(3, 4, key=1)}
    state, adam, before = rule.init(params), plain.init(params), None
    for step in range(5):
        grads = {name: normal(*leaf.shape, key=10 + step) for name, leaf in params.items()}
        zero = {name: torch.zeros_like(leaf) for name, leaf in params.items()}
        minus, adam = plain.update(zero, grads, adam, make_rng(0))
        before = minus if before is None else before
        new, state = rule.update(params, grads, state, make_rng(0))
        for name, leaf in params.items():
            expected = leaf + 0.1 * 0.8**step * (2 * minus[name] - before[name])
            torch.testing.assert_close(new[name], expected, rtol=0, atol=1e-13)
        params, before = new, minus


def test_the_first_step_of_optimistic_adam_is_adams():
    params, grads = {"w": normal(2, 3)}, {"w": normal(2, 3, key=1)}
    moved = [
        rule.update(params, grads, rule.init(params), make_rng(0))[0]["w"]
        for rule in (OptimisticAdam(0.1, 0.5, 0.9), Adam(0.1, 0.5, 0.9))
    ]
    torch.testing.assert_close(*moved, rtol=0, atol=1e-15)


def test_optimistic_adam_refuses_what_adam_refuses_and_shows_its_step_size():
    with pytest.raises(InvalidInputError, match=r"beta2 must lie in \[0, 1\), found 1\.0"):
        OptimisticAdam(0.1, 0.5, 1.0)
    rule = OptimisticAdam(Exponential(0.1, 0.5))
    params = {"w": normal(2, 3)}
    _, state = rule.update(params, params, rule.init(params), make_rng(0))
    assert rule.diagnostics(state) == {"step_size": 0.05}


# ---------------------------------------------------------------------- carried states


def test_extragradient_carries_the_states_of_the_look_ahead_only_when_told():
    for carry, updates in ((False, 3), (True, 6)):
        dynamics = both(Extragradient, Adam(0.01, 0.5), carry_state=carry)
        states, _ = run(dynamics, VectorOracle(XY), Profile(vectors([1.0]), vectors([0.5])), 3)
        assert states[-1].generators.position.updates == states[-1].critics.position.updates == updates


def test_carried_states_do_not_change_plain_gradient_steps():
    ends = [end(descend(Extragradient, 0.2, carry_state=carry), [1.0], [0.5], 20) for carry in (False, True)]
    assert ends[0] == ends[1]
