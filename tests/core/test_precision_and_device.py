"""Every dynamics works in the precision of its players, and on their device."""

import torch

import mixnash.core.dynamics
import plugins
import problems
from mixnash.core.dynamics.base import AbstractDynamics
from mixnash.core.games.constraints import GradientPenalty
from mixnash.core.games.hinge import Hinge
from mixnash.core.tree import flatten, map_leaves
from plugins import make, over
from problems import make_rng

DYNAMICS = plugins.discover(AbstractDynamics, mixnash.core.dynamics)


@over("plugin", DYNAMICS)
def test_a_dynamics_keeps_single_precision_and_makes_its_tensors_where_the_players_are(plugin):
    dynamics, problem = make(plugins.DYNAMICS, plugin), problems.tanh_problem(2, 3)
    draws = {name: value.float() for name, value in problem.batch._asdict().items() if isinstance(value, torch.Tensor)}
    profile = map_leaves(lambda _, leaf: leaf.float(), problem.profile)
    single = problem._replace(profile=profile, batch=problem.batch._replace(**draws))
    oracle, rngs = problems.gan_oracle(single, Hinge(GradientPenalty(2.0))), [make_rng(step) for step in range(3)]
    with torch.device("meta"):  # where a tensor without a device of its own ends up: it cannot meet the others
        state = dynamics.init(single.profile)
        for rng in rngs:
            state, _ = dynamics.step(state, oracle, rng)
    leaves = [leaf for leaf in flatten(state).values() if isinstance(leaf, torch.Tensor)]
    assert not any(leaf.is_meta or leaf.dtype == torch.float64 for leaf in leaves)
    assert all(bool(torch.isfinite(leaf).all()) for leaf in leaves)
