"""Rules by torch's fused kernel against the same rules written out."""

import pytest
import torch

from mixnash.core.rules.adam import Adam
from mixnash.core.rules.optimistic_adam import OptimisticAdam
from mixnash.core.rules.rmsprop import RMSProp
from mixnash.core.schedules import Linear
from mixnash.core.tree import flatten

SHAPES = {"first.weight": (3, 5, 2), "first.bias": (3, 5), "second.weight": (3, 2, 4, 3, 3), "one": (3,)}
RULES = {
    "adam": lambda: Adam(0.05, 0.6, 0.97),
    "adam without mean": lambda: Adam(0.05, 0.0, 0.9),
    "adam on a schedule": lambda: Adam(Linear(0.05, 0.01, 3), 0.5, 0.99, 1e-3),
    "adam of the last square": lambda: Adam(0.05, 0.3, 0.0),
    "rmsprop": lambda: RMSProp(0.03, 0.93, 1e-6),
    "rmsprop of the last square": lambda: RMSProp(0.03, 0.0, 1e-2),
    "optimistic": lambda: OptimisticAdam(0.04, 0.6, 0.95),
    "optimistic without mean": lambda: OptimisticAdam(0.04, 0.0, 0.9),
}


def normals(seed, dtype):
    rng = torch.Generator().manual_seed(seed)
    leaves = {name: torch.randn(shape, generator=rng, dtype=dtype) for name, shape in SHAPES.items()}
    # As gradients of stacked matrices come: transposed in memory.
    leaves["first.weight"] = leaves["first.weight"].mT.contiguous().mT
    return leaves


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
def test_fused_steps_are_those_written_out(name, dtype, tolerance):
    rule = RULES[name]()
    fused = plain = normals(0, dtype)
    fused_state, plain_state = rule.init(fused), rule.init(plain)
    for step in range(1, 6):
        grads = normals(step, dtype)
        fused, fused_state = rule.update(fused, grads, fused_state, torch.Generator())
        plain, plain_state = rule.plain_update(plain, grads, plain_state)
        torch.testing.assert_close(fused, plain, rtol=tolerance, atol=tolerance)
        torch.testing.assert_close(flatten(fused_state), flatten(plain_state), rtol=tolerance, atol=tolerance)
    assert type(fused_state) is type(plain_state)
    assert flatten(fused_state).keys() == flatten(plain_state).keys()


@pytest.mark.parametrize("name", RULES)
def test_arguments_stay_as_they_were(name):
    rule = RULES[name]()
    params = normals(0, torch.float32)
    _, state = rule.update(params, normals(1, torch.float32), rule.init(params), torch.Generator())
    grads = normals(2, torch.float32)
    kept = [
        {path: torch.as_tensor(leaf).clone() for path, leaf in flatten(one).items()} for one in (params, grads, state)
    ]
    rule.update(params, grads, state, torch.Generator())
    for before, now in zip(kept, (params, grads, state), strict=True):
        for path, leaf in flatten(now).items():
            assert torch.equal(torch.as_tensor(leaf), before[path]), path


def test_the_fused_kernel_is_what_runs(monkeypatch):
    calls = []
    kernel = torch._fused_adam_
    monkeypatch.setattr(torch, "_fused_adam_", lambda *given, **named: (calls.append(1), kernel(*given, **named))[1])
    params = normals(0, torch.float32)
    for name in ("adam", "rmsprop", "optimistic"):
        rule = RULES[name]()
        rule.update(params, normals(1, torch.float32), rule.init(params), torch.Generator())
    assert len(calls) == 3


def test_a_step_that_is_differentiated_goes_the_plain_way():
    rule = Adam(0.1, 0.5, 0.9)
    params = {"x": torch.tensor([[1.0, -2.0]], requires_grad=True)}
    grads = {"x": torch.tensor([[0.5, 0.25]])}
    moved, _ = rule.update(params, grads, rule.init(params), torch.Generator())
    (slope,) = torch.autograd.grad(moved["x"].sum(), params["x"])
    assert torch.equal(slope, torch.ones(1, 2))


def test_leaves_of_two_precisions_go_the_plain_way():
    rule = Adam(0.1, 0.5, 0.9)
    params = {"x": torch.zeros(2, 3), "y": torch.zeros(2, 1, dtype=torch.float64)}
    grads = {"x": torch.ones(2, 3), "y": torch.full((2, 1), -4.0, dtype=torch.float64)}
    moved, _ = rule.update(params, grads, rule.init(params), torch.Generator())
    torch.testing.assert_close(moved["x"], torch.full((2, 3), -0.1))  # the first step of Adam is the step size
    torch.testing.assert_close(moved["y"], torch.full((2, 1), 0.1, dtype=torch.float64))
