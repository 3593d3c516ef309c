"""The draws of a step where processes cannot share a batch evenly: their parts still make up the one global batch."""

from functools import partial

import pytest
import torch

from mixnash.core.errors import InvalidInputError
from mixnash.core.types import BOTH, CRITICS
from mixnash.data.mixtures import PresetMixture
from mixnash.lit.draws import StepDraws, has_uneven_shares
from mixnash.lit.mixed_checks import check_splittable
from mixnash.networks.dcgan import DCGANCritic, DCGANGenerator
from mixnash.networks.mlp import MLPCritic, MLPGenerator
from mixnash.networks.normalizations import BatchNormalization, GroupNormalization, NoNormalization

REAL = torch.randn(2, 12, 2, generator=torch.Generator().manual_seed(0))  # [draws, B, D]


def draws(rank=0, world_size=1, real=REAL, is_whole=True, packing=1, samples=(7, 5), augmentation=0):
    return StepDraws(
        real, 9, 4, 3, 2, *samples, rank, world_size, augmentation, training=True, is_whole=is_whole, packing=packing
    )


def parts_of(batch):
    """Every tensor of a batch whose second axis counts samples, by name."""
    named = {name: getattr(batch, name) for name in ("real", "latent", "anchor", "mix")}
    if batch.augmentation is not None:
        named |= {f"augmentation of {name}": one for name, one in batch.augmentation._asdict().items()}
    return named


@pytest.mark.parametrize("players", [CRITICS, BOTH])
@pytest.mark.parametrize(("count", "world_size"), [(11, 2), (12, 2), (11, 3), (7, 4)])
def test_uneven_shares_make_up_the_single_batch_with_its_anchors(count, world_size, players):
    real = REAL[:, :count]
    whole = draws(real=real, augmentation=2)
    shares = [draws(rank, world_size, real, augmentation=2) for rank in range(world_size)]
    for _ in range(2):
        batch, own = parts_of(whole(players)), [share(players) for share in shares]
        for name, expected in batch.items():
            assert torch.equal(torch.cat([parts_of(one)[name] for one in own], dim=1), expected), name
        for one in own:
            assert one.real_share == world_size * one.real.shape[1] / count
            assert one.generated_share == world_size * one.latent.shape[1] / (5 if players == CRITICS else 7)


def test_shares_of_two_processes_are_known_numbers():
    first, second = (draws(rank, 2, REAL[:, :5])(BOTH) for rank in range(2))  # 3 + 2 real, 4 + 3 generated
    assert (first.real_share, second.real_share) == pytest.approx((1.2, 0.8))
    assert (first.generated_share, second.generated_share) == pytest.approx((8 / 7, 6 / 7))


def test_packs_are_cut_between_them():
    real = REAL[:, :10]
    first, second = (draws(rank, 2, real, packing=2, samples=(6, 6))(BOTH) for rank in range(2))
    assert (first.real.shape[1], second.real.shape[1]) == (6, 4)
    assert (first.latent.shape[1], second.latent.shape[1]) == (4, 2)
    assert (first.real_share, second.real_share) == pytest.approx((1.2, 0.8))
    assert (first.generated_share, second.generated_share) == pytest.approx((4 / 3, 2 / 3))


@pytest.mark.parametrize("packing", [1, 2])
def test_even_shares_are_the_same_to_the_last_bit_whether_the_loader_cuts_or_not(packing):
    for rank in range(3):
        own = REAL[:, 4 * rank : 4 * rank + 4]
        cut = draws(rank, 3, own, is_whole=False, samples=(6, 12), packing=packing, augmentation=2)(BOTH)
        whole = draws(rank, 3, is_whole=True, samples=(6, 12), packing=packing, augmentation=2)(BOTH)
        for name, part in parts_of(cut).items():
            assert torch.equal(parts_of(whole)[name], part), name
        assert (whole.real_share, whole.generated_share) == (cut.real_share, cut.generated_share) == (1.0, 1.0)


# ---------------------------------------------------------------------- who needs whole batches


@pytest.mark.parametrize(
    ("counts", "world_size", "packing", "expected"),
    [
        ({"batch_size": 16, "critic_samples": 4}, 2, 1, False),
        ({"batch_size": 15, "critic_samples": 4}, 2, 1, True),
        ({"batch_size": 16, "critic_samples": 3}, 2, 1, True),
        ({"batch_size": 12, "critic_samples": 8}, 2, 4, True),
        ({"batch_size": 12, "critic_samples": 4}, 1, 4, False),
    ],
)
def test_shares_are_uneven_where_some_count_or_its_packs_cannot_be_divided(counts, world_size, packing, expected):
    assert has_uneven_shares(counts, world_size, packing) is expected


@pytest.mark.parametrize(
    ("counts", "packing", "message"),
    [
        ({"critic_samples": 2}, 1, "3 processes share out critic_samples, and each needs at least one sample, found 2"),
        ({"batch_size": 4}, 2, "each needs at least one pack of 2 samples, found 4: set it to 6 or more, or use"),
        ({"batch_size": 9}, 2, r"batch_size must be a multiple of the packing \(2\), found 9. Set it to 10."),
    ],
)
def test_counts_that_leave_a_process_without_samples_are_refused(counts, packing, message):
    with pytest.raises(InvalidInputError, match=message):
        has_uneven_shares(counts, 3, packing)


# ---------------------------------------------------------------------- data


def ring(place):
    data = PresetMixture("wgangp-ring", batch_size=15, validation_size=10, seed=3)
    data.draws_per_step, data.batch_place = 2, place
    return data


def test_whole_batches_are_those_of_a_single_process():
    data = ring((1, 2))
    data.whole_batches = True
    batch = next(iter(data.train_dataloader()))
    assert torch.equal(batch, ring(None).training_batch(0))
    assert batch.shape == (2, 15, 2)


def test_batches_that_nobody_cuts_must_be_even():
    with pytest.raises(
        InvalidInputError, match="2 processes cannot share a batch of 15 samples equally: choose a mult"
    ):
        ring((1, 2)).train_dataloader()


def test_place_in_a_batch_is_the_one_that_was_set():
    thirds = [ring((rank, 3)).training_batch(4) for rank in range(3)]
    assert torch.equal(torch.cat(thirds, dim=1), ring(None).training_batch(4))


# ---------------------------------------------------------------------- networks that see several samples together


def dcgan(normalization):
    event = (1, 16, 16)
    generator = DCGANGenerator(event, latent_dim=4, width=4, normalization=normalization)
    return generator, DCGANCritic(event, width=4, normalization=NoNormalization())


def test_networks_that_normalise_by_batches_cannot_be_split():
    with pytest.raises(InvalidInputError, match="the generator normalises by batches, so that a part gives it other"):
        check_splittable(*dcgan(BatchNormalization()))
    critic = DCGANCritic((1, 16, 16), width=4, normalization=BatchNormalization())
    with pytest.raises(InvalidInputError, match="the critic normalises by batches"):
        check_splittable(dcgan(GroupNormalization())[0], critic)


@pytest.mark.parametrize(
    "make", [partial(dcgan, GroupNormalization()), lambda: (MLPGenerator((2,), latent_dim=2), MLPCritic((2,)))]
)
def test_networks_that_take_samples_one_by_one_can_be_split(make):
    check_splittable(*make())
