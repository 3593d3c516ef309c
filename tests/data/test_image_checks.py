"""Missing, damaged and unfit images are one sentence, before training where the headers show it."""

import builtins
import importlib
import shutil
from pathlib import Path

import pytest
from PIL import Image
from torchvision import datasets

from image_files import in_small_sets, small_sets, write_classes, write_idx, write_image, write_pictures  # noqa: F401
from mixnash.core.errors import InvalidInputError
from mixnash.data import image_checks
from mixnash.data.celeba import CelebA
from mixnash.data.cifar10 import CIFAR10
from mixnash.data.class_folders import ClassFolders
from mixnash.data.fashion_mnist import FashionMNIST
from mixnash.data.image_folder import ImageFolder
from mixnash.data.lsun import LSUN
from mixnash.data.mnist import MNIST


def refused(data, sentence):
    with pytest.raises(InvalidInputError, match=sentence) as caught:
        data.setup("fit")
    assert len(str(caught.value).splitlines()) == 1


def pictures(folder, **options):
    return ImageFolder(str(folder), 8, **{"batch_size": 4, **options})


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (MNIST, "MNIST was looked for in .*MNIST/raw and not found: set download: true .* folder that contains MNIST"),
        (FashionMNIST, "FashionMNIST was looked for in .*FashionMNIST/raw and not found"),
        (CIFAR10, "CIFAR-10 was looked for in .*cifar-10-batches-py and not found: set download: true"),
        (CelebA, "CelebA was looked for in .*celeba and is missing there or incomplete .*: set download: true"),
        (LSUN, "LSUN was looked for in .*bedroom_train_lmdb and not found: download and unzip http.*bedroom_train"),
        (lambda: ImageFolder("nowhere", 8), "There is no folder .*nowhere: set root"),
        (lambda: ClassFolders("nowhere", 8), "There is no folder .*nowhere/train: set root"),
    ],
)
def test_a_missing_set_says_where_it_was_looked_for(make, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused(make(), sentence)


def test_an_empty_folder_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("no picture")
    refused(pictures(tmp_path), "holds no image: files that end in .png, .jpg, .jpeg, .webp, .bmp were looked for")


@pytest.mark.parametrize("kept", [0, 20, 150])
def test_a_truncated_file_is_named_before_training(kept, tmp_path):
    write_pictures(tmp_path, 9, [".png"])
    path = tmp_path / "summer" / "004.png"
    path.write_bytes(path.read_bytes()[:kept])
    refused(pictures(tmp_path), r"summer/004.png is not a whole image, .*: replace or remove it")


def test_a_text_file_with_the_ending_of_an_image_is_named(tmp_path):
    write_pictures(tmp_path, 9)
    (tmp_path / "story.jpg").write_text("once upon a time")
    refused(pictures(tmp_path), "story.jpg is not a whole image")


@pytest.mark.parametrize("num_workers", [0, 2])
def test_damage_behind_a_sound_header_is_one_sentence_when_it_is_found(num_workers, tmp_path):
    write_pictures(tmp_path, 9, [".jpg"])
    for path in tmp_path.rglob("*.jpg"):
        path.write_bytes(path.read_bytes()[:-300])
    data = pictures(tmp_path, num_workers=num_workers)
    data.setup("fit")
    with pytest.raises(InvalidInputError, match=r"^/.*\d.jpg is not a whole image, .*truncated") as caught:
        next(iter(data.train_dataloader()))
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_folder_that_vanishes_during_training_is_one_sentence(num_workers, tmp_path):
    write_pictures(tmp_path / "here", 9)
    data = pictures(tmp_path / "here", num_workers=num_workers)
    data.setup("fit")
    shutil.rmtree(tmp_path / "here")
    with pytest.raises(InvalidInputError, match=r"here/.* is not there \(any more\): put the file back"):
        next(iter(data.train_dataloader()))


def test_mixed_sizes_without_a_resize_are_refused(tmp_path):
    write_image(tmp_path / "a.png", 1, 8, 8)
    write_image(tmp_path / "b.png", 2, 8, 9)
    refused(pictures(tmp_path, resize=False, crop=False), "b.png is 8x9 pixels, but image_size is 8: set resize: true")


@pytest.mark.parametrize(("mode", "channels"), [("L", 3), ("RGBA", 3), ("RGB", 1)])
def test_another_colour_mode_is_refused_unless_converted(mode, channels, tmp_path):
    for i in range(8):
        write_image(tmp_path / f"{i}.png", i, 9, 9, "RGB" if channels == 3 else "L")
    write_image(tmp_path / "odd.png", 9, 9, 9, mode)
    refused(pictures(tmp_path, channels=channels), f"odd.png has the colour mode {mode}.* set convert: true")
    pictures(tmp_path, channels=channels, convert=True).setup("fit")


def test_sixteen_bits_are_never_converted(tmp_path):
    Image.new("I;16", (9, 9), 40_000).save(tmp_path / "deep.png")
    refused(pictures(tmp_path, channels=1, convert=True), "deep.png has the colour mode I;16, .* 8 bits per channel")


def test_fewer_images_than_one_batch_are_refused(tmp_path):
    write_pictures(tmp_path, 9)
    refused(pictures(tmp_path, batch_size=9), "has 8 training images, fewer than the 9 of one batch")
    write_idx(tmp_path, count=30)
    refused(MNIST(root=str(tmp_path), batch_size=31), "MNIST in .* has 30 training images, fewer than the 31")


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
@pytest.mark.parametrize("kept", [0, 5, 30, None])
def test_damaged_digits_are_one_sentence(name, kept, tmp_path):
    write_idx(tmp_path)
    path = tmp_path / "MNIST" / "raw" / name
    path.unlink() if kept is None else path.write_bytes(path.read_bytes()[:kept])
    refused(MNIST(root=str(tmp_path)), "files of MNIST in .* are incomplete or damaged .* delete the folder")


def test_labels_that_do_not_fit_the_images_are_refused(tmp_path):
    write_idx(tmp_path)
    write_idx(tmp_path / "more", count=281)
    name = "MNIST/raw/train-labels-idx1-ubyte"
    shutil.copy(tmp_path / "more" / name, tmp_path / name)
    refused(MNIST(root=str(tmp_path)), "training part of MNIST in .* is damaged: .* each of 280 images .* 281 labels")


@pytest.mark.usefixtures("in_small_sets")
def test_other_files_than_the_published_cifar10_are_refused(monkeypatch):
    monkeypatch.setattr(datasets.CIFAR10, "test_list", [["test_batch", "0" * 32]])
    refused(CIFAR10(), "files of CIFAR-10 in .* are incomplete or damaged .their MD5 sums were compared")


def test_a_test_picture_of_no_class_is_refused(tmp_path):
    write_classes(tmp_path, 6, 2)
    write_image(tmp_path / "test" / "dog" / "1.png", 1, 32, 32)
    refused(ClassFolders(str(tmp_path), 32, batch_size=4), "test/dog/1.png belongs to no class")


@pytest.mark.usefixtures("in_small_sets")
def test_lsun_without_its_package_says_how_to_install_it(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    refused(LSUN(), r"package lmdb, which is not installed: pip install 'mixnash\[lsun\]'")


def test_a_damaged_database_is_refused(tmp_path):
    (tmp_path / "bedroom_train_lmdb").mkdir()
    (tmp_path / "bedroom_train_lmdb" / "data.mdb").write_bytes(b"no database" * 1_000)
    refused(LSUN(root=str(tmp_path)), "LSUN database .* cannot be read .*: download it anew")


@pytest.mark.parametrize("make", [MNIST, CIFAR10, CelebA])
def test_a_download_that_fails_is_one_sentence(make, tmp_path, monkeypatch):
    def no_network(*_, **__):
        raise OSError("no route to host\nand more")

    for kind in (datasets.MNIST, datasets.CIFAR10, datasets.CelebA):
        monkeypatch.setattr(kind, "download", no_network)
    data = make(root=str(tmp_path), download=True)
    with pytest.raises(InvalidInputError, match=r"could not be downloaded to .* \(no route to host\): put .* by hand"):
        data.prepare_data()


def test_nothing_is_downloaded_unless_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.MNIST, "download", lambda *_: pytest.fail("must not be called"))
    refused(MNIST(root=str(tmp_path)), "not found")


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            lambda: MNIST(image_size=20),
            "MNIST is 28x28 pixels, but image_size is 20: set resize: true, or",
        ),
        (lambda: CIFAR10(image_size=64), "Every image of CIFAR-10 is 32x32 pixels, but image_size is 64"),
        (lambda: CelebA(image_size=200, resize=False), "CelebA is 178x218 pixels, too small for a crop of 200x200"),
        (lambda: LSUN(category="bathroom"), "no category 'bathroom': choose from bedroom, bridge"),
        (lambda: LSUN(held_out_fraction=1.0), "fraction must be above 0 and below 1, found 1.0"),
        (lambda: ImageFolder("x", 8, held_out_fraction=0.0), "fraction must be above 0 and below 1, found 0.0"),
        (lambda: ImageFolder("x", 0), "image size must be at least 1 pixel, found 0"),
        (lambda: ImageFolder("x", 8, channels=2), "1 channel .grey. or 3 .colour., found channels=2"),
        (lambda: ImageFolder("x", 8, num_workers=-1), "number of loader workers must be at least 0, found -1"),
    ],
)
def test_impossible_arguments_are_refused_before_any_file_is_read(make, sentence, monkeypatch):
    monkeypatch.setattr(builtins, "open", lambda *_, **__: pytest.fail("must not be called"))
    with pytest.raises(InvalidInputError, match=sentence):
        make()


@pytest.mark.parametrize(("many", "shown"), [(8, True), (9, False)])
def test_progress_is_shown_for_many_files_only(many, shown, tmp_path, monkeypatch):
    hidden = []

    def track(paths, description, *, transient, disable):
        hidden.append(disable)
        return paths

    monkeypatch.setattr(image_checks, "MANY", many)
    monkeypatch.setattr(image_checks, "track", track)
    write_pictures(tmp_path, 9)
    pictures(tmp_path).setup("fit")
    assert hidden == [not shown]


def test_a_home_folder_is_understood(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write_pictures(tmp_path / "album", 9)
    pictures("~/album").setup("fit")
    assert pictures("~/album").root == Path(tmp_path) / "album"
