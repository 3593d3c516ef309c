"""Evaluations in equal parts, added pairwise."""

import pytest
import torch

from mixnash.core.errors import InvalidInputError
from mixnash.core.feedback import feedback, feedback_reference
from mixnash.core.games.constraints import GradientPenalty, ZeroCentredPenalty
from mixnash.core.games.packed import PackedGame
from mixnash.core.games.relativistic import Relativistic
from mixnash.core.games.wasserstein import Wasserstein
from mixnash.core.pairwise import Pairwise, added, scaled
from mixnash.core.types import BOTH, CRITICS, GENERATORS, NOBODY, Feedback
from problems import assert_same_feedback, augmented_problem, gan_batch, mlp_problem, tanh_problem


def even(problem, real=12, latents=8):
    return problem._replace(batch=gan_batch(3, (2,), real=real, latents=latents))


@pytest.mark.parametrize("parts", [1, 2, 4])
@pytest.mark.parametrize("players", [BOTH, GENERATORS, CRITICS, NOBODY])
def test_parts_add_up_to_one_evaluation(parts, players):
    game, problem = Wasserstein(GradientPenalty(2.0, 0.4)), even(mlp_problem(3, 4))
    assert_same_feedback(Pairwise(parts)(game, *problem, players), feedback(game, *problem, players))


def test_packs_stay_whole_and_any_evaluation_can_be_split():
    game = PackedGame(Relativistic(ZeroCentredPenalty(1.5, 0.7)), 2)
    problem = even(tanh_problem(3, 2, packing=2))
    assert_same_feedback(
        Pairwise(2, feedback_reference)(game, *problem, BOTH), feedback_reference(game, *problem, BOTH)
    )


def test_answers_are_added_two_by_two():
    def evaluate(game, networks, profile, batch, players):
        numbers = batch.real.flatten()
        return Feedback(numbers.reshape(1, 1), numbers, numbers, None, None)

    networks, profile, batch = even(mlp_problem(3, 4), real=4, latents=4)
    # In float32 1 + 2^-24 rounds to 1, so that one after the other they would add up to 1.
    real = torch.tensor([1.0, 2.0**-24, 2.0**-24, 2.0**-24]).reshape(1, 4, 1)
    game = Wasserstein(GradientPenalty(1.0))
    found = Pairwise(4, evaluate)(game, networks, profile, batch._replace(real=real), NOBODY)
    assert float(found.values) == (1.0 + 2.0**-23) / 4


def test_parts_see_copies_of_their_draws():
    seen = []

    def evaluate(game, networks, profile, batch, players):
        seen.append(batch)
        return feedback(game, networks, profile, batch, players)

    problem = augmented_problem()
    whole = problem.batch
    Pairwise(1, evaluate)(Wasserstein(GradientPenalty(1.0)), *problem, NOBODY)
    (part,) = seen
    for name in ("real", "latent", "anchor", "mix"):
        assert torch.equal(getattr(part, name), getattr(whole, name)), name
        assert getattr(part, name).data_ptr() != getattr(whole, name).data_ptr(), name
    assert all(torch.equal(one, other) for one, other in zip(part.augmentation, whole.augmentation, strict=True))


def test_sums_and_multiples_keep_what_nobody_asked_for():
    one = Feedback(torch.ones(1, 1), torch.ones(1), torch.ones(1), {"a": torch.ones(1, 2)}, None)
    other = scaled(one, 3.0)
    both = added(one, other)
    assert both.critic_grads is None
    assert torch.equal(both.generator_grads["a"], torch.full((1, 2), 4.0))
    assert torch.equal(both.values, torch.full((1, 1), 4.0))


@pytest.mark.parametrize("parts", [0, 3, 6, -2])
def test_other_numbers_than_powers_of_two_are_refused(parts):
    with pytest.raises(InvalidInputError, match=f"The number of parts must be a power of two, found {parts}"):
        Pairwise(parts)


@pytest.mark.parametrize(("real", "latents"), [(12, 7), (11, 8), (12, 2)])
def test_batches_that_cannot_be_cut_equally_are_refused(real, latents):
    problem = even(mlp_problem(3, 4), real, latents)
    with pytest.raises(InvalidInputError, match=f"{real} real and {latents} generated samples cannot be cut into 4"):
        Pairwise(4)(Wasserstein(GradientPenalty(1.0)), *problem, BOTH)
