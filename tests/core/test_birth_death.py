"""Births and deaths by hand: who dies, who is split, what weighs how much, and whose memories newborns have."""

import math

import pytest
import torch

from mixnash.core.domains import Box, Torus
from mixnash.core.dynamics.adaptive_conic_mirror_prox import AdaptiveConicMirrorProx
from mixnash.core.dynamics.birth_death import BirthDeath, succeed
from mixnash.core.dynamics.inheritance import inherit
from mixnash.core.dynamics.lookahead import Lookahead
from mixnash.core.dynamics.optimistic import Optimistic
from mixnash.core.dynamics.simultaneous import Simultaneous
from mixnash.core.errors import InvalidInputError
from mixnash.core.games.bilinear import Bilinear
from mixnash.core.games.squared_distance import SquaredDistance
from mixnash.core.games.vectors import VECTOR
from mixnash.core.population import weights
from mixnash.core.rules.adam import Adam
from mixnash.core.rules.base import PlayerRules
from mixnash.core.rules.entropic import EntropicMirrorDescent
from mixnash.core.rules.sgd import SGD
from mixnash.core.rules.still import Still
from mixnash.core.tree import flatten
from mixnash.core.types import Profile
from mixnash.core.vector_oracle import VectorOracle
from plugins import same
from problems import DOUBLE, descend, frozen, make_rng, normal, positions, run, vectors

XY = Bilinear([[1.0]])
STILL = Simultaneous(frozen(Still()), frozen(Still()))


def look(dynamics, generators, critics, game=XY, steps=1):
    """The state, the positions of both players and their weights after `steps` steps."""
    states, _ = run(dynamics, VectorOracle(game), Profile(generators, critics), steps)
    profile = dynamics.profile(states[-1])
    x, y = (one.flatten().tolist() for one in positions(dynamics, states[-1]))
    return states[-1], (x, y), tuple(weights(one).tolist() for one in profile)


def succession(given, centres, smallest):
    log_weights, parents = succeed(torch.tensor(given, dtype=DOUBLE).log(), torch.tensor(centres), smallest)
    return log_weights.exp().tolist(), parents.tolist()


# ---------------------------------------------------------------------- who, and with what weight


def test_a_light_particle_dies_and_the_heaviest_is_split_with_what_it_left():
    found, parents = succession([0.2, 0.04, 0.5, 0.26], [0, 1, 2, 3], 0.05)
    assert found == pytest.approx([0.2, 0.27, 0.27, 0.26], abs=1e-15)
    assert parents == [0, 2, 2, 3]


def test_several_free_places_are_given_one_after_the_other_to_the_heaviest_then():
    # 0.6 + 0.03 splits into 0.315 twice; the heaviest is then 0.33 + 0.04, which splits into 0.185 twice.
    found, parents = succession([0.6, 0.03, 0.33, 0.04], [0, 1, 2, 3], 0.05)
    assert found == pytest.approx([0.315, 0.315, 0.185, 0.185], abs=1e-15)
    assert parents == [0, 0, 2, 2]


def test_a_newborn_that_is_split_in_turn_hands_on_its_own_parent():
    # 0.94 + 0.02 = 2 x 0.48 (places 0 and 1), then 0.48 + 0.02 = 2 x 0.25 (places 0 and 2), 0.48 + 0.02 (1 and 3).
    found, parents = succession([0.94, 0.02, 0.02, 0.02], [0, 1, 2, 3], 0.1)
    assert found == pytest.approx([0.25] * 4, abs=1e-15)
    assert parents == [0, 0, 0, 0]


def test_coincident_particles_give_their_weight_to_their_centre_and_free_their_places():
    # 0.15 joins 0.25: 0.4 is less than 0.6, which is split without anybody's death.
    found, parents = succession([0.25, 0.6, 0.15], [0, 1, 0], 0.0)
    assert found == pytest.approx([0.4, 0.3, 0.3], abs=1e-15)
    assert parents == [0, 1, 1]


def test_light_particles_that_coincide_may_live_on_as_one():
    found, parents = succession([0.5, 0.04, 0.03, 0.43], [0, 1, 1, 3], 0.05)
    assert found == pytest.approx([0.25, 0.07, 0.25, 0.43], abs=1e-15)
    assert parents == [0, 1, 0, 3]


def test_nobody_dies_at_the_limit_itself_or_without_one():
    assert succession([0.25, 0.75], [0, 1], 0.25) == (pytest.approx([0.25, 0.75], abs=1e-15), [0, 1])
    assert succession([1e-300, 1.0], [0, 1], 0.0)[1] == [0, 1]


@pytest.mark.parametrize("seed", range(6))
def test_weights_keep_their_sum_and_nobody_is_left_below_the_limit(seed):
    count = 7
    log_weights = torch.log_softmax(3 * normal(count, key=seed), 0)
    new, parents = succeed(log_weights, torch.arange(count), 1 / (2 * count))
    assert abs(float(new.logsumexp(0))) < 1e-14
    assert float(new.exp().min()) >= 1 / (2 * count) - 1e-15
    alive = parents == torch.arange(count)
    assert bool((log_weights[~alive].exp() < 1 / (2 * count)).all())
    # Families have the weights of their parents and of the dead: others are as heavy as before.
    untouched = [k for k in range(count) if (parents == k).sum() == 1]
    torch.testing.assert_close(new[untouched], log_weights[untouched])


