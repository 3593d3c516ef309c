"""Every set of images is read as torchvision reads it, from the official parts, in [-1, 1]."""

import shutil
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from torchvision import datasets
from torchvision.transforms.v2.functional import center_crop, pil_to_tensor, resize

import image_files
from image_files import in_small_sets, small_sets  # noqa: F401 (fixtures)
from mixnash.core.errors import InvalidInputError
from mixnash.data.celeba import CelebA
from mixnash.data.cifar10 import CIFAR10
from mixnash.data.class_folders import ClassFolders
from mixnash.data.fashion_mnist import FashionMNIST
from mixnash.data.file_sets import split_by_name
from mixnash.data.image_folder import ImageFolder
from mixnash.data.labelled_images import Split
from mixnash.data.lsun import LSUN
from mixnash.data.mnist import MNIST
from mixnash.data.transforms import Framing, to_unit

pytestmark = pytest.mark.usefixtures("in_small_sets")

LABELLED = {
    "mnist": (MNIST, datasets.MNIST),
    "fashion mnist": (FashionMNIST, datasets.FashionMNIST),
    "cifar10": (CIFAR10, datasets.CIFAR10),
}


def by_torchvision(data):
    """All images of one of its sets in [-1, 1]."""
    return torch.stack([pil_to_tensor(image) for image, _ in data]).float() / 127.5 - 1


def counted(images):
    return Counter(image.numpy().tobytes() for image in images)


def framed(image, size):
    """One decoded image, resized and cropped by torchvision."""
    return center_crop(resize(pil_to_tensor(image), [size], antialias=True), [size]).float() / 127.5 - 1


@pytest.mark.parametrize(("ours", "theirs"), LABELLED.values(), ids=LABELLED.keys())
def test_labelled_parts_equal_torchvisions_own_reading(ours, theirs):
    data = ours()
    assert data.num_classes == 10
    for split, train in ((Split.TRAINING, True), (Split.HELD_OUT, False)):
        part, expected = data.labelled(split), theirs("data", train=train)
        assert torch.equal(part.images, by_torchvision(expected))
        assert part.labels.tolist() == [label for _, label in expected]
        assert part.images.shape[1:] == data.event_shape


@pytest.mark.parametrize(("ours", "theirs"), LABELLED.values(), ids=LABELLED.keys())
def test_an_epoch_is_the_training_part_and_the_test_part_is_held_out(ours, theirs):
    data = ours(seed=3)
    epoch = torch.cat([data.training_draws(step, 56) for step in range(5)])
    assert counted(epoch) == counted(by_torchvision(theirs("data", train=True)))
    assert not torch.equal(epoch, by_torchvision(theirs("data", train=True)))
    assert counted(data.held_out(40)) == counted(by_torchvision(theirs("data", train=False)))
    assert set(counted(data.held_out(500))) == set(counted(by_torchvision(theirs("data", train=False))))


def test_pixels_are_mapped_to_the_range_from_minus_one_to_one():
    values = to_unit(torch.tensor([0, 51, 255], dtype=torch.uint8))
    torch.testing.assert_close(values, torch.tensor([-1.0, -0.6, 1.0]), rtol=0, atol=1e-7)


def test_larger_digits_have_a_border_of_zeros():
    small, large = MNIST(), MNIST(image_size=32)
    assert large.event_shape == (1, 32, 32)
    images = large.held_out(10)
    assert torch.equal(images[:, :, 2:30, 2:30], small.held_out(10))
    images[:, :, 2:30, 2:30] = -1
    assert torch.equal(images, torch.full((10, 1, 32, 32), -1.0))


def test_digits_are_resized_when_asked_to():
    images = MNIST(image_size=14, resize=True).labelled(Split.HELD_OUT).images
    whole = pil_to_tensor(datasets.MNIST("data", train=False)[5][0])
    assert torch.equal(images[5], to_unit(resize(whole, [14], antialias=True)))


def test_faces_come_from_the_official_parts_in_their_order_of_pixels():
    data = CelebA(image_size=16, batch_size=35)
    parts = {
        split: [framed(image, 16) for image, _ in datasets.CelebA("data", split=split)] for split in ("train", "valid")
    }
    assert counted(torch.cat([data.training_batch(step)[0] for step in range(2)])) == counted(parts["train"])
    assert counted(data.held_out(20)) == counted(parts["valid"])


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # torchvision leaves a file open
def test_bedrooms_are_those_of_the_database_with_a_fraction_held_out(monkeypatch, tmp_path):
    data = LSUN(image_size=16, held_out_fraction=0.1, batch_size=36)
    epoch = torch.cat([data.training_draws(step, 36) for step in range(2)])
    held_out = data.held_out(8)
    shutil.copytree("data/lsun", tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)  # where torchvision leaves a file of keys
    expected = [framed(image, 16) for image, _ in datasets.LSUN(str(tmp_path), classes=["bedroom_train"])]
    assert counted([*epoch, *held_out]) == counted(expected)


def test_pictures_are_all_image_files_of_all_folders():
    data = ImageFolder("data/pictures", 16, batch_size=36)
    files = [path for path in Path("data/pictures").rglob("*") if path.is_file()]
    expected = [framed(Image.open(path), 16) for path in files]
    assert len(files) == 80
    epoch = torch.cat([data.training_draws(step, 36) for step in range(2)])
    assert counted([*epoch, *data.held_out(8)]) == counted(expected)


def test_which_pictures_are_held_out_depends_on_the_split_seed_alone():
    def held_out(**seeds):
        return set(counted(ImageFolder("data/pictures", 8, held_out_fraction=0.2, **seeds).held_out(16)))

    assert len(held_out()) == 16
    assert held_out(seed=1) == held_out(seed=2)
    assert held_out(split_seed=1) != held_out(split_seed=2)


