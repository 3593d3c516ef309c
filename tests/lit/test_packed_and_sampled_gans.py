"""Packing and sampled players in training: equal to the textbook, resumable, and refused where counts do not fit."""

import pytest
import torch

from mixnash.core.errors import InvalidInputError
from mixnash.core.feedback import feedback
from mixnash.core.games.constraints import GradientPenalty
from mixnash.core.games.hinge import Hinge
from mixnash.core.games.packed import PackedGame
from mixnash.core.games.wasserstein import Wasserstein
from mixnash.core.population import make_population, particle, stack
from mixnash.core.rules.adam import Adam
from mixnash.core.rules.entropic import EntropicMirrorDescent
from mixnash.core.types import NOBODY, Batch, Player
from mixnash.lit.callbacks.last_checkpoint import LastCheckpoint
from mixnash.lit.draws import check_shares, shuffled
from mixnash.lit.mixed_gan import MixedGAN
from mixnash.lit.wgan import WGAN
from mixnash.networks.base import parameters_of
from mixnash.networks.mlp import MLPCritic
from training import (
    CRITIC_ADAM,
    GENERATOR_ADAM,
    SaveAt,
    adam_dynamics,
    assert_same,
    largest_difference,
    make_trainer,
    ring,
    rules,
    small_critic,
    small_generator,
)


def fourier_critic(event_shape):
    return MLPCritic(event_shape, width=8, depth=2, octaves=2, period=4.0)


def population(generators=3, critics=2, dynamics=None, game=None, critic=small_critic, **arguments):
    """A small population, initialised the same at every call."""
    dynamics = adam_dynamics(critic_steps=2) if dynamics is None else dynamics
    game = Wasserstein(GradientPenalty(0.7)) if game is None else game
    with torch.random.fork_rng():
        torch.manual_seed(11)
        return MixedGAN((2,), small_generator, critic, game, dynamics, generators, critics, seed=5, **arguments)


def packed_wgan(packing, critic_steps=2):
    with torch.random.fork_rng():
        torch.manual_seed(11)
        return WGAN(
            (2,),
            small_generator,
            small_critic,
            GENERATOR_ADAM,
            CRITIC_ADAM,
            critic_steps,
            gradient_penalty=0.7,
            packing=packing,
            seed=5,
        )


def positions(module):
    profile = module.profile(averaged=False)
    return {
        f"{player} {name}": leaf.clone()
        for player, one in zip(("generator", "critic"), profile, strict=True)
        for name, leaf in particle(one.params, 0).items()
    }


# ---------------------------------------------------------------------- packing


def test_packed_population_of_one_particle_each_stays_within_1e_5_of_packed_wgan(tmp_path):
    reference, mixed = packed_wgan(2), population(1, 1, packing=2)
    mixed.generators.assign(make_population(stack([parameters_of(reference.generator)])))
    mixed.critics.assign(make_population(stack([parameters_of(reference.critic)])))
    start = positions(reference)
    assert largest_difference(start, positions(mixed)) == 0
    for module in (reference, mixed):
        make_trainer(tmp_path, 30).fit(module, datamodule=ring())
    assert largest_difference(start, positions(reference)) > 0.01
    assert largest_difference(positions(reference), positions(mixed)) < 1e-5
    real, latent = ring().held_out(31), torch.randn(1, 17, 3)
    payoffs = [module.payoffs(real, latent, averaged=False) for module in (reference, mixed)]
    torch.testing.assert_close(*payoffs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("make", [lambda: population(packing=4, critic=fourier_critic), lambda: packed_wgan(4)])
def test_packed_critics_are_made_for_packs_and_play_the_packed_game(make):
    module = make()
    params = module.profile(averaged=False).critics.params
    fresh = module.fresh(Player.CRITIC, 3, seed=1)
    assert {name: leaf.shape[1:] for name, leaf in fresh.items()} == {
        name: leaf.shape[1:] for name, leaf in params.items()
    }
    assert params["layers.0.weight"].shape[-1] in (4 * 2, 4 * 2 * 5)
    assert isinstance(module.game, PackedGame)
    samples = torch.randn(6, 2)
    scores = module.criticise(particle(params, 0), samples)
    packs = torch.stack([samples] * 4, dim=1)
    assert torch.equal(scores, module.networks.critic.single(particle(params, 0), packs))


@pytest.mark.parametrize("make", [population, lambda: packed_wgan(1)])
def test_without_packing_the_game_is_the_plain_one(make):
    assert type(make().game) is Wasserstein


def test_payoffs_pack_held_out_samples_that_are_shuffled_first():
    module, real, latent = population(packing=3, game=Hinge()), ring().held_out(20), torch.randn(3, 7, 3)
    mix = torch.zeros(3, 7)
    batch = Batch(shuffled(real, 5).unsqueeze(0), latent, torch.zeros(3, 7, 2), mix)
    expected = feedback(module.game, module.networks, module.profile(averaged=True), batch, NOBODY).values
    assert torch.equal(module.payoffs(real, latent, averaged=True), expected)


def test_shuffled_samples_are_the_same_ones_in_an_order_given_by_the_seed():
    samples = torch.arange(40.0).reshape(20, 2)
    once = shuffled(samples, 3)
    assert torch.equal(once, shuffled(samples, 3))
    assert not torch.equal(once, shuffled(samples, 4))
    assert torch.equal(once[once[:, 0].argsort()], samples)


def test_default_sample_counts_are_rounded_up_to_whole_packs(tmp_path):
    module = population(5, 1, packing=4)  # 24 / 5 is 4.8
    make_trainer(tmp_path, 1).fit(module, datamodule=ring())
    counts = module._oracles.counts
    assert (counts["generator_samples"], counts["critic_samples"]) == (8, 8)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: population(packing=4, critic_samples=6),
            r"^critic_samples must be a multiple of the packing \(4\), found 6\. Set it to 8\.$",
        ),
        (lambda: population(packing=4, generator_samples=9), "generator_samples must be .* found 9. Set it to 12"),
        (lambda: population(packing=5), r"batch_size must be .* packing \(5\), found 24\. Set it to 25\."),
        (lambda: packed_wgan(5), r"batch_size must be .* packing \(5\), found 24\. Set it to 25\."),
    ],
)
def test_counts_that_are_no_whole_packs_are_refused_before_training(make, message, tmp_path):
    with pytest.raises(InvalidInputError, match=message):
        make_trainer(tmp_path, 1).fit(make(), datamodule=ring())


