"""Augmented games against changed samples, their draws, and GANs that play them."""

import pytest
import torch

from mixnash.core.augmentations.colour import Colour
from mixnash.core.augmentations.composed import Composed
from mixnash.core.augmentations.cutout import Cutout
from mixnash.core.augmentations.translation import Translation
from mixnash.core.errors import InvalidInputError
from mixnash.core.feedback import feedback, feedback_reference
from mixnash.core.games.augmented import AugmentedGame
from mixnash.core.games.constraints import GradientPenalty, LazyPenalty, WeightClipping, ZeroCentredPenalty
from mixnash.core.games.fourier_counterexample import FourierCounterexample
from mixnash.core.games.hinge import Hinge
from mixnash.core.games.packed import PackedGame
from mixnash.core.games.relativistic import Relativistic
from mixnash.core.games.vectors import VECTOR
from mixnash.core.games.wasserstein import Wasserstein
from mixnash.core.population import make_population, stack
from mixnash.core.tree import flatten
from mixnash.core.types import BOTH, CRITICS, GENERATORS, Player
from mixnash.data.digits import Digits
from mixnash.lit.draws import StepDraws, paired
from mixnash.lit.mixed_gan import MixedGAN
from mixnash.lit.wgan import WGAN
from mixnash.networks.base import parameters_of
from plugins import ADVERSARIAL_GAMES, AUGMENTATIONS, make, over
from problems import DOUBLE, augmented_problem, make_rng, normal, tanh_problem
from training import (
    CRITIC_ADAM,
    GENERATOR_ADAM,
    adam_dynamics,
    largest_difference,
    make_trainer,
    mixed_gan,
    small_critic,
    small_generator,
)

EXACT = {"rtol": 0, "atol": 1e-10}

EVERYTHING = Composed([Colour(), Translation(0.3), Cutout(0.3)])


@pytest.mark.parametrize("players", [BOTH, GENERATORS, CRITICS], ids=["both", "generators", "critics"])
@pytest.mark.parametrize("constraint", [GradientPenalty(2.0, 0.3), ZeroCentredPenalty(2.0, 0.5)])
@over("kind", ADVERSARIAL_GAMES)
def test_all_pairs_at_once_equal_the_double_loop(kind, constraint, players):
    game = AugmentedGame(make(ADVERSARIAL_GAMES, kind, constraint), EVERYTHING)
    problem = augmented_problem(3, 4, draws=EVERYTHING.draws)
    one, other = (evaluate(game, *problem, players) for evaluate in (feedback, feedback_reference))
    torch.testing.assert_close(flat(one), flat(other), **EXACT)


def flat(seen):
    return flatten({name: one for name, one in seen._asdict().items() if one is not None})


@over("kind", ADVERSARIAL_GAMES)
def test_a_batch_without_draws_is_played_without_augmentation(kind):
    inner, problem = make(ADVERSARIAL_GAMES, kind, GradientPenalty(2.0)), tanh_problem(2, 3, (2, 4, 4))
    one, other = (flat(feedback(game, *problem, BOTH)) for game in (AugmentedGame(inner, EVERYTHING), inner))
    assert all(torch.equal(leaf, other[name]) for name, leaf in one.items())


def test_the_critic_sees_real_samples_anchors_and_generated_ones_changed_by_their_own_draws():
    """The inner game on samples that were changed beforehand, which only the gradient of the generators tells apart."""
    problem = augmented_problem(2, 3, draws=EVERYTHING.draws)
    networks, profile, batch = problem
    draws = batch.augmentation
    changed = batch._replace(
        real=EVERYTHING(batch.real, draws.real), anchor=EVERYTHING(batch.anchor, draws.anchor), augmentation=None
    )
    fake = EVERYTHING(networks.generator.stacked(profile.generators.params, batch.latent), draws.generated)
    fixed = networks._replace(generator=networks.generator._replace(stacked=lambda params, latent: fake))
    for inner in (Relativistic(ZeroCentredPenalty(2.0, 3.0)), Hinge(GradientPenalty(2.0))):
        got = feedback(AugmentedGame(inner, EVERYTHING), *problem, CRITICS)
        torch.testing.assert_close(flat(got), flat(feedback(inner, fixed, profile, changed, CRITICS)), **EXACT)
        assert not torch.allclose(got.values, feedback(inner, *problem, CRITICS).values)


