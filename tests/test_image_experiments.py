"""Pictures of the user's own, from the commands' words to their files; and what is wrong with them, in one sentence."""

import errno
import json
from pathlib import Path
from urllib.error import URLError

import pytest
import torch

from image_files import write_image, write_pictures
from mixnash.cli import main as train
from mixnash.evaluation.cli import main as evaluate
from mixnash.metrics.features.classifier_file import TrainedClassifier, default_path, store_classifier
from mixnash.metrics.features.classifier_network import CLASSIFIERS, SmallClassifier
from training import REPOSITORY

EXPERIMENTS = REPOSITORY / "configs" / "experiment"
SMALL = (
    "--trainer.accelerator=cpu",
    "--trainer.max_steps=4",
    "--trainer.val_check_interval=2",
    "--data.init_args.batch_size=8",
    "--data.init_args.validation_size=30",
    "--model.init_args.generator.init_args.width=4",
    "--model.init_args.critic.init_args.width=4",
)
PICTURES = (
    *SMALL,
    "--data.init_args.image_size=16",
    "--data.init_args.num_workers=0",
    "--data.init_args.held_out_fraction=0.2",
    "--model.init_args.generator_samples=2",
    "--model.init_args.critic_samples=2",
)


def words(pictures, runs, *more):
    """What a user types to train on a folder of pictures, and what makes it short."""
    config = EXPERIMENTS / "imagefolder_mixed.yaml"
    return [
        "fit",
        f"--config={config}",
        f"--data.init_args.root={pictures}",
        f"--runs_dir={runs}",
        *PICTURES,
        *more,
    ]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of four steps on 60 pictures, 12 of them held out."""
    root = tmp_path_factory.mktemp("pictures")
    write_pictures(root / "mine", 60)
    train(words(root / "mine", root / "runs"))
    return root / "runs" / "imagefolder_mixed" / "version_0"


def sentence(capsys, command, typed):
    """The only line on stderr of a command that ends in exit code 2."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        command(typed)
    said = capsys.readouterr().err
    assert stopped.value.code == 2
    lines = [line for line in said.splitlines() if line.strip()]
    assert len(lines) == 1, said
    assert lines[0].startswith("error: ")
    return lines[0]


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


# ---------------------------------------------------------------------- from pictures to a report


def test_a_folder_of_pictures_is_trained_on_and_watched(run):
    logged = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    evaluations = [line for line in logged if "val/fd_random_cnn" in line]
    assert [line["step"] for line in evaluations] == [2, 4]
    assert all(0 <= line["val/coverage"] <= 1 for line in evaluations)
    assert (run / "checkpoints" / "last.ckpt").is_file()


def test_its_evaluation_writes_numbers_pictures_and_a_page(run, tmp_path, capsys):
    evaluate(["--run", str(run), "--num_samples", "40", "--output", str(tmp_path / "there"), "--device", "cpu"])
    numbers = json.loads((tmp_path / "there" / "metrics.json").read_text())
    assert numbers["fd_random_cnn"] > numbers["perfect_fd_random_cnn"] > 0
    assert 0 <= numbers["coverage_random_cnn"] <= 1
    assert numbers["reference_images"] == 12
    assert {f"particle_{k}_fd_random_cnn" for k in range(4)} <= numbers.keys()
    assert "fid is left out: the weights of Inception are not on this machine" in numbers["left_out"]
    assert "it needs 99 different held-out images, found 12" in numbers["left_out"]
    assert "fid" not in numbers
    assert "note: fid is left out" in capsys.readouterr().out
    pictures = [name for name in files(tmp_path / "there") if name.endswith(".png")]
    assert pictures
    page = (tmp_path / "there" / "report.html").read_text()
    assert "random_cnn" in page
    assert page.count("data:image/png") >= 1


# ---------------------------------------------------------------------- pictures that cannot be trained on


def corrupt(folder):
    (folder / "summer" / "001.png").write_bytes(b"this is no picture at all")


def truncated(folder):
    path = folder / "summer" / "001.png"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(folder):
    for path in folder.rglob("*.png"):
        path.unlink()


def grey(folder):
    write_image(folder / "grey.png", 1, 66, 80, mode="L")


def few(folder):
    for path in sorted(folder.rglob("*.png"))[10:]:
        path.unlink()


def very_few(folder):
    for path in sorted(folder.rglob("*.png"))[5:]:
        path.unlink()


def fine(folder):
    del folder


UNFRAMED = ("--data.init_args.resize=false", "--data.init_args.crop=false")


