"""What every data module promises: batches by step, equal shares, held-out samples seen once."""

from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from image_files import in_small_sets, small_sets  # noqa: F401 (fixtures)
from mixnash.core.errors import InvalidInputError
from mixnash.data.base import CHUNK, AbstractDataModule
from mixnash.data.cifar10 import CIFAR10
from mixnash.data.class_folders import ClassFolders
from mixnash.data.digits import Digits
from mixnash.data.mixtures import CustomMixture, PresetMixture
from mixnash.data.mixtures_nd import RandomMixture
from mixnash.data.mnist import MNIST
from mixnash.data.shapes import SwissRoll
from mixnash.data.stacked_mnist import StackedMNIST

pytestmark = pytest.mark.usefixtures("in_small_sets")

CENTRES, SCALES, WEIGHTS = [[0.0, 1.0], [2.0, -1.0], [-3.0, 0.5]], [0.1, 0.3, 0.2], [1.0, 2.0, 5.0]

MAKERS = {
    "preset, fresh": lambda **sizes: PresetMixture("wgangp-ring", **sizes),
    "preset, fixed": lambda **sizes: PresetMixture("drs-grid", fixed_size=100, **sizes),
    "custom, fresh": lambda **sizes: CustomMixture(CENTRES, SCALES, WEIGHTS, **sizes),
    "custom, fixed": lambda **sizes: CustomMixture(CENTRES, SCALES, WEIGHTS, fixed_size=7, **sizes),
    "random, fresh": lambda **sizes: RandomMixture(4, 5, **sizes),
    "random, fixed": lambda **sizes: RandomMixture(4, 5, fixed_size=50, **sizes),
    "swiss roll, fresh": lambda **sizes: SwissRoll(**sizes),
    "swiss roll, fixed": lambda **sizes: SwissRoll(fixed_size=50, **sizes),
    "digits": lambda **sizes: Digits(**sizes),
    "mnist": lambda **sizes: MNIST(**sizes),
    "stacked mnist": lambda **sizes: StackedMNIST(**sizes),
    "cifar10, flipped": lambda **sizes: CIFAR10(flip=True, **sizes),
    "class folders, resized": lambda **sizes: ClassFolders("data/classes", 8, resize=True, **sizes),
}


@pytest.fixture(params=MAKERS.values(), ids=MAKERS.keys())
def make(request):
    return request.param


def place(data, rank, processes, accumulate=1, global_step=0):
    """Attach what the data module reads of a trainer."""
    data.trainer = SimpleNamespace(
        global_rank=rank, world_size=processes, accumulate_grad_batches=accumulate, global_step=global_step
    )
    return data


def held_out_of(data):
    return torch.cat(list(data.val_dataloader()))


def test_draws_have_the_event_shape_in_single_precision(make):
    data = make()
    for samples in (data.training_draws(4, 30), data.held_out(30)):
        assert samples.shape == (30, *data.event_shape)
        assert samples.dtype == torch.float32


def test_draws_are_a_function_of_seed_and_step(make):
    assert torch.equal(make(seed=3).training_draws(5, 12), make(seed=3).training_draws(5, 12))
    assert torch.equal(make(seed=3).held_out(12), make(seed=3).held_out(12))
    assert not torch.equal(make(seed=3).training_draws(5, 12), make(seed=3).training_draws(6, 12))
    assert not torch.equal(make(seed=3).training_draws(5, 12), make(seed=4).training_draws(5, 12))
    assert not torch.equal(make(seed=3).held_out(12), make(seed=4).held_out(12))


def test_random_access_equals_sequential_access(make):
    data = make(seed=2)
    sequential = [data.training_draws(step, 64) for step in range(30)]
    for step in (29, 0, 17, 3, 28):
        assert torch.equal(make(seed=2).training_draws(step, 64), sequential[step])
        assert torch.equal(data.training_draws(step, 64), sequential[step])


def test_draws_leave_the_global_random_state_alone(make):
    before = torch.get_rng_state()
    data = make(batch_size=4, validation_size=9)
    next(iter(data.train_dataloader()))
    held_out_of(data)
    assert torch.equal(torch.get_rng_state(), before)


