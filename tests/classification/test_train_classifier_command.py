"""`mixnash train-classifier`: from images to a file that metrics accept."""

import subprocess
import sys

import pytest
import torch
from PIL import Image

from mixnash.classification import recipes
from mixnash.classification.cli import DATA, main
from mixnash.classification.dataset import ShuffledBatches, content_hash, shifted
from mixnash.classification.recipes import RECIPES, check_images
from mixnash.classification.train import Settings, accuracy, train
from mixnash.core.errors import InvalidInputError, NonFiniteError
from mixnash.data.digits import Digits
from mixnash.data.labelled_images import LabelledImages, Split
from mixnash.metrics.features.classifier import load_classifier
from mixnash.metrics.features.classifier_file import default_path, read_classifier
from mixnash.metrics.features.classifier_network import CLASSIFIERS, Architecture
from problems import make_rng


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("MIXNASH_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def refused(words, capsys):
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    return capsys.readouterr().err


def coloured(count=9, key=0):
    """Images whose class is the brighter of two channels."""
    labels = torch.arange(count) % 2
    images = torch.rand(count, 2, 4, 6, generator=make_rng(count, key)) - 0.5
    images[torch.arange(count), labels] += 0.5
    return LabelledImages(images, labels)


SMALL = Architecture((2, 4, 6), 2, (4,), 8)

# ---------------------------------------------------------------------- the command


def test_digits_are_learnt_stored_and_accepted_and_nothing_else_is_touched(home, capsys):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    main(["--data", "digits", "--epochs", "20", "--seed", "3", "--device", "cpu"])
    assert torch.equal(torch.get_rng_state(), before)
    path = default_path("digits_cnn")
    assert [one for one in home.rglob("*") if one.is_file()] == [path]
    printed = capsys.readouterr().out
    assert f"classifier: {path}" in printed
    trained = read_classifier("digits_cnn")
    assert f"accuracy: {trained.accuracy:.2%} of 180 held-out images" in printed
    assert trained.accuracy >= 0.95
    assert (trained.held_out, trained.seed, trained.epochs) == (180, 3, 20)
    assert set(trained.versions) == {"mixnash", "torch", "pytorch_lightning"}
    assert trained.data_hash == content_hash(Digits().labelled(Split.TRAINING))
    images, labels = Digits().labelled(Split.HELD_OUT)
    logits = load_classifier("digits_cnn")(images).logits
    assert logits is not None
    assert float((logits.argmax(1) == labels).double().mean()) == trained.accuracy
    said = refused(["--data", "digits"], capsys)
    assert f"error: '{path}' exists already and is left untouched. Choose another --output, or replace it" in said


def test_a_poor_classifier_is_not_stored(home, capsys):
    said = refused(["--data", "digits", "--epochs", "1"], capsys)
    assert "error: The classifier digits_cnn names" in said
    assert "of 180 held-out images right, metrics need at least 95%" in said
    assert not [one for one in home.rglob("*") if one.is_file()]


def test_overwriting_replaces_the_file_only_by_a_good_classifier(tmp_path, capsys):
    output = tmp_path / "x.pt"
    output.write_bytes(b"old")
    refused(["--data", "digits", "--epochs", "1", "--output", str(output), "--overwrite"], capsys)
    assert output.read_bytes() == b"old"
    main(["--data", "digits", "--epochs", "15", "--output", str(output), "--overwrite"])
    assert load_classifier("digits_cnn", output).name == "digits_cnn"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--data", "digits", "--epochs", "0"], "--epochs must be at least 1, found 0."),
        (["--data", "digits", "--root", "x"], "The digits come with scikit-learn: leave out --root and --download."),
        (["--data", "digits", "--download"], "The digits come with scikit-learn: leave out --root and --download."),
        (["--data", "digits", "--device", "abacus"], "There is no device 'abacus' on this machine"),
        (["--data", "mnist", "--root", "/nowhere"], "MNIST was looked for in /nowhere"),
        (["--data", "fashion_mnist", "--root", "/nowhere"], "FashionMNIST was looked for in /nowhere"),
        (["--data", "cifar10", "--root", "/nowhere"], "CIFAR-10 was looked for in /nowhere"),
        (["--data", "letters"], "invalid choice: 'letters'"),
        ([], "the following arguments are required: --data"),
    ],
)
def test_bad_input_is_one_sentence(words, sentence, capsys):
    assert sentence in refused(words, capsys)


def test_an_output_that_cannot_be_written_is_said_before_training(tmp_path, capsys):
    (tmp_path / "file").write_bytes(b"")
    said = refused(["--data", "digits", "--output", str(tmp_path / "file" / "x.pt")], capsys)
    assert "cannot be written" in said


def test_images_of_another_shape_are_refused(monkeypatch, capsys):
    part = coloured()
    other = RECIPES["digits"]._replace(images=lambda place: recipes.TrainingImages(part, part, 2))
    monkeypatch.setattr(recipes, "RECIPES", {"digits": other})
    said = refused(["--data", "digits"], capsys)
    assert "digits_cnn takes images of shape (1, 8, 8) of 10 classes, found (2, 4, 6) of 2." in said


