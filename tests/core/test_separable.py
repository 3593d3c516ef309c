"""Processes that own shares of the particles move them as one process moves all, for every dynamics that says so."""

import dataclasses
from functools import partial

import pytest
import torch

from mixnash.core.dynamics.base import AbstractDynamics
from mixnash.core.population import Population
from mixnash.core.shares import share_of
from mixnash.core.types import AbstractOracle, Player, Profile
from plugins import DYNAMICS as ROWS
from plugins import make, over
from resume_cases import DYNAMICS, POSITION_RULES, advanced, dynamics_of, of_product, problem_of, without_networks

SEPARABLE = [plugin for plugin in DYNAMICS if make(ROWS, plugin).is_separable]
COUNTS, STEPS = (3, 3), 3


@pytest.fixture(autouse=True)
def fast(no_shape_checks):
    """Shapes are checked elsewhere."""


class Recorder(AbstractOracle):
    """Keeps every answer about the whole population, for those who have shares of it."""

    def __init__(self, oracle, answers):
        self._oracle, self._answers = oracle, answers

    def resample(self):
        self._oracle.resample()

    def feedback(self, profile, players):
        self._answers.append(self._oracle.feedback(profile, players))
        return self._answers[-1]

    def linearise(self, profile):
        raise AssertionError("Products with the field's derivative need all particles.")

    def project(self, player, params):
        return self._oracle.project(player, params)


class Replayer(Recorder):
    """Gives the own rows of the gradients that the whole population met; losses and weights are everybody's."""

    def __init__(self, oracle, answers, shares):
        super().__init__(oracle, answers)
        self._shares = shares

    def feedback(self, profile, players):
        for player, one in zip(Player, profile, strict=True):
            assert len(next(iter(one.params.values()))) == self._shares[player].size
        seen = self._answers.pop(0)
        return seen._replace(
            generator_grads=cut(seen.generator_grads, self._shares[Player.GENERATOR]),
            critic_grads=cut(seen.critic_grads, self._shares[Player.CRITIC]),
        )


def cut(params, share):
    return None if params is None else {name: leaf[share.cut] for name, leaf in params.items()}


def moved(case, shares, answers_by_step, spy):
    dynamics, (_, profile) = dynamics_of(case), problem_of(case)
    if shares is not None:
        profile = Profile(
            *(
                Population(cut(one.params, shares[player]), one.log_weights)
                for player, one in zip(Player, profile, strict=True)
            )
        )
    state = dynamics.init(profile)
    for step in range(STEPS):
        state = advanced(case, dynamics, state, step, shares, partial(spy, answers=answers_by_step[step]))
    return dynamics.profile(state)


def cases_of(plugin):
    """One for every position rule, on three particles each."""
    met = {}
    for case in of_product():
        if case.dynamics is plugin:
            met.setdefault(case.positions, dataclasses.replace(case, particles=COUNTS, evaluate=without_networks))
    return list(met.values())


@over("plugin", SEPARABLE)
def test_a_separable_dynamics_moves_every_share_of_the_particles_as_the_whole(plugin):
    for case in cases_of(plugin):
        answers = [[] for _ in range(STEPS)]
        whole = moved(case, None, answers, Recorder)
        for part in range(2):  # two particles and one
            shares = {player: share_of(3, 2, part) for player in Player}
            own = moved(case, shares, [list(one) for one in answers], partial(Replayer, shares=shares))
            for player, everyone, mine in zip(Player, whole, own, strict=True):
                assert torch.equal(mine.log_weights, everyone.log_weights)
                # Noise is the same to the last bit, see test_normals.py; torch's kernels on the CPU round the end of a
                # leaf, which does not fill a vector of the processor, otherwise than its beginning.
                torch.testing.assert_close(mine.params, cut(everyone.params, shares[player]), rtol=1e-5, atol=1e-5)


def test_every_position_rule_is_shared_out():
    met = {rule for plugin in SEPARABLE for case in cases_of(plugin) for rule in case.positions}
    assert met == set(POSITION_RULES)
    assert all(issubclass(plugin, AbstractDynamics) for plugin in SEPARABLE)
    assert {"Alternating", "Extragradient", "Lookahead", "Simultaneous"} <= {plugin.__name__ for plugin in SEPARABLE}
