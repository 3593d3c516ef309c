"""Heavy-ball descent: by hand, and the exact spectrum of alternating descent with negative momentum on xy."""

import numpy as np
import pytest
import torch

from mixnash.core.dynamics.alternating import Alternating
from mixnash.core.dynamics.base import DynamicsState
from mixnash.core.dynamics.extragradient import Extragradient
from mixnash.core.errors import InvalidInputError
from mixnash.core.games.vectors import VECTOR
from mixnash.core.rules.base import PlayerState
from mixnash.core.rules.frozen import FrozenState
from mixnash.core.rules.momentum import Momentum, MomentumState
from mixnash.core.types import Profile
from mixnash.core.vector_oracle import VectorOracle
from problems import descend, frozen, make_rng, positions, vectors
from toys import XY, WeakMinty


def test_two_steps_by_hand_with_unequal_gradients():
    rule, start = Momentum(0.1, -0.5), {"w": torch.tensor([[1.0, -2.0]])}
    one, state = rule.update(start, {"w": torch.tensor([[3.0, 1.0]])}, rule.init(start), make_rng(0))
    torch.testing.assert_close(one["w"], torch.tensor([[0.7, -2.1]]))
    two, state = rule.update(one, {"w": torch.tensor([[-1.0, 2.0]])}, state, make_rng(0))
    # v = -0.5 (-0.3, -0.1) - 0.1 (-1, 2) = (0.25, -0.15)
    torch.testing.assert_close(two["w"], torch.tensor([[0.95, -2.25]]))
    assert state.updates == 2


def alternating_map(step, momentum):
    """One step of alternating descent on xy as a matrix on (x, y, velocity of x, velocity of y)."""
    dynamics = Alternating(frozen(Momentum(step, momentum)), frozen(Momentum(step, momentum)))
    columns = []
    for unit in np.eye(4):
        x, y, u, v = unit.tolist()

        def player(point, velocity):
            state = MomentumState(0, {VECTOR: torch.tensor([[velocity]], dtype=torch.float64)})
            return PlayerState(vectors([point]), state, FrozenState())

        state, _ = dynamics.step(DynamicsState(player(x, u), player(y, v)), VectorOracle(XY), make_rng(0))
        moved = [*positions(dynamics, state), *(one.position.velocity[VECTOR] for one in state)]
        columns.append([float(one) for one in moved])
    return np.array(columns).T


def radius(step, momentum):
    return float(max(abs(np.linalg.eigvals(alternating_map(step, momentum)))))


@pytest.mark.parametrize(("momentum", "limit"), [(-0.5, 1.0), (-0.25, 1.5)])
def test_negative_momentum_makes_alternating_descent_converge_up_to_its_known_step(momentum, limit):
    assert radius(limit - 1e-6, momentum) < 1 < radius(limit + 1e-6, momentum)
    assert radius(limit / 2, momentum) < 1
    assert radius(0.3, 0.0) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(("momentum", "step", "rate"), [(-0.5, 0.871, 0.8847), (-0.25, 1.319, 0.7158)])
def test_negative_momentum_is_fastest_at_its_known_step(momentum, step, rate):
    assert radius(step, momentum) == pytest.approx(rate, abs=1e-4)
    assert radius(step, momentum) < min(radius(step - 0.01, momentum), radius(step + 0.01, momentum))


@pytest.mark.parametrize("momentum", [-1.0, 1.0, 1.5])
def test_momentum_outside_the_unit_interval_is_refused(momentum):
    with pytest.raises(InvalidInputError, match="momentum must lie between -1 and 1, found"):
        Momentum(0.1, momentum)


def extragradient_radius(step, c):
    """Of one step on the quadratic game with L = 1 and rho = -c."""
    dynamics, oracle = descend(Extragradient, step), VectorOracle(WeakMinty(1.0, c))
    columns = []
    for x, y in ((1.0, 0.0), (0.0, 1.0)):
        state, _ = dynamics.step(dynamics.init(Profile(vectors([x]), vectors([y]))), oracle, make_rng(0))
        columns.append([float(one) for one in positions(dynamics, state)])
    return float(max(abs(np.linalg.eigvals(np.array(columns).T))))


def test_extragradient_finds_no_step_once_the_weak_minty_ratio_exceeds_0_135():
    steps = np.linspace(0.02, 1.5, 75)
    assert min(extragradient_radius(float(step), 0.130) for step in steps) < 1
    assert min(extragradient_radius(float(step), 0.140) for step in steps) > 1
