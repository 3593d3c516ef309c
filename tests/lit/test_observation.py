"""What metrics are told about images: every held-out image once, seen once, in however many batches and processes."""

from types import SimpleNamespace

import pytest
import torch
from torchmetrics import MetricCollection

from mixnash.core.errors import InvalidInputError
from mixnash.core.games.hinge import Hinge
from mixnash.data.base import AbstractImageData
from mixnash.data.digits import Digits
from mixnash.data.distinct import first_places
from mixnash.data.stacked_mnist import StackedMNIST
from mixnash.lit.mixed_gan import MixedGAN
from mixnash.lit.observation import Observer, check_held_out, first_of_validation
from mixnash.lit.scores import feature_metrics, training_metrics
from mixnash.metrics.features.base import AbstractExtractor, Extracted
from mixnash.metrics.features.random_cnn import RandomConvolutions
from stored_classifiers import store
from training import adam_dynamics, make_trainer, small_critic, small_generator


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    """A machine without classifiers."""
    monkeypatch.setenv("MIXNASH_HOME", str(tmp_path / "home"))


class Pixels(AbstractExtractor):
    """Pixels as features; counts the images it is shown."""

    def __init__(self):
        self.shown = []

    @property
    def name(self):
        return "pixels"

    @property
    def identity(self):
        return "pixels"

    def __call__(self, images):
        self.shown.append(len(images))
        return Extracted(images.flatten(1), None)

    def to(self, device):
        del device
        return self


class Repeated(AbstractImageData):
    """Held-out images 2x2 that come round after `period`, but for those from `late` on."""

    def __init__(self, period, validation_size, late=1_000):
        super().__init__(batch_size=4, validation_size=validation_size, seed=0)
        self._period, self._late = period, late
        self.asked = []

    @property
    def event_shape(self):
        return (1, 2, 2)

    def training_draws(self, step, count):
        return torch.zeros(count, 1, 2, 2)

    def held_out(self, count):
        self.asked.append(count)
        number = torch.arange(count)
        number = torch.where(number < self._late, number % self._period, number)
        return (number / 1_000).reshape(-1, 1, 1, 1).expand(-1, 1, 2, 2)


def images(count, key=0, shape=(1, 2, 2)):
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(key)) * 2 - 1


def test_first_places_are_where_different_rows_come_first():
    rows = torch.tensor([[3.0, 1.0], [2.0, 1.0], [3.0, 1.0], [1.0, 3.0], [2.0, 1.0]])
    assert first_places(rows).tolist() == [0, 1, 3]
    assert first_places(rows[:0]).tolist() == []


def test_of_copies_among_held_out_images_one_is_looked_at():
    reference = images(4)[torch.tensor([2, 0, 2, 1, 0, 3])]
    told = Observer(Pixels())(images(5, 1), reference, 0)
    assert torch.equal(told["reference_features"], reference[[0, 1, 3, 5]].flatten(1))
    assert torch.equal(told["features"], images(5, 1).flatten(1))
    assert torch.equal(told["reference"], reference.flatten(1))
    assert told.keys() == {"samples", "reference", "features", "reference_features"}


def test_held_out_batches_are_seen_once_and_others_anew():
    extractor = Pixels()
    observer, reference = Observer(extractor), images(6)
    for key in range(3):
        observer(images(5, key), reference, 0)
    assert extractor.shown == [5, 6, 5, 5]
    told = observer(images(5), images(4, 9), 0)  # another batch under that number
    assert torch.equal(told["reference_features"], images(4, 9).flatten(1))


def test_points_are_told_as_they_are():
    points = torch.randn(3, 2)
    told = Observer(None)(points, points + 1, 0)
    assert told.keys() == {"samples", "reference"}
    assert torch.equal(told["reference"], points + 1)


def test_copies_in_other_batches_and_processes_count_once(monkeypatch):
    monkeypatch.setattr("mixnash.data.base.CHUNK", 10)
    data = Repeated(period=17, validation_size=50, late=47)  # 20 different ones
    numbers = []
    for rank in range(2):
        data.trainer = SimpleNamespace(global_rank=rank, world_size=2)
        observer = Observer(Pixels(), lambda: first_of_validation(data))
        for index, batch in enumerate(data.val_dataloader()):
            told = observer(images(len(batch), index), batch, index)
            assert told["reference_features"].shape[1] == 4
            numbers += told["reference_features"][:, 0].tolist()
    assert torch.allclose(torch.tensor(numbers), torch.tensor([*range(17), 47, 48, 49]) / 1_000)