def test_the_generator_is_moved_through_the_augmentation():
    """A brightness of the generator's own is worth as much after contrast as the contrast leaves of it."""
    problem = augmented_problem(1, 1)
    grads = {}
    for contrast in (0.0, 0.5):
        fixed = torch.tensor([0.5, 0.5, contrast], dtype=DOUBLE)
        draws = problem.batch.augmentation._replace(generated=fixed.expand_as(problem.batch.augmentation.generated))
        linear = problem.networks._replace(critic=problem.networks.critic._replace(stacked=first_pixel))
        batch = problem.batch._replace(augmentation=draws)
        grads[contrast] = feedback(
            AugmentedGame(Wasserstein(WeightClipping(9.0)), Colour()), linear, problem.profile, batch, GENERATORS
        ).generator_grads["b.bias"][0]
    # d/dx of m + (u + 1/2) (x_1 - m): (u + 1/2) at the first pixel and (1/2 - u) / 32 everywhere.
    first = torch.zeros(32, dtype=DOUBLE)
    first[0] = -1.0
    torch.testing.assert_close(grads[0.5], first)
    torch.testing.assert_close(grads[0.0], first / 2 - 1 / 64)


def first_pixel(params, samples):
    """A critic that reads the first pixel."""
    return samples.flatten(-3)[..., 0] + 0 * params["b.bias"]


@pytest.mark.parametrize("step", [0, 1])
def test_packs_of_augmented_samples_are_augmented_packs(step):
    inner = Relativistic(LazyPenalty(ZeroCentredPenalty(2.0, 3.0), 2))
    problem = augmented_problem(2, 3, draws=EVERYTHING.draws, packing=2)
    problem = problem._replace(batch=problem.batch._replace(step=step))
    outside, inside = AugmentedGame(PackedGame(inner, 2), EVERYTHING), PackedGame(AugmentedGame(inner, EVERYTHING), 2)
    expected = flat(feedback_reference(outside, *problem, BOTH))
    for game, evaluate in ((outside, feedback), (inside, feedback), (inside, feedback_reference)):
        torch.testing.assert_close(flat(evaluate(game, *problem, BOTH)), expected, **EXACT)


def test_everything_but_the_samples_is_the_inner_games():
    inner = Hinge(WeightClipping(0.5))
    game, params = AugmentedGame(inner, Colour()), {"w": 2 * normal(2, 4, 5)}
    for player in Player:
        assert torch.equal(game.project(player, params)["w"], inner.project(player, params)["w"])
    assert (game.zero_sum, game.bounded_above) == (inner.zero_sum, inner.bounded_above)
    torus = FourierCounterexample()
    own, expected = (
        one.propose(Player.CRITIC, (4,), make_rng(1))[VECTOR] for one in (AugmentedGame(torus, Colour()), torus)
    )
    assert torch.equal(own, expected)
    here, there = ({VECTOR: torch.tensor([[at]], dtype=DOUBLE)} for at in (0.95, 0.05))
    assert AugmentedGame(torus, Colour()).unwrap(Player.CRITIC, here, there)[VECTOR].item() == pytest.approx(-0.05)


# ---------------------------------------------------------------------- draws


REAL = torch.randn(2, 8, 1, 4, 4, generator=torch.Generator().manual_seed(0))


def draws(rank=0, world_size=1, augmentation=3):
    share = REAL.shape[1] // world_size
    real = REAL[:, rank * share : (rank + 1) * share]
    return StepDraws(real, 9, 4, 3, 2, 6, 4, rank, world_size, augmentation)


def test_augmentation_draws_come_from_a_stream_of_their_own_and_leave_the_others_as_they_were():
    for _ in range(2):
        with_draws, without = draws()(BOTH), draws(augmentation=0)(BOTH)
        assert without.augmentation is None
        for one, other in zip(with_draws[:4], without[:4], strict=True):
            assert torch.equal(one, other)
    first, second = (lambda source: (source(BOTH), source(BOTH)))(draws())
    assert not torch.equal(first.augmentation.real, second.augmentation.real)
    assert first.augmentation.real.shape == (1, 8, 3)
    assert first.augmentation.generated.shape == first.augmentation.anchor.shape == (2, 6, 3)
    assert not torch.equal(first.augmentation.generated, first.augmentation.anchor)
    numbers = torch.cat([one.flatten() for one in first.augmentation])
    assert bool(((numbers >= 0) & (numbers < 1)).all())


def test_an_anchor_is_augmented_as_the_real_sample_that_it_is():
    batch = draws()(CRITICS)
    assert torch.equal(batch.augmentation.anchor, paired(batch.augmentation.real[0], 2, 4))
    assert torch.equal(batch.anchor, paired(batch.real[0], 2, 4))


