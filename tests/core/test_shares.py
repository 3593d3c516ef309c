"""Parts of a batch whose shares make the plain mean over parts that of all samples."""

import pytest
import torch

from mixnash.core.augmentations.colour import Colour
from mixnash.core.feedback import feedback, feedback_reference
from mixnash.core.games.augmented import AugmentedGame
from mixnash.core.games.constraints import GradientPenalty, ZeroCentredPenalty
from mixnash.core.games.hinge import Hinge
from mixnash.core.games.non_saturating import NonSaturating
from mixnash.core.games.packed import PackedGame
from mixnash.core.games.relativistic import Relativistic
from mixnash.core.types import BOTH, AugmentationDraws
from plugins import ADVERSARIAL_GAMES, CONSTRAINTS, make
from problems import augmented_problem, gan_batch, mlp_problem, normal, tanh_problem

EXACT = {"rtol": 0, "atol": 1e-12}
EVALUATIONS = pytest.mark.parametrize("evaluate", [feedback, feedback_reference], ids=["stacked", "loops"])


def cut(batch, real_sizes, generated_sizes):
    """Parts of so many samples each, every one with its shares."""
    parts, count = [], len(real_sizes)
    real_starts, generated_starts = ([sum(sizes[:i]) for i in range(count)] for sizes in (real_sizes, generated_sizes))
    for i in range(count):
        real = slice(real_starts[i], real_starts[i] + real_sizes[i])
        own = slice(generated_starts[i], generated_starts[i] + generated_sizes[i])
        draws = batch.augmentation
        parts.append(
            batch._replace(
                real=batch.real[:, real],
                latent=batch.latent[:, own],
                anchor=batch.anchor[:, own],
                mix=batch.mix[:, own],
                augmentation=draws
                and AugmentationDraws(draws.real[:, real], draws.generated[:, own], draws.anchor[:, own]),
                real_share=count * real_sizes[i] / sum(real_sizes),
                generated_share=count * generated_sizes[i] / sum(generated_sizes),
            )
        )
    return parts


def mean(seen):
    """The plain mean of feedbacks."""
    return seen[0]._replace(
        **{
            name: {leaf: sum(getattr(one, name)[leaf] for one in seen) / len(seen) for leaf in first}
            if isinstance(first, dict)
            else sum(getattr(one, name) for one in seen) / len(seen)
            for name, first in seen[0]._asdict().items()
        }
    )


def assert_parts_make_up_the_whole(game, problem, real_sizes, generated_sizes, evaluate):
    networks, profile, batch = problem
    whole = evaluate(game, networks, profile, batch, BOTH)
    parts = [evaluate(game, networks, profile, part, BOTH) for part in cut(batch, real_sizes, generated_sizes)]
    for name, expected in whole._asdict().items():
        torch.testing.assert_close(getattr(mean(parts), name), expected, **EXACT)


@EVALUATIONS
@pytest.mark.parametrize("constraint", CONSTRAINTS)
@pytest.mark.parametrize("kind", ADVERSARIAL_GAMES)
def test_mean_over_uneven_parts_is_the_feedback_of_the_whole(kind, constraint, evaluate):
    game = make(ADVERSARIAL_GAMES, kind, make(CONSTRAINTS, constraint))
    problem = mlp_problem(3, 4)._replace(batch=gan_batch(3, (2,), real=5, latents=7))
    assert_parts_make_up_the_whole(game, problem, (3, 2), (4, 3), evaluate)


@EVALUATIONS
@pytest.mark.parametrize("inner", [NonSaturating, Relativistic])
def test_mean_over_uneven_parts_in_packs_is_the_feedback_of_the_whole(inner, evaluate):
    game = PackedGame(inner(ZeroCentredPenalty(1.5, 0.7)), 2)
    problem = tanh_problem(3, 2, packing=2)._replace(batch=gan_batch(3, (2,), real=6, latents=10))
    assert_parts_make_up_the_whole(game, problem, (4, 2), (4, 6), evaluate)


@EVALUATIONS
def test_mean_over_three_uneven_augmented_parts_is_the_feedback_of_the_whole(evaluate):
    game = AugmentedGame(Hinge(GradientPenalty(2.0, 0.4)), Colour())
    assert_parts_make_up_the_whole(game, augmented_problem(), (6, 1, 4), (1, 2, 2), evaluate)


def test_without_shares_uneven_parts_are_not_the_whole():
    game, (networks, profile, _) = Hinge(), mlp_problem(3, 4)
    batch = gan_batch(3, (2,), real=5, latents=7)
    unweighted = [part._replace(real_share=1.0, generated_share=1.0) for part in cut(batch, (3, 2), (4, 3))]
    parts = mean([feedback(game, networks, profile, part, BOTH) for part in unweighted])
    assert not torch.allclose(parts.values, feedback(game, networks, profile, batch, BOTH).values, rtol=0, atol=1e-4)


def test_means_count_by_the_share_of_their_own_kind_of_sample():
    batch, numbers = gan_batch(1, (2,))._replace(real_share=1.2, generated_share=0.5), torch.tensor([[1.0, 4.0]])
    torch.testing.assert_close(batch.mean_of_real(numbers), torch.tensor([3.0]))
    torch.testing.assert_close(batch.mean_of_generated(numbers), torch.tensor([1.25]))


def test_means_of_a_whole_batch_are_plain_to_the_last_bit():
    numbers, batch = normal(4, 3, 7), gan_batch(1, (2,))
    assert torch.equal(batch.mean_of_real(numbers), numbers.mean(-1))
    assert torch.equal(batch.mean_of_generated(numbers), numbers.mean(-1))


def test_shares_pass_to_pairs_and_to_more_generators():
    batch = gan_batch(2, (2,))._replace(real_share=1.2, generated_share=0.5)
    for one in (batch.pair(1), batch.for_generators(5)):
        assert (one.real_share, one.generated_share) == (1.2, 0.5)