def test_held_out_samples_differ_from_training(make):
    data = make()
    training = {tuple(row) for step in range(8) for row in data.training_draws(step, 256).flatten(1).tolist()}
    held_out = {tuple(row) for row in data.held_out(200).flatten(1).tolist()}
    assert not training & held_out


def test_a_batch_splits_the_draws_of_its_step(make):
    data = make(batch_size=6)
    data.draws_per_step = 5
    batch = data.training_batch(11)
    assert batch.shape == (5, 6, *data.event_shape)
    assert torch.equal(batch.flatten(0, 1), data.training_draws(11, 30))


def test_shares_of_processes_make_up_the_batch_of_one(make):
    whole = make(batch_size=12)
    whole.draws_per_step = 4
    shares = []
    for rank in range(3):
        data = place(make(batch_size=12), rank, 3)
        data.draws_per_step = 4
        shares.append(next(iter(data.train_dataloader())))
    assert all(share.shape == (4, 4, *whole.event_shape) for share in shares)
    assert torch.equal(torch.cat(shares, dim=1), next(iter(whole.train_dataloader())))


def test_the_loader_starts_at_the_step_of_the_trainer(make):
    batches = iter(place(make(batch_size=4), 0, 1, global_step=9).train_dataloader())
    for step in (9, 10, 11):
        assert torch.equal(next(batches), make(batch_size=4).training_batch(step))


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_every_held_out_sample_is_seen_once_over_all_processes(make, processes):
    parts = [held_out_of(place(make(validation_size=40), rank, processes)) for rank in range(processes)]
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert torch.equal(torch.cat(parts), make().held_out(40))


@pytest.mark.parametrize(("size", "processes", "expected"), [(CHUNK, 1, 1), (CHUNK + 1, 1, 2), (2 * CHUNK + 1, 2, 2)])
def test_validation_chunks_are_bounded_and_equally_many_on_every_process(size, processes, expected):
    for rank in range(processes):
        chunks = list(place(SwissRoll(validation_size=size), rank, processes).val_dataloader())
        assert len(chunks) == expected
        assert all(0 < len(chunk) <= CHUNK for chunk in chunks)


def test_validation_can_be_repeated():
    loader = SwissRoll(validation_size=33).val_dataloader()
    assert torch.equal(torch.cat(list(loader)), torch.cat(list(loader)))


def test_lightning_gives_the_loaders_no_distributed_sampler():
    trainer = pl.Trainer(accelerator="cpu", devices=2, strategy="ddp", logger=False, enable_checkpointing=False)
    needs_sampler = trainer._data_connector._requires_distributed_sampler
    data = SwissRoll()
    assert needs_sampler(DataLoader(list(range(8))))
    assert not needs_sampler(data.train_dataloader())
    assert not needs_sampler(data.val_dataloader())


def test_one_draw_per_step_unless_the_model_says_otherwise(make):
    assert make().draws_per_step == 1
    assert isinstance(make(), AbstractDataModule)


def test_sizes_below_one_are_refused(make):
    with pytest.raises(InvalidInputError, match="batch size must be at least 1, found 0"):
        make(batch_size=0)
    with pytest.raises(InvalidInputError, match="validation size must be at least 1, found -2"):
        make(validation_size=-2)


def test_a_batch_that_processes_cannot_share_is_refused():
    data = place(SwissRoll(batch_size=10), 0, 4)
    with pytest.raises(
        InvalidInputError, match=r"4 processes cannot share a batch of 10 .* multiple of 4 as batch_size"
    ):
        data.train_dataloader()


def test_several_batches_for_one_step_are_refused():
    data = place(SwissRoll(), 0, 1, accumulate=3)
    with pytest.raises(InvalidInputError, match=r"accumulate_grad_batches=3 takes several .* larger batch_size"):
        data.train_dataloader()


def test_fewer_held_out_samples_than_processes_are_refused():
    data = place(SwissRoll(validation_size=3), 1, 4)
    with pytest.raises(InvalidInputError, match=r"4 processes need at least as many .* validation_size=3"):
        data.val_dataloader()
