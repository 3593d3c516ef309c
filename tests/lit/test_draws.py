"""The draws of a step: one global batch, whatever the number of processes."""

import pytest
import torch

from mixnash.core.errors import InvalidInputError
from mixnash.core.types import BOTH, CRITICS, GENERATORS
from mixnash.lit.draws import StepDraws, check_shares

REAL = torch.randn(3, 8, 2, generator=torch.Generator().manual_seed(0))  # [draws, B, D]


def draws(rank=0, world_size=1, step=4, seed=9, generator_samples=6, critic_samples=4):
    share = REAL.shape[1] // world_size
    real = REAL[:, rank * share : (rank + 1) * share]
    return StepDraws(
        real,
        seed,
        step,
        latent_dim=3,
        generators=2,
        generator_samples=generator_samples,
        critic_samples=critic_samples,
        rank=rank,
        world_size=world_size,
    )


@pytest.mark.parametrize(("players", "samples"), [(CRITICS, 4), (GENERATORS, 6), (BOTH, 6)])
def test_shapes_follow_who_asks_for_gradients(players, samples):
    batch = draws()(players)
    assert batch.real.shape == (1, 8, 2)
    assert batch.latent.shape == (2, samples, 3)
    assert batch.anchor.shape == (2, samples, 2)
    assert batch.mix.shape == (2, samples)
    assert bool(((batch.mix >= 0) & (batch.mix < 1)).all())


def test_evaluations_of_a_step_take_one_batch_of_reals_after_the_other_and_fresh_latents():
    source = draws()
    batches = [source(CRITICS) for _ in range(3)]
    for index, batch in enumerate(batches):
        assert torch.equal(batch.real[0], REAL[index])
    assert not torch.equal(batches[0].latent, batches[1].latent)
    assert not torch.equal(batches[0].mix, batches[1].mix)


def test_draws_are_a_function_of_seed_and_step():
    assert torch.equal(draws()(CRITICS).latent, draws()(CRITICS).latent)
    assert not torch.equal(draws()(CRITICS).latent, draws(step=5)(CRITICS).latent)
    assert not torch.equal(draws()(CRITICS).latent, draws(seed=10)(CRITICS).latent)


@pytest.mark.parametrize("players", [CRITICS, BOTH])
def test_shares_of_two_processes_make_up_the_single_batch(players):
    whole, parts = draws(), [draws(rank, world_size=2) for rank in range(2)]
    for _ in range(2):
        batch, shares = whole(players), [part(players) for part in parts]
        for name, axis in {"real": 1, "latent": 1, "anchor": 1, "mix": 1}.items():
            joined = torch.cat([getattr(share, name) for share in shares], dim=axis)
            assert torch.equal(joined, getattr(batch, name)), name


def test_every_real_sample_is_the_anchor_of_equally_many_generated_ones():
    anchor = draws(critic_samples=8)(CRITICS).anchor  # 16 generated, 8 real
    assert uses(anchor) == [2] * 8
    assert sorted(uses(draws()(BOTH).anchor)) == [1] * 4 + [2] * 4  # 12 generated


def test_as_many_generated_as_real_samples_are_paired_in_order():
    anchor = draws()(CRITICS).anchor  # [K = 2, b = 4, D]: generator k's sample j stands at j K + k
    assert torch.equal(anchor.transpose(0, 1).reshape(8, 2), REAL[0])


def uses(anchor):
    """How often each real sample of the first draw appears."""
    return [int((anchor.reshape(-1, 2) == real).all(1).sum()) for real in REAL[0]]


@pytest.mark.parametrize(("samples", "next_best"), [(7, 8), (1, 2)])
def test_counts_that_cannot_be_shared_are_refused_with_the_next_one_that_can(samples, next_best):
    with pytest.raises(InvalidInputError, match=rf"processes \(2\), found {samples}. Set it to {next_best}\."):
        check_shares("generator_samples", samples, 2)


def test_counts_that_can_be_shared_pass():
    check_shares("generator_samples", 6, 3)