def test_packs_are_counted_on_each_process():
    with pytest.raises(InvalidInputError, match=r"processes \(3\) times the packing \(2\), found 8. Set it to 12."):
        check_shares("critic_samples", 8, 3, 2)
    check_shares("critic_samples", 12, 3, 2)


@pytest.mark.parametrize("make", [lambda: population(packing=0), lambda: packed_wgan(0)])
def test_packing_below_one_is_refused(make):
    with pytest.raises(InvalidInputError, match="packing must be at least 1 sample, found 0"):
        make()


def test_packed_games_are_not_given_but_made():
    with pytest.raises(InvalidInputError, match="Give the game itself, not a PackedGame, and set packing"):
        population(game=PackedGame(Hinge(), 2))


# ---------------------------------------------------------------------- sampled players


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sampled_generators": 4}, r"sampled_generators must .* number of generators \(3\), found 4"),
        ({"sampled_critics": 3}, r"sampled_critics must .* number of critics \(2\), found 3"),
        ({"sampled_critics": 0}, "sampled_critics must lie between 1 and .*, found 0: leave it out"),
    ],
)
def test_more_sampled_players_than_there_are_and_none_are_refused(arguments, message):
    with pytest.raises(InvalidInputError, match=message):
        population(**arguments)


def sampled_and_packed():
    weights = EntropicMirrorDescent(0.3)
    dynamics = type(adam_dynamics())(rules(Adam(2e-3), weights), rules(Adam(1e-3), weights), 2)
    return population(dynamics=dynamics, packing=2, sampled_generators=2, sampled_critics=1)


def outcome(folder):
    checkpoint = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    return {name: checkpoint.get(name) for name in ("global_step", "state_dict", "optimizer_states", "mixnash_state")}


def run(make, folder, resume_from=None):
    callbacks = [SaveAt(4, folder / "between.ckpt"), LastCheckpoint()]
    trainer = make_trainer(folder, 7, callbacks, evaluate_every=3)
    torch.manual_seed(len(str(folder)))  # nothing may come from the global generator
    trainer.fit(make(), datamodule=ring(), ckpt_path=resume_from, weights_only=True)


@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty:UserWarning")
@pytest.mark.parametrize("make", [sampled_and_packed, lambda: packed_wgan(3)], ids=["population", "wgan"])
def test_resumed_run_with_packing_and_sampled_players_equals_the_run_without_interruption(make, tmp_path):
    run(make, tmp_path / "straight")
    run(make, tmp_path / "resumed", resume_from=tmp_path / "straight" / "between.ckpt")
    assert_same(outcome(tmp_path / "straight"), outcome(tmp_path / "resumed"))


def test_sampled_run_takes_another_way_than_the_exact_one(tmp_path):
    exact, sampled, few = population(), population(sampled_generators=3), population(sampled_critics=1)
    for module in (exact, sampled, few):
        make_trainer(tmp_path, 2).fit(module, datamodule=ring())
    for module in (sampled, few):
        assert 1e-6 < largest_difference(positions(exact), positions(module)) < 0.1


def test_critics_meet_as_many_generators_as_told(tmp_path):
    module, seen = population(sampled_generators=2, sampled_critics=1), []

    def watching(game, networks, profile, batch, players):
        seen.append((players, profile.generators.log_weights.shape[0], profile.critics.log_weights.shape[0]))
        return feedback(game, networks, profile, batch, players)

    module.evaluate = watching
    make_trainer(tmp_path, 1).fit(module, datamodule=ring())
    assert seen == [(frozenset({Player.CRITIC}), 2, 2)] * 2 + [(frozenset({Player.GENERATOR}), 3, 1)]