# ---------------------------------------------------------------------- a step


def test_a_step_by_hand():
    # Generators -1 (0.3), 2 (0.68), 5 (0.02); critics 0.3 (0.5), 0.3 + 1e-6 (0.1), -1 (0.4).
    x, y = (
        vectors([-1.0], [2.0], [5.0], weights=[0.3, 0.68, 0.02]),
        vectors([0.3], [0.300001], [-1.0], weights=[0.5, 0.1, 0.4]),
    )
    dynamics = BirthDeath(STILL, 1, smallest_weight=0.1, merge_radius=1e-5, jitter=1e-3)
    state, (found_x, found_y), (p, q) = look(dynamics, x, y)
    assert p == pytest.approx([0.3, 0.35, 0.35])
    assert q == pytest.approx([0.3, 0.3, 0.4])
    noise_x, noise_y = (torch.randn(2, generator=make_rng(0), dtype=DOUBLE)).tolist()
    assert found_x[:2] == [-1.0, 2.0]
    assert found_x[2] == pytest.approx(2.0 + 1e-3 * noise_x, abs=1e-15)
    assert (found_y[0], found_y[2]) == (0.3, -1.0)
    assert found_y[1] == pytest.approx(0.3 + 1e-3 * noise_y, abs=1e-15)
    assert dynamics.diagnostics(state) == {"generators/births": 1.0, "critics/births": 1.0}
    assert all(abs(float(one.log_weights.logsumexp(0))) < 1e-15 for one in dynamics.profile(state))


def test_without_births_the_base_does_not_notice_and_keeps_its_memory_of_gradients():
    start = Profile(vectors([1.0], [0.4], weights=[0.4, 0.6]), vectors([-0.5]))
    base = descend(Optimistic, 0.1)
    alone, _ = run(base, VectorOracle(XY), start, 5)
    wrapped, _ = run(BirthDeath(base, 1, 0.1), VectorOracle(XY), start, 5)
    assert all(same(one.base, other) for one, other in zip(wrapped, alone, strict=True))
    assert wrapped[-1].base.steps == 5


def test_births_come_every_so_many_steps_and_are_counted():
    # The generators' losses are 1, -1: with a rate of 1 the weights become 1 : e^(2t), below 1/10 from t = 2 on. Birth
    # after the third step leaves equal weights; the copy of the second particle pays the same.
    rules = PlayerRules(Still(), EntropicMirrorDescent(1.0))
    dynamics = BirthDeath(Simultaneous(rules, frozen(Still())), 3, 0.1, jitter=0.0)
    start = Profile(vectors([1.0], [-1.0]), vectors([1.0]))
    states, _ = run(dynamics, VectorOracle(XY), start, 7)
    light = [float(weights(dynamics.profile(state).generators)[0]) for state in states]
    expected = [1 / (1 + math.exp(2 * t)) for t in range(3)] + [0.5] * 5
    assert light == pytest.approx(expected)
    assert [state.generator_births for state in states] == [0, 0, 0, 1, 1, 1, 1, 1]
    assert positions(dynamics, states[-1])[0].flatten().tolist() == [-1.0, -1.0]


def test_memories_of_gradients_start_anew_after_a_birth():
    dynamics = BirthDeath(descend(Optimistic, 0.1), 2, 0.2)
    state, *_ = look(dynamics, vectors([1.0], [2.0], weights=[0.1, 0.9]), vectors([0.5]), steps=2)
    assert (state.steps, state.base.steps) == (2, 0)


def test_newborns_have_their_parents_moments_also_inside_wrappers():
    rules = frozen(Adam(0.05, 0.5))
    start = Profile(
        vectors([0.1], [0.7], [0.3], weights=[0.25, 0.7, 0.05]), vectors([0.5], [-0.4], weights=[0.95, 0.05])
    )
    base = Lookahead(Simultaneous(rules, rules), 2)
    game = SquaredDistance()  # particles in different places have different gradients
    plain, _ = run(base, VectorOracle(game), start, 2)
    states, _ = run(BirthDeath(base, 2, 0.1, jitter=0.3), VectorOracle(game), start, 2)
    before, after = plain[-1].base, states[-1].base.base
    for old, new, parents in (
        (before.generators, after.generators, [0, 1, 1]),
        (before.critics, after.critics, [0, 0]),
    ):
        for one in ("mean", "square"):
            expected = getattr(old.position, one)[VECTOR][parents]
            assert torch.equal(getattr(new.position, one)[VECTOR], expected)
        assert new.position.updates == 2
    assert not torch.equal(before.critics.position.mean[VECTOR], after.critics.position.mean[VECTOR])


