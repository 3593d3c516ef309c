"""Every reproduction runs from the command and leaves its files; the mathematics around them is checked by hand."""

import json

import pytest
import torch

from image_files import write_classes, write_idx
from mixnash import commands
from mixnash.metrics.features.classifier_file import TrainedClassifier, default_path, store_classifier
from mixnash.metrics.features.classifier_network import CLASSIFIERS, SmallClassifier
from mixnash.reproduction.base import Check, Findings
from mixnash.reproduction.escaping_traps import wilson
from mixnash.reproduction.outcome_matrix import KINDS, SETTINGS, Observed, agrees, observe
from mixnash.reproduction.registry import REPRODUCTIONS
from mixnash.reproduction.report import write_findings
from mixnash.reproduction.simulate import Run
from mixnash.reproduction.spurious_attractors import predicted_radius

PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A folder with small sets of images below data/, as the reproductions on images look for them."""
    root = tmp_path_factory.mktemp("images")
    write_idx(root / "data")
    write_classes(root / "data" / "cifar10")
    return root


@pytest.fixture
def among_images(images, monkeypatch):
    """That folder as the working directory; its classifier of MNIST says that it is good, and is not."""
    monkeypatch.chdir(images)
    monkeypatch.setenv("MIXNASH_HOME", str(images / "home"))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = dict(SmallClassifier(CLASSIFIERS["mnist_cnn"].architecture).state_dict())
    said = TrainedClassifier("mnist_cnn", state, 0.99, 200, "0" * 64, 0, 1, {"torch": "2"})
    store_classifier(said, default_path("mnist_cnn"))


@pytest.mark.slow
@pytest.mark.usefixtures("among_images")
@pytest.mark.parametrize("name", REPRODUCTIONS)
def test_a_reproduction_runs_in_short_and_leaves_pictures_and_numbers(name, tmp_path):
    announced = []
    findings = REPRODUCTIONS[name].run(announced.append, short=True, folder=tmp_path / name)
    assert len(announced) == REPRODUCTIONS[name].parts
    assert findings.checks
    folder = write_findings(tmp_path / name, name, findings, 1.0, True)
    pictures = sorted(folder.glob("*.png"))
    assert sorted(one.stem for one in pictures) == sorted(findings.figures) != []
    assert all(one.read_bytes()[:4] == PNG for one in pictures)
    result = json.loads((folder / "result.json").read_text())
    assert result["short"]
    assert result["command"] == f"mixnash reproduce {name} --short"
    assert {"name", "expected", "measured", "agrees"} == set(result["checks"][0])


def test_the_command_writes_where_it_is_told_and_says_that_a_short_run_means_nothing(tmp_path, capsys):
    commands.main(["reproduce", "saddles", "--short", f"--output={tmp_path}"])
    assert "saddles: ran in" in capsys.readouterr().out
    assert {one.name for one in (tmp_path / "saddles").iterdir()} == {"result.json", "trajectories.png"}


def test_a_check_that_disagrees_ends_in_exit_code_1(tmp_path, monkeypatch, capsys):
    wrong = Findings({}, {}, [Check("radius", "1", "2", False)])
    monkeypatch.setattr(type(REPRODUCTIONS["saddles"]), "run", lambda self, advance, short, folder: wrong)
    with pytest.raises(SystemExit) as stopped:
        commands.main(["reproduce", "saddles", f"--output={tmp_path}"])
    assert stopped.value.code == 1
    assert "DISAGREES" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nothing"], "There is no reproduction nothing; there are "),
        ([], "Name what to reproduce, or ask for --all."),
        (["mixed-rates", "--all"], "Name what to reproduce, or ask for --all."),
    ],
)
def test_the_command_refuses_in_one_sentence(words, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        commands.main(["reproduce", *words, f"--output={tmp_path / 'out'}"])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_command_refuses_a_folder_that_is_a_file(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit) as stopped:
        commands.main(["reproduce", "mixed-rates", f"--output={tmp_path / 'file'}"])
    assert stopped.value.code == 2
    assert "error: " in capsys.readouterr().err


def test_numbers_that_are_not_finite_are_never_written(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_findings(tmp_path, "x", Findings({}, {"a": float("nan")}, [Check("a", "b", "c", True)]), 1.0, False)


# ---------------------------------------------------------------------- classification


def run_of(points, diverged=False, still=False):
    return Run(torch.tensor(points, dtype=torch.float64), diverged, still)


@pytest.mark.parametrize(
    ("run", "kind"),
    [
        (run_of([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]), "cycles"),
        (run_of([[1.0, 0.0], [0.1, 0.2], [0.101, 0.2]]), "converges"),
        (run_of([[0.1, 0.2], [0.105, 0.2]]), "cycles"),  # near, but leaving
        (run_of([[1.0, 0.0], [3.0, 3.0]], still=True), "stops elsewhere"),
        (run_of([[1.0, 0.5], [2.0, 0.25]]), "stops elsewhere"),
        (run_of([[1.0, 0.0], [2.0, 0.25]]), "cycles"),  # only passing the hyperbola
        (run_of([[1.0, 0.0], [1e4, 0.0]], diverged=True), "diverges"),
    ],
)
def test_ends_of_runs_are_told_apart(run, kind):
    assert KINDS[observe(run, (0.1, 0.2)).kind] == kind


@pytest.mark.parametrize(
    ("kind", "radius", "expected", "answer"),
    [
        ("converges", 0.0, "C", True),
        ("cycles", 1.154, "1.15", True),
        ("cycles", 1.17, "1.15", False),
        ("cycles", 1.17, "1.2", True),
        ("converges", 1.15, "1.15", False),
        ("diverges", 9.0, "~", False),
        ("stops elsewhere", 1.0, "H", True),
    ],
)
def test_cells_agree_by_kind_and_by_the_digits_given(kind, radius, expected, answer):
    assert agrees(Observed(KINDS.index(kind), radius, 5), expected) is answer


def test_every_setting_gives_an_outcome_for_each_of_the_twelve_methods():
    assert len(SETTINGS) == 20
    assert {len(one.expected.split()) for one in SETTINGS} == {12}


def test_the_law_of_effective_damping_gives_the_radii_of_the_reference():
    assert predicted_radius(-0.5 * 0.05) == pytest.approx(1.414, abs=1e-3)
    assert predicted_radius(0.5 * 0.05) == pytest.approx(0.8165, abs=1e-4)
    assert predicted_radius(1.75 * 0.05) == 0


def test_wilson_intervals_are_those_of_the_formula():
    assert wilson(48, 50) == pytest.approx((0.8654, 0.9890), abs=1e-4)
    assert wilson(0, 50) == pytest.approx((0.0, 0.0713), abs=1e-4)
