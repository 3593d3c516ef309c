"""What every position rule and every weight rule promises, found by itself as in `test_contracts.py`."""

import pytest
import torch

import mixnash.core
import plugins
from mixnash.core.rules.base import AbstractPositionRule, AbstractWeightRule
from mixnash.core.rules.still import Still
from mixnash.core.tree import flatten
from plugins import clone, make, over, same, saved_and_loaded
from problems import DOUBLE, make_rng, normal

POSITION = plugins.discover(AbstractPositionRule, mixnash.core)
MOVING = [rule for rule in POSITION if rule is not Still]
WEIGHTS = plugins.discover(AbstractWeightRule, mixnash.core)

# ---------------------------------------------------------------------- position rules


def walk(rule, params, state, steps, first=0):
    """Updates on gradients and noise that depend on the number of the step alone."""
    for step in range(first, first + steps):
        grads = {name: normal(*leaf.shape, key=100 + step) for name, leaf in params.items()}
        params, state = rule.update(params, grads, state, make_rng(step))
    return params, state


def positions():
    return {"w": normal(3, 2, 4), "b": normal(3, 5)}


@over("plugin", MOVING)
def test_a_position_rule_leaves_its_arguments_as_they_were(plugin):
    rule = make(plugins.POSITION_RULES, plugin)
    params, state = walk(rule, positions(), rule.init(positions()), 2)
    arguments = params, {name: normal(*leaf.shape) for name, leaf in params.items()}, state
    before = clone(arguments)
    global_state = torch.get_rng_state()
    new, new_state = rule.update(*arguments, make_rng(0))
    assert same(arguments, before)
    assert torch.equal(global_state, torch.get_rng_state())
    assert not any(torch.equal(new[name], leaf) for name, leaf in params.items())
    assert same((new, new_state), rule.update(*arguments, make_rng(0)))


@over("plugin", POSITION)
def test_a_position_rule_moves_each_particle_without_looking_at_the_others(plugin):
    rule, params = make(plugins.POSITION_RULES, plugin), positions()
    grads = {name: normal(*leaf.shape, key=1) for name, leaf in params.items()}
    others = [{name: torch.cat([leaf[:1] * 7, leaf[1:]]) for name, leaf in one.items()} for one in (params, grads)]
    one, _ = rule.update(params, grads, rule.init(params), make_rng(0))
    other, _ = rule.update(*others, rule.init(params), make_rng(0))
    for name in params:
        assert torch.equal(one[name][1:], other[name][1:])
        assert not torch.equal(one[name][:1], other[name][:1])


@over("plugin", POSITION)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_position_rule_keeps_shapes_and_dtypes(plugin, dtype):
    rule, params = make(plugins.POSITION_RULES, plugin), {name: leaf.to(dtype) for name, leaf in positions().items()}
    new, state = rule.update(params, params, rule.init(params), make_rng(0))
    assert {name: (leaf.shape, leaf.dtype) for name, leaf in new.items()} == {
        name: (leaf.shape, leaf.dtype) for name, leaf in params.items()
    }
    assert all(leaf.dtype == dtype for leaf in flatten(state).values() if isinstance(leaf, torch.Tensor))


@over("plugin", POSITION)
def test_a_position_rule_resumes_from_its_saved_state_bit_for_bit(plugin):
    rule = make(plugins.POSITION_RULES, plugin)
    params, state = walk(rule, positions(), rule.init(positions()), 5)
    uninterrupted = walk(rule, params, state, 5, first=5)
    resumed = walk(rule, *saved_and_loaded((params, state)), 5, first=5)
    assert same(uninterrupted, resumed)


@over("plugin", POSITION)
def test_a_position_rule_shows_its_numbers(plugin):
    rule = make(plugins.POSITION_RULES, plugin)
    shown = rule.diagnostics(rule.init(positions()))
    assert all(isinstance(name, str) and isinstance(value, float) for name, value in shown.items())


# ---------------------------------------------------------------------- weight rules


@over("plugin", WEIGHTS)
def test_a_weight_rule_is_pure_keeps_weights_normalised_and_prefers_small_losses(plugin):
    rule, start = make(plugins.WEIGHT_RULES, plugin), torch.log_softmax(normal(4), 0)
    log_weights, state = start, rule.init(start)
    for step in range(30):
        arguments = log_weights, normal(4, key=step), state
        before = clone(arguments)
        log_weights, state = rule.update(*arguments)
        assert same(arguments, before)
        assert same((log_weights, state), rule.update(*arguments))
        assert abs(float(torch.logsumexp(log_weights, 0))) < 1e-12
    better, _ = rule.update(start, torch.tensor([0.0, 1.0, 1.0, 1.0], dtype=DOUBLE), rule.init(start))
    equal, _ = rule.update(start, torch.ones(4, dtype=DOUBLE), rule.init(start))
    assert float(better[0]) >= float(equal[0])


@over("plugin", WEIGHTS)
def test_a_weight_rule_resumes_from_its_saved_state_bit_for_bit(plugin):
    rule, log_weights = make(plugins.WEIGHT_RULES, plugin), torch.log_softmax(normal(4), 0)
    log_weights, state = rule.update(log_weights, normal(4, key=1), rule.init(log_weights))
    loaded_weights, loaded_state = saved_and_loaded((log_weights, state))
    losses = normal(4, key=2)
    assert same(rule.update(log_weights, losses, state), rule.update(loaded_weights, losses, loaded_state))
