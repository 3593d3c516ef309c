"""Small image sets in the layouts of the published ones, written where a test wants them."""

import hashlib
import pickle
from pathlib import Path

import lmdb
import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import datasets

COUNT, TEST_COUNT = 280, 40
"""Images of the two parts of sets in few files: enough for one batch of any configuration."""

FACES, VALIDATION_FACES = 70, 20
"""The same of the small CelebA."""


@pytest.fixture(scope="session")
def small_sets(tmp_path_factory):
    """A folder in which all configurations of configs/data find their files, below data/."""
    root = tmp_path_factory.mktemp("small_sets")
    with pytest.MonkeyPatch.context() as patch:
        write_idx(root / "data")
        write_idx(root / "data", "FashionMNIST")
        write_cifar10(root / "data", patch)
        write_celeba(root / "data", patch)
        write_lsun(root / "data" / "lsun")
        write_pictures(root / "data" / "pictures")
        write_classes(root / "data" / "classes")
        yield root


@pytest.fixture
def in_small_sets(small_sets, monkeypatch):
    """That folder as the working directory."""
    monkeypatch.chdir(small_sets)
    return small_sets


def pixels(seed, *shape):
    """Random bytes."""
    return torch.randint(256, shape, generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def write_idx(root, name="MNIST", count=COUNT, test_count=TEST_COUNT):
    """A set in the files of MNIST; labels repeat 0, 1, ..., 9 but for more zeros in the training part."""
    folder = Path(root) / name / "raw"
    folder.mkdir(parents=True)
    for part, size in (("train", count), ("t10k", test_count)):
        images = pixels(size, size, 28, 28).numpy()
        labels = (np.arange(size) % 10).astype(np.uint8)
        if part == "train":
            labels[: size // 7] = 0
        head = np.array([2051, size, 28, 28], dtype=">i4").tobytes()
        (folder / f"{part}-images-idx3-ubyte").write_bytes(head + images.tobytes())
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(
            np.array([2049, size], dtype=">i4").tobytes() + labels.tobytes()
        )


def write_cifar10(root, monkeypatch):
    """CIFAR-10 of 280 training and 40 test images, whose MD5 sums torchvision is made to expect."""
    folder = Path(root) / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    sums = {}
    for name, size in {**{f"data_batch_{i}": COUNT // 5 for i in range(1, 6)}, "test_batch": TEST_COUNT}.items():
        data = pixels(len(sums), size, 3072).numpy()
        sums[name] = _written(folder / name, {"data": data, "labels": [i % 10 for i in range(size)]})
    meta = _written(folder / "batches.meta", {"label_names": list("abcdefghij")})
    kind = datasets.CIFAR10
    monkeypatch.setattr(kind, "train_list", [[name, md5] for name, md5 in sums.items() if name != "test_batch"])
    monkeypatch.setattr(kind, "test_list", [["test_batch", sums["test_batch"]]])
    monkeypatch.setattr(kind, "meta", {"filename": "batches.meta", "key": "label_names", "md5": meta})


def write_celeba(root, monkeypatch):
    """CelebA of 70 training, 20 validation and 3 test faces, whose MD5 sums torchvision is made to expect."""
    folder = Path(root) / "celeba"
    (folder / "img_align_celeba").mkdir(parents=True)
    names = [f"{i:06d}.jpg" for i in range(FACES + VALIDATION_FACES + 3)]
    for i, name in enumerate(names):
        write_image(folder / "img_align_celeba" / name, i, 178, 218)
    parts = [(i >= FACES) + (i >= FACES + VALIDATION_FACES) for i in range(len(names))]
    lists = {
        "list_eval_partition.txt": "".join(f"{n} {p}\n" for n, p in zip(names, parts, strict=True)),
        "identity_CelebA.txt": "".join(f"{n} 1\n" for n in names),
        "list_bbox_celeba.txt": "2\nimage_id x\n" + "".join(f"{n} 1\n" for n in names),
        "list_landmarks_align_celeba.txt": "2\nx\n" + "".join(f"{n} 1\n" for n in names),
        "list_attr_celeba.txt": "2\nSmiling\n" + "".join(f"{n} -1\n" for n in names),
    }
    for name, text in lists.items():
        (folder / name).write_text(text)
    sums = {name: hashlib.md5((folder / name).read_bytes()).hexdigest() for name in lists}
    monkeypatch.setattr(datasets.CelebA, "file_list", [("", md5, name) for name, md5 in sums.items()])


def write_lsun(root, category="bedroom"):
    """An LSUN database of 80 photographs of different sizes."""
    folder = Path(root) / f"{category}_train_lmdb"
    folder.mkdir(parents=True)
    with lmdb.open(str(folder), map_size=1 << 26) as database, database.begin(write=True) as transaction:
        for i in range(80):
            path = folder / "one.jpg"
            write_image(path, i, 70 + i, 90)
            transaction.put(hashlib.sha1(bytes([i])).hexdigest().encode(), path.read_bytes())
            path.unlink()


def write_pictures(root, count=80, endings=(".png", ".jpg", ".JPEG", ".webp", ".bmp")):
    """Colour pictures of different sizes, in a folder and in folders below it."""
    for i in range(count):
        path = Path(root) / ["", "summer", "summer/sea"][i % 3] / f"{i:03d}{endings[i % len(endings)]}"
        write_image(path, i, 66 + i, 80)


def write_classes(root, train=70, test=20):
    """Pictures of 32x32 of two classes."""
    for part, first, count in (("train", 0, train), ("test", train, test)):
        for i in range(count):
            write_image(Path(root) / part / ["cat", "ship"][i % 2] / f"{i:03d}.png", first + i, 32, 32)


def write_image(path, seed, width, height, mode="RGB"):
    """A smooth random picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = pixels(seed, 5, 4, 3).numpy()
    Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC).convert(mode).save(path)


def _written(path, entry):
    path.write_bytes(pickle.dumps(entry))
    return hashlib.md5(path.read_bytes()).hexdigest()