@pytest.mark.parametrize("players", [CRITICS, BOTH])
def test_shares_of_two_processes_make_up_the_draws_of_one(players):
    whole, parts = draws(), [draws(rank, 2) for rank in range(2)]
    for _ in range(2):
        batch, shares = whole(players).augmentation, [part(players).augmentation for part in parts]
        for place, expected in enumerate(batch):
            assert torch.equal(torch.cat([share[place] for share in shares], dim=1), expected)


def test_more_generators_than_draws_take_them_from_the_first_again():
    batch = draws()(BOTH)
    more = batch.for_generators(5)
    for k in range(5):
        assert torch.equal(more.pair(k).augmentation.generated, batch.augmentation.generated[k % 2])
        assert torch.equal(more.pair(k).augmentation.anchor, batch.augmentation.anchor[k % 2])
        assert torch.equal(more.pair(k).augmentation.real, batch.augmentation.real[0])


# ---------------------------------------------------------------------- training


def digits():
    return Digits(batch_size=24, validation_size=20, seed=3)


def population(augmentation, generators=2, critics=2, game=None, packing=1):
    game = Wasserstein(GradientPenalty(0.7)) if game is None else game
    with torch.random.fork_rng():
        torch.manual_seed(11)
        return MixedGAN(
            (1, 8, 8),
            small_generator,
            small_critic,
            game,
            adam_dynamics(2),
            generators,
            critics,
            packing=packing,
            seed=5,
            augmentation=augmentation,
        )


def single(augmentation, packing=1):
    with torch.random.fork_rng():
        torch.manual_seed(11)
        return WGAN(
            (1, 8, 8),
            small_generator,
            small_critic,
            GENERATOR_ADAM,
            CRITIC_ADAM,
            2,
            gradient_penalty=0.7,
            packing=packing,
            seed=5,
            augmentation=augmentation,
        )


def ends(module):
    profile = module.profile(averaged=False)
    return flatten({"generators": profile.generators.params, "critics": profile.critics.params})


@pytest.mark.parametrize("packing", [1, 2])
def test_mixed_gan_with_one_particle_each_plays_the_augmented_game_of_wgan(packing, tmp_path):
    reference, mixed = single(EVERYTHING, packing), population(EVERYTHING, 1, 1, packing=packing)
    mixed.generators.assign(make_population(stack([parameters_of(reference.generator)])))
    mixed.critics.assign(make_population(stack([parameters_of(reference.critic)])))
    start, plain = ends(reference), single(None, packing)
    for module in (reference, mixed, plain):
        make_trainer(tmp_path, 12).fit(module, datamodule=digits())
    assert largest_difference(start, ends(reference)) > 0.01
    assert largest_difference(ends(reference), ends(mixed)) < 1e-5
    assert largest_difference(ends(reference), ends(plain)) > 1e-3


@pytest.mark.parametrize("build", [population, lambda one: single(one)])
def test_payoffs_of_an_evaluation_are_not_augmented(build):
    real, latent = digits().held_out(20), torch.randn(2, 20, 3, generator=make_rng(0))
    one, other = (module.payoffs(real, latent, averaged=False) for module in (build(EVERYTHING), build(None)))
    assert torch.equal(one, other)


@over("plugin", AUGMENTATIONS)
def test_a_population_trains_with_every_augmentation(plugin, tmp_path):
    module = population(make(AUGMENTATIONS, plugin), game=Relativistic(ZeroCentredPenalty(0.1, 0.1)))
    before = {name: leaf.clone() for name, leaf in ends(module).items()}
    make_trainer(tmp_path, 2).fit(module, datamodule=digits())
    after = ends(module)
    assert all(bool(torch.isfinite(leaf).all()) for leaf in after.values())
    assert largest_difference(before, after) > 0


def test_what_cannot_be_augmented_is_refused_before_training():
    for build in (
        lambda: mixed_gan(adam_dynamics(), game=AugmentedGame(Hinge(), Colour())),
        lambda: population(None, game=AugmentedGame(Hinge(), Colour())),
    ):
        with pytest.raises(InvalidInputError, match="not an AugmentedGame, and set augmentation"):
            build()
    shape = (2,)
    with pytest.raises(InvalidInputError, match="needs images"):
        MixedGAN(shape, small_generator, small_critic, Hinge(), adam_dynamics(), augmentation=Colour())
    with pytest.raises(InvalidInputError, match="needs images"):
        WGAN(shape, small_generator, small_critic, GENERATOR_ADAM, CRITIC_ADAM, clip=0.1, augmentation=Colour())