def test_states_without_rules_are_inherited_as_they_are():
    problem = Profile(vectors([0.1], [0.4]), vectors([0.3], [-0.2]))
    state = AdaptiveConicMirrorProx().init(problem)
    assert same(inherit(state, torch.tensor([1, 1]), torch.tensor([0, 0])), state)


def test_copies_are_projected_and_others_are_not_touched():
    game = Bilinear([[1.0]], None, None, Box([0.0], [1.0]), Box([0.0], [1.0]))
    start = vectors([1.0], [0.3], [0.2], [0.7], weights=[0.9, 0.03, 0.03, 0.04])
    dynamics = BirthDeath(STILL, 1, 0.05, jitter=0.4, critics=False)
    _, (x, y), _ = look(dynamics, start, vectors([0.2], [0.6], weights=[0.01, 0.99]), game)
    assert x[0] == 1.0
    assert all(0 <= one <= 1 for one in x)
    assert sum(one < 1 for one in x) >= 1
    assert y == [0.2, 0.6]  # critics have no births


def test_distances_go_the_shorter_way_around_a_torus():
    start = vectors([0.001], [0.5], [0.999], weights=[0.5, 0.3, 0.2])
    dynamics = BirthDeath(STILL, 1, 0.0, merge_radius=0.01, jitter=0.1)
    for domain, merged in ((Torus(1), 1), (Box([0.0], [1.0]), 0)):
        game = Bilinear([[1.0]], None, None, domain, domain)
        state, _, (p, _) = look(dynamics, start, vectors([0.5]), game)
        assert state.generator_births == merged
        assert p == pytest.approx([0.35, 0.3, 0.35] if merged else [0.5, 0.3, 0.2])


def test_a_player_of_one_particle_and_a_switched_off_player_have_no_births():
    dynamics = BirthDeath(STILL, 1, 0.1, generators=False)
    state, _, (p, q) = look(dynamics, vectors([1.0], [2.0], weights=[0.01, 0.99]), vectors([0.5]))
    assert (p, q) == (pytest.approx([0.01, 0.99]), (pytest.approx([1.0])))
    assert (state.generator_births, state.critic_births) == (0, 0)


def test_players_can_be_put_elsewhere_and_the_wrapper_shows_and_draws_as_its_base():
    dynamics = BirthDeath(descend(Simultaneous, 0.3), 1, 0.1)
    there = Profile(vectors([5.0], [6.0]), vectors([0.5]))
    state, *_ = look(dynamics, vectors([1.0], [2.0], weights=[0.01, 0.99]), vectors([0.5]))
    moved = dynamics.replace_profile(state, there)
    assert same(dynamics.profile(moved), there)
    assert flatten(moved)["generator_births"] == 1
    assert dynamics.draws_per_step == 1
    assert dynamics.diagnostics(moved)["critics/step_size"] == 0.3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"every": 0}, "Births must be at least 1 step apart, found 0"),
        ({"smallest_weight": -0.1}, r"particles die must lie in \[0, 0.25\], found -0.1"),
        ({"smallest_weight": 0.3}, r"particles die must lie in \[0, 0.25\], found 0.3"),
        ({"merge_radius": -1.0}, "radius of merging must be at least 0, found -1.0"),
        ({"jitter": float("nan")}, "jitter of newborn particles must be at least 0, found nan"),
        ({"merge_radius": 0.1, "jitter": 0.0}, "without noise a copy coincides with its parent"),
        ({"generators": False, "critics": False}, "need at least one player"),
    ],
)
def test_impossible_arguments_are_refused(arguments, message):
    with pytest.raises(InvalidInputError, match=message):
        BirthDeath(STILL, **arguments)


def test_a_limit_that_split_particles_would_fall_below_is_refused_before_the_first_step():
    profile = Profile(vectors([1.0], [2.0]), vectors(*([float(k)] for k in range(5))))
    BirthDeath(STILL, 1, 0.1).init(profile)
    with pytest.raises(InvalidInputError, match=r"half of an equal share: with 5 critics at most 0\.1, found 0\.11\."):
        BirthDeath(STILL, 1, 0.11).init(profile)
    BirthDeath(STILL, 1, 0.11, critics=False).init(profile)


def test_after_a_while_all_descend_from_the_best_particle():
    # With the critic at 1 a generator pays x, and all move down by 0.05 per step: -1 has the least to pay for ever.
    rules = PlayerRules(SGD(0.05), EntropicMirrorDescent(0.5))
    dynamics = BirthDeath(Simultaneous(rules, frozen(Still())), 5, 0.1)
    start = Profile(vectors([3.0], [-1.0], [2.0]), vectors([1.0]))
    states, _ = run(dynamics, VectorOracle(XY), start, 40)
    profile = dynamics.profile(states[-1])
    assert float(weights(profile.generators).min()) >= 0.1
    assert profile.generators.params[VECTOR].flatten().tolist() == pytest.approx([-1 - 40 * 0.05] * 3, abs=0.1)