@pytest.mark.parametrize(
    ("damage", "more", "said"),
    [
        (corrupt, (), "001.png is not a whole image, it is corrupt, truncated or of another format"),
        (truncated, (), "001.png is not a whole image, it is corrupt, truncated or of another format"),
        (empty, (), "holds no image: files that end in .png"),
        (fine, UNFRAMED, "000.png"),
        (grey, (), "grey.png has the colour mode L (grey), but the set has RGB: set convert: true"),
        (few, (), "different held-out images"),
        (very_few, (), "batch"),
        (fine, ("--data.init_args.image_size=17",), "17"),
        (fine, ("--data.init_args.channels=1",), "has the colour mode RGB, but the set has L"),
    ],
    ids=["corrupt", "truncated", "empty", "mixed sizes", "grey", "few held out", "less than a batch", "size", "colour"],
)
def test_pictures_that_are_not_right_are_one_sentence_and_leave_no_run(damage, more, said, tmp_path, capsys):
    write_pictures(tmp_path / "mine", 30, [".png"])
    damage(tmp_path / "mine")
    before = files(tmp_path)
    assert said in sentence(capsys, train, words(tmp_path / "mine", tmp_path / "runs", *more))
    assert files(tmp_path) == before
    assert not list((tmp_path / "runs").glob("*/*"))


def test_a_photograph_that_ends_early_is_named_when_it_is_reached(tmp_path, capsys):
    write_pictures(tmp_path / "mine", 30, [".jpg"])
    path = tmp_path / "mine" / "003.jpg"
    path.write_bytes(path.read_bytes()[:-200])
    typed = words(tmp_path / "mine", tmp_path / "runs", "--data.init_args.batch_size=24")
    assert "003.jpg is not a whole image" in sentence(capsys, train, typed)


# ---------------------------------------------------------------------- extractors that cannot be relied on


def stored(accuracy):
    """The classifier of digits on disk, with random weights, whatever accuracy it is said to have."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = dict(SmallClassifier(CLASSIFIERS["digits_cnn"].architecture).state_dict())
    path = default_path("digits_cnn")
    store_classifier(TrainedClassifier("digits_cnn", state, 0.99, 180, "0" * 64, 0, 1, {"torch": "2"}), path)
    torch.save(torch.load(path, weights_only=True) | {"accuracy": accuracy}, path)
    return path


def test_a_classifier_that_errs_too_often_is_refused_before_training(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MIXNASH_HOME", str(tmp_path / "home"))
    stored(0.9)
    typed = ["fit", f"--config={EXPERIMENTS / 'digits_wgan.yaml'}", f"--runs_dir={tmp_path / 'runs'}", *SMALL]
    assert "digits_cnn names 90.00% of 180 held-out images right" in sentence(capsys, train, typed)
    assert not list((tmp_path / "runs").glob("*/*"))


def test_a_damaged_classifier_is_refused_before_training(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MIXNASH_HOME", str(tmp_path / "home"))
    path = stored(0.99)
    path.write_bytes(path.read_bytes()[:1000])
    typed = ["fit", f"--config={EXPERIMENTS / 'digits_wgan.yaml'}", f"--runs_dir={tmp_path / 'runs'}", *SMALL]
    assert "cannot be read as a classifier" in sentence(capsys, train, typed)
    assert not list((tmp_path / "runs").glob("*/*"))


def scored(run, output, *more):
    return ["--run", str(run), "--num_samples", "40", "--output", str(output), "--device", "cpu", *more]


def test_weights_of_inception_with_another_hash_are_refused(run, tmp_path, monkeypatch, capsys):
    (tmp_path / "weights.pth").write_bytes(b"not the weights")
    monkeypatch.setenv("MIXNASH_INCEPTION", str(tmp_path / "weights.pth"))
    said = sentence(capsys, evaluate, scored(run, tmp_path / "there"))
    assert "weights.pth' is not the standard file of Inception weights: its SHA-256 is " in said
    assert files(tmp_path) == ["weights.pth"]


def test_weights_of_inception_that_are_not_there_are_refused(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MIXNASH_INCEPTION", str(tmp_path / "nothing.pth"))
    said = sentence(capsys, evaluate, scored(run, tmp_path / "there"))
    assert "MIXNASH_INCEPTION names" in said
    assert files(tmp_path) == []


def test_fewer_samples_than_a_metric_needs_are_refused(run, tmp_path, capsys):
    assert "found 3" in sentence(capsys, evaluate, [*scored(run, tmp_path / "there"), "--num_samples", "3"])
    assert files(tmp_path) == []


def test_a_full_disk_while_statistics_are_kept_leaves_nothing(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MIXNASH_HOME", str(tmp_path / "home"))
    write = Path.write_bytes

    def fill(self, content):
        if "statistics" in self.parts:
            write(self, content[:100])
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, content)

    monkeypatch.setattr(Path, "write_bytes", fill)
    said = sentence(capsys, evaluate, scored(run, tmp_path / "there"))
    assert "cannot be written (No space left on device)" in said
    assert "MIXNASH_HOME" in said
    assert files(tmp_path) == []


def test_weights_of_inception_that_cannot_be_fetched_end_in_one_sentence(monkeypatch, capsys, tmp_path):
    def no_network(url, place, hash_prefix):
        raise URLError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
    with pytest.raises(SystemExit) as stopped:
        evaluate(["--run", str(tmp_path), "--download_inception"])
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: The weights of Inception are not on this machine and cannot be downloaded (")
    assert error.count("\n") == 1