def test_hidden_files_and_other_endings_are_not_pictures(tmp_path):
    image_files.write_pictures(tmp_path, 10)
    image_files.write_image(tmp_path / "._000.png", 1, 9, 9)
    image_files.write_image(tmp_path / ".thumbnails" / "000.png", 1, 9, 9)
    (tmp_path / "notes.txt").write_text("no picture")
    data = ImageFolder(str(tmp_path), 8, batch_size=9)
    assert (len(data.splits.training), len(data.splits.held_out)) == (9, 1)


def test_a_picture_taken_sideways_is_turned_upright(tmp_path):
    lying = Image.new("RGB", (20, 20))
    lying.paste((255, 0, 0), (0, 0, 20, 10))  # red above
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to show
    for i in range(2):
        lying.save(tmp_path / f"{i}.png", exif=exif)
    image = ImageFolder(str(tmp_path), 20, batch_size=1).held_out(1)[0]
    assert torch.equal(image[0, :, 10:], torch.ones(20, 10))  # red to the right
    assert torch.equal(image[0, :, :10], -torch.ones(20, 10))


def test_grey_and_transparent_pictures_are_converted_when_asked_to(tmp_path):
    for i, mode in enumerate(["L", "RGBA", "P", "LA", "1"]):
        image_files.write_image(tmp_path / f"{i}.png", i, 12, 12, mode)
    colour = ImageFolder(str(tmp_path), 12, convert=True, batch_size=4)
    assert colour.training_batch(0).shape == (1, 4, 3, 12, 12)
    grey = ImageFolder(str(tmp_path), 12, channels=1, convert=True, batch_size=4)
    assert grey.event_shape == (1, 12, 12)
    assert grey.training_batch(0).shape == (1, 4, 1, 12, 12)


def test_classes_are_the_folders_of_the_training_part():
    data = ClassFolders("data/classes", 32)
    held_out = data.labelled(Split.HELD_OUT)
    folder = Path("data/classes/test")
    paths = [*sorted((folder / "cat").iterdir()), *sorted((folder / "ship").iterdir())]
    expected = torch.stack([pil_to_tensor(Image.open(path)) for path in paths])
    assert torch.equal(held_out.images, to_unit(expected))
    assert held_out.labels.tolist() == [0] * 10 + [1] * 10
    assert data.num_classes == 2


FLIPPED = {
    "cifar10": lambda flip: CIFAR10(flip=flip, batch_size=64),
    "pictures": lambda flip: ImageFolder("data/pictures", 8, flip=flip, batch_size=64),
}


@pytest.mark.parametrize("make", FLIPPED.values(), ids=FLIPPED.keys())
def test_about_half_of_the_training_images_are_mirrored_and_no_held_out_one(make):
    plain, flipped = make(False), make(True)
    mirrored = 0
    for step in range(3):
        for one, other in zip(plain.training_batch(step)[0], flipped.training_batch(step)[0], strict=True):
            assert torch.equal(one, other) or torch.equal(one, other.flip(-1))
            mirrored += int(not torch.equal(one, other))
    assert 70 < mirrored < 122  # 192 throws: mean 96, standard deviation 6.9
    assert torch.equal(plain.held_out(8), flipped.held_out(8))


@pytest.mark.parametrize("make", FLIPPED.values(), ids=FLIPPED.keys())
def test_shares_of_processes_make_up_the_flipped_batch_of_one(make):
    shares = []
    for rank in range(2):
        data = make(True)
        data.prepare_data()
        data.trainer = SimpleNamespace(
            global_rank=rank, world_size=2, accumulate_grad_batches=1, global_step=4, fit_loop=None
        )
        data.draws_per_step = 3
        shares.append(next(iter(data.train_dataloader())))
    whole = make(True)
    whole.draws_per_step = 3
    assert torch.equal(torch.cat(shares, dim=1), whole.training_batch(4))
    assert torch.equal(whole.training_batch(4).flatten(0, 1), whole.training_draws(4, 192))


@pytest.mark.parametrize(
    ("resized", "crop", "width", "height"), [(True, True, 20, 30), (False, True, 9, 8), (True, False, 5, 5)]
)
def test_a_framing_gives_its_size(resized, crop, width, height):
    framing = Framing(8, resized, crop)
    framing.check(width, height, "x")
    assert framing(torch.zeros(3, height, width, dtype=torch.uint8)).shape == (3, 8, 8)


@pytest.mark.parametrize(
    ("resized", "crop", "width", "height", "sentence"),
    [
        (True, False, 20, 30, "x is 20x30 pixels, which no resize alone makes 8x8: set crop: true"),
        (False, True, 7, 30, "x is 7x30 pixels, too small for a crop of 8x8: set resize: true"),
        (False, False, 8, 9, "x is 8x9 pixels, but image_size is 8: set resize: true and crop: true"),
    ],
)
def test_a_framing_refuses_what_cannot_have_its_size(resized, crop, width, height, sentence):
    with pytest.raises(InvalidInputError, match=sentence):
        Framing(8, resized, crop).check(width, height, "x")


def test_one_file_more_moves_at_most_one_image_between_the_parts():
    names = [f"{index}.png" for index in range(200)]
    _, before = split_by_name(names, 0.1, 5)
    _, after = split_by_name([*names[:70], "new.png", *names[70:]], 0.1, 5)
    kept = {[*names[:70], "new.png", *names[70:]][place] for place in after.tolist()}
    assert len(before) == len(after) == 20
    assert len({names[place] for place in before.tolist()} - kept) <= 1