def test_help_does_not_wait_for_torch():
    program = (
        "import sys\nfrom mixnash.commands import main\n"
        "try:\n    main(['train-classifier', '--help'])\nexcept SystemExit:\n    sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=False).returncode == 0


def test_words_recipes_and_classifiers_belong_together():
    assert tuple(RECIPES) == DATA
    assert {word: CLASSIFIERS[recipe.name].data for word, recipe in RECIPES.items()} == {word: word for word in DATA}
    assert {recipe.name for recipe in RECIPES.values()} == set(CLASSIFIERS)


# ---------------------------------------------------------------------- its parts


def test_training_is_a_function_of_its_arguments():
    made = []
    for seed in (1, 1, 2):
        torch.manual_seed(len(made))  # does not matter
        made.append(train(SMALL, coloured(40), Settings(2, seed, 1, True, batch_size=16), torch.device("cpu")))
    first, second, other = (torch.cat([leaf.flatten() for leaf in one.parameters()]) for one in made)
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert not made[0].training


def test_accuracy_is_the_share_of_right_answers():
    network = train(SMALL, coloured(64), Settings(8, 0, 0, False, batch_size=8, step_size=1e-2), torch.device("cpu"))
    images, labels = coloured(20, key=1)
    assert accuracy(network, LabelledImages(images, labels)) == 1.0
    wrong = torch.where(torch.arange(20) < 7, 1 - labels, labels)
    assert accuracy(network, LabelledImages(images, wrong)) == 0.65


def test_a_training_that_diverges_is_said():
    with pytest.raises(NonFiniteError, match=r"The training of the classifier diverged: its weights are not finite"):
        train(SMALL, coloured(), Settings(3, 0, 0, False, batch_size=3, step_size=float("inf")), torch.device("cpu"))


def test_a_pass_sees_every_image_once_in_an_order_of_its_own():
    part = LabelledImages(torch.zeros(7, 1, 2, 2), torch.arange(7))
    batches = ShuffledBatches(part, 3, seed=1, shift=0, mirror=False)
    passes = [torch.cat([labels for _, labels in batches]) for _ in range(2)]
    assert len(batches) == 3
    assert all(torch.equal(one.sort().values, torch.arange(7)) for one in passes)
    assert not torch.equal(passes[0], passes[1])
    again = ShuffledBatches(part, 3, seed=1, shift=0, mirror=False)
    assert torch.equal(torch.cat([labels for _, labels in again]), passes[0])


def test_shifts_move_each_image_and_repeat_its_border():
    image = torch.arange(6.0).reshape(1, 1, 2, 3)
    offsets = torch.tensor([[0, 0], [1, 0], [0, -1], [-1, 2]])
    expected = [
        [[0, 1, 2], [3, 4, 5]],
        [[0, 1, 2], [0, 1, 2]],
        [[1, 2, 2], [4, 5, 5]],
        [[3, 3, 3], [3, 3, 3]],
    ]
    found = shifted(image.expand(4, 1, 2, 3), offsets, 2)
    assert found.squeeze(1).tolist() == expected


def test_about_half_of_the_images_are_mirrored():
    images = torch.tensor([-1.0, 1.0]).expand(400, 1, 1, 2).contiguous()
    part = LabelledImages(images, torch.zeros(400, dtype=torch.int64))
    ((seen, _),) = ShuffledBatches(part, 400, seed=0, shift=0, mirror=True)
    assert {tuple(one) for one in seen.flatten(1).tolist()} == {(-1.0, 1.0), (1.0, -1.0)}
    assert 160 < int((seen[:, 0, 0, 0] > 0).sum()) < 240


def test_the_content_hash_sees_images_labels_and_shapes():
    images, labels = coloured()
    hashes = {
        content_hash(one)
        for one in (
            LabelledImages(images, labels),
            LabelledImages(images + 1, labels),
            LabelledImages(images, labels + 1),
            LabelledImages(images.reshape(9, 2, 6, 4), labels),
        )
    }
    assert len(hashes) == 4
    assert content_hash(coloured()) == content_hash(LabelledImages(images, labels))


# ---------------------------------------------------------------------- folders of classes


def test_cifar10_may_lie_in_folders_of_classes(tmp_path):
    for part, shades in {"train": range(70), "test": range(3)}.items():
        for name in "abcdefghij":
            (tmp_path / part / name).mkdir(parents=True)
            for shade in shades:
                Image.new("RGB", (32, 32), (shade, 0, 255)).save(tmp_path / part / name / f"{shade:03}.png")
    found = RECIPES["cifar10"].images(recipes.Place(str(tmp_path), False))
    assert (found.training.images.shape, found.classes) == ((700, 3, 32, 32), 10)
    assert found.held_out.labels.tolist() == sorted([*range(10)] * 3)


def test_too_few_classes_are_refused(tmp_path):
    for part in ("train", "test"):
        (tmp_path / part / "a").mkdir(parents=True)
        for shade in range(64):
            Image.new("RGB", (32, 32), (shade, 0, 255)).save(tmp_path / part / "a" / f"{shade}.png")
    with pytest.raises(InvalidInputError, match=r"of 10 classes, found .* of 1\."):
        check_images("cifar10_cnn", RECIPES["cifar10"].images(recipes.Place(str(tmp_path), False)))
