"""Evaluations in parts against evaluations at once."""

import pytest
import torch

from mixnash.core.accumulation import Accumulated, micro_batches
from mixnash.core.augmentations.colour import Colour
from mixnash.core.errors import InvalidInputError
from mixnash.core.feedback import feedback, feedback_reference
from mixnash.core.games.augmented import AugmentedGame
from mixnash.core.games.constraints import GradientPenalty, ZeroCentredPenalty
from mixnash.core.games.hinge import Hinge
from mixnash.core.games.non_saturating import NonSaturating
from mixnash.core.games.packed import PackedGame
from mixnash.core.games.relativistic import Relativistic
from mixnash.core.games.wasserstein import Wasserstein
from mixnash.core.types import BOTH, CRITICS, GENERATORS, NOBODY, NetworkFunctions
from plugins import ADVERSARIAL_GAMES, make
from problems import assert_same_feedback, augmented_problem, gan_batch, mlp_problem, tanh_problem


@pytest.mark.parametrize("parts", [(1, 1), (3, 1), (1, 3), (2, 4), (5, 2), (99, 99)])
@pytest.mark.parametrize("kind", ADVERSARIAL_GAMES)
def test_parts_add_up_to_one_evaluation(kind, parts):
    game, problem = make(ADVERSARIAL_GAMES, kind, ZeroCentredPenalty(1.5, 0.7)), mlp_problem(3, 4)
    assert_same_feedback(Accumulated(*parts)(game, *problem, BOTH), feedback(game, *problem, BOTH))


@pytest.mark.parametrize("players", [GENERATORS, CRITICS, NOBODY])
def test_parts_bring_gradients_of_those_who_ask(players):
    game, problem = Wasserstein(GradientPenalty(2.0, 0.4)), mlp_problem(3, 4)
    assert_same_feedback(Accumulated(2, 3)(game, *problem, players), feedback(game, *problem, players))


def test_parts_of_a_part_keep_its_shares():
    game, (networks, profile, batch) = Hinge(ZeroCentredPenalty(1.5, 0.7)), mlp_problem(3, 2)
    part = batch._replace(real_share=1.3, generated_share=0.6)
    expected = feedback(game, networks, profile, part, BOTH)
    assert_same_feedback(Accumulated(3, 2)(game, networks, profile, part, BOTH), expected)


@pytest.mark.parametrize("inner", [NonSaturating, Relativistic])
@pytest.mark.parametrize("count", [2, 3, 9])
def test_packs_are_never_cut_and_a_rest_below_a_pack_is_left_out(inner, count):
    game = PackedGame(inner(GradientPenalty(2.0, 0.4)), 2)
    problem = tanh_problem(3, 2, packing=2)._replace(batch=gan_batch(3, (2,), real=11, latents=7))
    assert_same_feedback(Accumulated(count, 2)(game, *problem, BOTH), feedback(game, *problem, BOTH))


def test_packs_of_packs_stay_together():
    assert PackedGame(PackedGame(Hinge(), 2), 3).samples_together == 6


def test_augmentation_is_cut_along_also_around_packs():
    game = AugmentedGame(PackedGame(Relativistic(ZeroCentredPenalty(1.5, 0.7)), 2), Colour())
    problem = augmented_problem(packing=2)
    assert_same_feedback(Accumulated(2, 3)(game, *problem, BOTH), feedback(game, *problem, BOTH))


def test_any_evaluation_can_be_split():
    game, problem = NonSaturating(GradientPenalty(2.0, 0.4)), mlp_problem(2, 3)
    split = Accumulated(2, 2, feedback_reference)
    assert_same_feedback(split(game, *problem, BOTH), feedback_reference(game, *problem, BOTH))


def test_networks_see_one_part_at_a_time():
    networks, profile, batch = mlp_problem(3, 4)  # 11 real samples, 5 latents per generator
    made, judged = [], []

    def generate(params, latents):
        made.append(tuple(latents.shape[:2]))
        return networks.generator.stacked(params, latents)

    def judge(params, samples):
        judged.append(tuple(samples.shape[:2]))
        return networks.critic.stacked(params, samples)

    watched = networks._replace(
        generator=NetworkFunctions(networks.generator.single, generate),
        critic=NetworkFunctions(networks.critic.single, judge),
    )
    Accumulated(2, 2)(Hinge(), watched, profile, batch, BOTH)
    assert made == [(3, 3), (3, 2)] * 2
    assert sorted(judged) == sorted([(2, 6), (2, 9), (2, 5), (2, 6)] * 2)


def test_generated_samples_keep_their_anchors():
    batch = gan_batch(2, (2,), real=5, latents=7)
    parts = micro_batches(batch, 3)
    assert [part.real.shape[1] for part in parts] == [2, 2, 1]
    assert [part.latent.shape[1] for part in parts] == [3, 2, 2]
    for name in ("real", "latent", "anchor", "mix"):
        assert torch.equal(torch.cat([getattr(part, name) for part in parts], dim=1), getattr(batch, name)), name
    assert [part.real_share for part in parts] == pytest.approx([1.2, 1.2, 0.6])
    assert [part.generated_share for part in parts] == pytest.approx([9 / 7, 6 / 7, 6 / 7])


def test_batches_below_a_pack_are_refused():
    with pytest.raises(InvalidInputError, match="8 samples must stay together, found 11 real and 7 generated ones"):
        micro_batches(gan_batch(2, (2,), latents=7), 2, 8)


@pytest.mark.parametrize(("counts", "name"), [((0, 1), "micro_batches"), ((1, 0), "critic_chunks")])
def test_fewer_than_one_part_is_refused(counts, name):
    with pytest.raises(InvalidInputError, match=f"{name} must be at least 1, found 0"):
        Accumulated(*counts)