def test_two_processes_score_what_one_does():
    data = Digits(validation_size=600, seed=1)
    extractor, samples = RandomConvolutions(1), images(600, 3, (1, 8, 8))

    def metrics() -> MetricCollection:
        return training_metrics(data, extractor)

    alone, shared = metrics(), metrics()
    alone.update(**Observer(extractor)(samples, data.held_out(600), 0))
    for rank in range(2):
        data.trainer = SimpleNamespace(global_rank=rank, world_size=2)
        (batch,) = data.val_dataloader()
        observer = Observer(extractor, lambda: first_of_validation(data))
        # Sums and gathered rows over processes are those over updates, see the tests of the metrics.
        shared.update(**observer(samples.tensor_split(2)[rank], batch, 0))
    one, two = alone.compute(), shared.compute()
    assert one.keys() == two.keys() > {"fd_random_cnn", "coverage"}
    for name, score in one.items():
        assert float(two[name]) == pytest.approx(float(score), rel=1e-5)


@pytest.mark.parametrize("finished", [False, True])
def test_no_metric_of_images_shares_the_state_of_another(finished, monkeypatch):
    told = {
        "samples": images(20, 0).flatten(1),
        "reference": images(20, 1).flatten(1),
        "features": images(20, 2).flatten(1),
        "reference_features": images(20, 3).flatten(1),
        "logits": torch.randn(20, 3, 10, generator=torch.Generator().manual_seed(4)),
    }
    monkeypatch.setattr(StackedMNIST, "mode_probabilities", torch.full((1000,), 1e-3).double())  # without files
    data = StackedMNIST()
    metrics = feature_metrics(data, Pixels(), 20) if finished else training_metrics(data, Pixels())
    metrics.update(**told)
    assert all(len(group) == 1 for group in metrics.compute_groups.values())
    assert len(metrics.compute_groups) == 4


def test_enough_different_held_out_images_are_found_without_reading_all():
    data = Repeated(period=6, validation_size=10_000)
    check_held_out(data, 10_000)
    assert data.asked == [64]
    check_held_out(Repeated(period=5, validation_size=100, late=99), 100)  # the sixth is the last of all


@pytest.mark.parametrize(("period", "count", "sentence"), [(5, 300, "5 among 300"), (9, 4, "4 among 4")])
def test_too_few_different_held_out_images_are_refused(period, count, sentence):
    with pytest.raises(InvalidInputError, match=f"at least 6 different held-out images, found {sentence}: ask for"):
        check_held_out(Repeated(period, count), count)


def digits_gan():
    return MixedGAN((1, 8, 8), small_generator, small_critic, Hinge(), adam_dynamics(), 2, 1)


def test_training_with_too_few_held_out_images_is_refused_before_the_first_step(tmp_path):
    trainer = make_trainer(tmp_path, 1, evaluate_every=1)
    with pytest.raises(InvalidInputError, match="at least 6 different held-out images, found 5 among 5"):
        trainer.fit(digits_gan(), datamodule=Digits(batch_size=8, validation_size=5))
    assert trainer.global_step == 0


@pytest.mark.parametrize("stored", [False, True])
def test_training_logs_the_distance_of_the_extractor_at_hand(stored, tmp_path):
    if stored:
        store("digits_cnn")
    trainer = make_trainer(tmp_path, 2, evaluate_every=1)
    trainer.fit(digits_gan(), datamodule=Digits(batch_size=8, validation_size=40))
    name = "digits_cnn" if stored else "random_cnn"
    logged = {key for key in trainer.callback_metrics if key.startswith("val/")}
    scores = {"sliced_wasserstein2", "precision", "recall", "density", "coverage"}
    assert logged == {f"val/{one}" for one in (*scores, f"fd_{name}")}
    assert float(trainer.callback_metrics[f"val/fd_{name}"]) > 0
