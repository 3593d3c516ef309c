"""Loader workers change nothing: the sequence of batches and the place to resume at are those of no workers."""

import itertools

import pytest
import pytorch_lightning as pl
import torch

from image_files import in_small_sets, small_sets  # noqa: F401 (fixtures)
from mixnash.core.errors import InvalidInputError
from mixnash.data.cifar10 import CIFAR10
from mixnash.data.image_folder import ImageFolder
from mixnash.data.lsun import LSUN
from mixnash.data.stacked_mnist import StackedMNIST
from mixnash.data.step_loader import StepLoader

pytestmark = [
    pytest.mark.usefixtures("in_small_sets"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning"),  # Lightning 2.6 with torch 2.13
]

MAKERS = {
    "cifar10": lambda workers: CIFAR10(flip=True, batch_size=8, num_workers=workers),
    "stacked mnist": lambda workers: StackedMNIST(batch_size=8, num_workers=workers),
    "lsun": lambda workers: LSUN(image_size=8, flip=True, batch_size=8, num_workers=workers),
    "pictures": lambda workers: ImageFolder(
        "data/pictures", 8, flip=True, batch_size=8, validation_size=9, num_workers=workers
    ),
}


class Recorder(pl.LightningModule):
    """Keeps every batch; one optimiser step each."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.batches = []

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def training_step(self, batch, index):
        self.batches.append(batch.clone())
        return self.weight * batch.mean()

    def validation_step(self, batch, index):
        pass


def first_batches(loader, count):
    return [batch.clone() for batch in itertools.islice(loader, count)]


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())
def test_two_workers_give_the_batches_of_none_in_their_order(make):
    data = make(2)
    data.held_out(3)  # whatever the main process has opened does not hinder the workers
    batches = first_batches(data.train_dataloader(), 5)
    alone = make(0)
    assert len(batches) == 5
    for step, batch in enumerate(batches):
        assert torch.equal(batch, alone.training_batch(step))


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_a_restored_position_holds_for_one_pass_with_any_number_of_workers(workers):
    done = 4
    loader = StepLoader(torch.tensor, lambda: done, workers)

    def passed():
        return [int(batch) for batch in itertools.islice(loader, 4)]

    assert passed() == [4, 5, 6, 7]
    loader.load_state_dict({"step": 2})
    assert passed() == [2, 3, 4, 5]
    done = 8
    assert loader.state_dict() == {"step": 8}
    assert passed() == [8, 9, 10, 11]


def test_a_run_resumed_with_workers_sees_the_batches_of_a_straight_one_without(tmp_path):
    def fit(workers, steps, checkpoint=None):
        module = Recorder()
        trainer = pl.Trainer(
            accelerator="cpu",
            max_steps=steps,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(module, MAKERS["pictures"](workers), ckpt_path=checkpoint)
        return module.batches, trainer

    first, trainer = fit(2, 3)
    trainer.save_checkpoint(tmp_path / "three.ckpt")
    second, _ = fit(2, 7, tmp_path / "three.ckpt")
    straight, _ = fit(0, 7)
    assert len(first) == 3
    assert len(straight) == 7
    for batch, expected in zip([*first, *second], straight, strict=True):
        assert torch.equal(batch, expected)


def test_workers_leave_the_global_random_state_alone():
    before = torch.get_rng_state()
    first_batches(MAKERS["cifar10"](2).train_dataloader(), 2)
    assert torch.equal(torch.get_rng_state(), before)


def refuse(step):
    if step == 3:
        raise InvalidInputError("Step 3 has no data.")
    return torch.tensor(step)


@pytest.mark.parametrize("workers", [0, 2])
def test_what_a_worker_refuses_is_said_in_its_own_words_when_its_turn_comes(workers):
    batches = iter(StepLoader(refuse, lambda: 0, workers))
    assert [int(next(batches)) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(InvalidInputError, match=r"^Step 3 has no data\.$"):
        next(batches)
